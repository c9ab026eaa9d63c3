// The load client of the gRPC benchmarks: compiled, its CPU is never counted as the server's.
//
// Closed loop: each caller asks again when it has its answer. The last line is
// "RESULT <calls> <seconds> <p50 us> <p99 us> <max us> <failed> <own CPU seconds>".
// Open loop, with -rate: see openloop.go.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	pb "library/tests/libraryv1"
)

var (
	address     = flag.String("address", "", "host:port")
	authority   = flag.String("authority", "", "who signed the server's certificate")
	certificate = flag.String("certificate", "", "ours")
	key         = flag.String("key", "", "its key")
	users       = flag.String("users", "", "a file of user ids, 16 bytes each")
	game        = flag.String("game", "", "the product that is asked for")
	callers     = flag.Int("callers", 64, "at the same time")
	connections = flag.Int("connections", 8, "that they share")
	seconds     = flag.Float64("seconds", 5, "how long")
	first       = flag.Int("first", 0, "the user to begin with")
	pairs       = flag.Int("pairs", 0, "in one batch; 0: single calls")
	packed      = flag.Bool("packed", false, "batches of packed ids")
	rate        = flag.Float64("rate", 0, "open loop: single calls a second, whatever was answered")
	record      = flag.String("record", "", "open loop: where to write what was seen")
	startsAt    = flag.Float64("starts-at", 0, "open loop: the first instant, seconds of the monotonic clock")
)

const callTimeout = 10 * time.Second

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

type asker struct {
	client pb.LibraryQueryServiceClient
	ids    []string
	raw    []byte
	next   *atomic.Int64
	game   uuid.UUID
}

func (a *asker) user(number int64) string { return a.ids[number%int64(len(a.ids))] }

func (a *asker) one(ctx context.Context) bool {
	number := a.next.Add(1)
	answer, err := a.client.CheckGameAccess(
		ctx, &pb.CheckGameAccessRequest{UserId: a.user(number), ProductId: *game})
	return well(err, err == nil && answer.HasAccess)
}

var complained atomic.Bool

// well says what went wrong the first time something does.
func well(err error, good bool) bool {
	if !good && complained.CompareAndSwap(false, true) {
		fmt.Fprintf(os.Stderr, "not what was expected; error: %v\n", err)
	}
	return good
}

func (a *asker) batch(ctx context.Context) bool {
	from := a.next.Add(int64(*pairs)) - int64(*pairs)
	request := &pb.CheckGameAccessBatchRequest{}
	for number := from; number < from+int64(*pairs); number++ {
		if *packed {
			at := number % int64(len(a.ids)) * 16
			request.PackedChecks = append(append(request.PackedChecks, a.raw[at:at+16]...), a.game[:]...)
		} else {
			check := &pb.CheckGameAccessRequest{UserId: a.user(number), ProductId: *game}
			request.Checks = append(request.Checks, check)
		}
	}
	answer, err := a.client.CheckGameAccessBatch(ctx, request)
	granted := 0
	for _, one := range answer.GetResults() {
		if one.Access == pb.Access_ACCESS_GRANTED {
			granted++
		}
	}
	for _, one := range answer.GetPackedResults() {
		if one == byte(pb.Access_ACCESS_GRANTED) {
			granted++
		}
	}
	return well(err, granted == *pairs)
}

func cpu() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func main() {
	flag.Parse()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must(os.ReadFile(*authority)))
	pair := must(tls.LoadX509KeyPair(*certificate, *key))
	secure := credentials.NewTLS(&tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: "localhost"})
	raw := must(os.ReadFile(*users))
	ids := make([]string, len(raw)/16)
	for i := range ids {
		ids[i] = uuid.UUID(raw[i*16 : i*16+16]).String()
	}
	var next atomic.Int64
	next.Store(int64(*first))
	clients := make([]pb.LibraryQueryServiceClient, min(*connections, *callers))
	for i := range clients {
		clients[i] = pb.NewLibraryQueryServiceClient(must(
			grpc.NewClient("passthrough:///"+*address, grpc.WithTransportCredentials(secure))))
	}
	if *rate > 0 {
		openLoop(clients, ids)
		return
	}
	took := make([][]time.Duration, *callers)
	var failed atomic.Int64
	began, cpuBefore := time.Now(), cpu()
	until := began.Add(time.Duration(*seconds * float64(time.Second)))
	var group sync.WaitGroup
	for number := range *callers {
		group.Go(func() {
			a := &asker{clients[number%len(clients)], ids, raw, &next, uuid.MustParse(*game)}
			for time.Now().Before(until) {
				ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
				start := time.Now()
				good := false
				if *pairs > 0 {
					good = a.batch(ctx)
				} else {
					good = a.one(ctx)
				}
				took[number] = append(took[number], time.Since(start))
				cancel()
				if !good {
					failed.Add(1)
				}
			}
		})
	}
	group.Wait()
	elapsed := time.Since(began).Seconds()
	all := slices.Concat(took...)
	slices.Sort(all)
	at := func(share float64) int64 { return all[min(len(all)-1, int(share*float64(len(all))))].Microseconds() }
	fmt.Printf("RESULT %d %.3f %d %d %d %d %.3f\n", len(all), elapsed, at(0.5), at(0.99),
		all[len(all)-1].Microseconds(), failed.Load(), cpu()-cpuBefore)
}
