package main

import (
	"context"
	"encoding/binary"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/status"

	pb "library/tests/libraryv1"
)

// Open loop: calls leave at fixed instants, whether earlier ones were answered or not, and take from the instant they
// were meant to leave. The record has three columns of 64-bit integers: how late each left and how long it took, in
// microseconds, and its status: 200, 403 when access was denied, 500 with the gRPC code added when the call failed.
func openLoop(clients []pb.LibraryQueryServiceClient, ids []string) {
	count := int(*rate * *seconds)
	late, took, outcome := make([]int64, count), make([]int64, count), make([]int64, count)
	began := time.Now().Add(time.Duration((*startsAt - monotonic()) * float64(time.Second)))
	var group sync.WaitGroup
	for number := range count {
		due := began.Add(time.Duration(float64(number) / *rate * float64(time.Second)))
		time.Sleep(time.Until(due))
		late[number] = time.Since(due).Microseconds()
		group.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
			defer cancel()
			answer, err := clients[number%len(clients)].CheckGameAccess(
				ctx, &pb.CheckGameAccessRequest{UserId: ids[number%len(ids)], ProductId: *game})
			took[number] = time.Since(due).Microseconds()
			switch {
			case !well(err, err == nil):
				outcome[number] = 500 + int64(status.Code(err))
			case answer.HasAccess:
				outcome[number] = 200
			default:
				outcome[number] = 403
			}
		})
	}
	group.Wait()
	file := must(os.Create(*record))
	defer file.Close()
	for _, column := range [][]int64{late, took, outcome} {
		if err := binary.Write(file, binary.NativeEndian, column); err != nil {
			panic(err)
		}
	}
}

func monotonic() float64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err)
	}
	return float64(now.Sec) + float64(now.Nsec)/1e9
}
