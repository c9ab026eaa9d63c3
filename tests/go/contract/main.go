// The contract of the gRPC door, asked by Go's client (R-RPC-1 to R-RPC-4, R-SEC-3).
//
// Prints "ok <check>" or "FAIL <check>: <why>", a line each. At "ROTATE" it waits for a line on its input, until the
// door's certificate has been replaced.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	pb "library/tests/libraryv1"
)

var (
	address     = flag.String("address", "", "host:port of the door")
	folder      = flag.String("folder", "", "where authority.pem, client.crt and client.key are")
	gameServer  = flag.String("game-server", "", "names the certificate of a game server")
	user        = flag.String("user", "", "owns the game, and the session is theirs")
	game        = flag.String("game", "", "a product")
	session     = flag.String("session", "", "a live one")
	collector   = flag.String("collector", "", "a user with many items")
	itemCount   = flag.Int("items", 0, "how many")
	silent      = flag.String("silent", "", "a user whose actor does not answer")
	failed      bool
	serialsSeen = map[string]bool{}
	mutex       sync.Mutex
)

func report(name string, err error) {
	if err != nil {
		failed = true
		fmt.Printf("FAIL %s: %v\n", name, err)
		return
	}
	fmt.Printf("ok %s\n", name)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// dial makes a channel of its own and notes which certificate the door showed.
func dial(certificate string, options ...grpc.DialOption) *grpc.ClientConn {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must(os.ReadFile(*folder + "/authority.pem")))
	pair := must(tls.LoadX509KeyPair(*folder+"/"+certificate+".crt", *folder+"/"+certificate+".key"))
	config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: "localhost"}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		mutex.Lock()
		defer mutex.Unlock()
		serialsSeen[state.PeerCertificates[0].SerialNumber.String()] = true
		return nil
	}
	options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	return must(grpc.NewClient("passthrough:///"+*address, options...))
}

func within(seconds float64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Duration(seconds*float64(time.Second)))
}

func wantCode(err error, code codes.Code) error {
	if status.Code(err) != code {
		return fmt.Errorf("%v, not %v", err, code)
	}
	return nil
}

func access(client pb.LibraryQueryServiceClient, who string, options ...grpc.CallOption) (bool, error) {
	ctx, cancel := within(10)
	defer cancel()
	answer, err := client.CheckGameAccess(ctx, &pb.CheckGameAccessRequest{UserId: who, ProductId: *game}, options...)
	if err != nil {
		return false, err
	}
	if answer.HasAccess != (answer.AcquisitionDate != nil) {
		return false, errors.New("a date without access, or access without a date")
	}
	return answer.HasAccess, nil
}

func checkAccess(client pb.LibraryQueryServiceClient) error {
	if has, err := access(client, *user); err != nil || !has {
		return fmt.Errorf("the owner: %v, %v", has, err)
	}
	if has, err := access(client, *collector); err != nil || has {
		return fmt.Errorf("another: %v, %v", has, err)
	}
	return nil
}

func checkItems(client pb.LibraryQueryServiceClient) error {
	ctx, cancel := within(10)
	defer cancel()
	answer, err := client.GetLibraryItems(ctx, &pb.GetLibraryItemsRequest{UserId: *collector})
	if err == nil && len(answer.Items) != *itemCount {
		err = fmt.Errorf("%d items", len(answer.Items))
	}
	return err
}

func checkDetails(client pb.LibraryQueryServiceClient) error {
	ctx, cancel := within(10)
	defer cancel()
	_, err := client.CheckGameAccess(ctx, &pb.CheckGameAccessRequest{UserId: "ж%", ProductId: *game})
	if wrong := wantCode(err, codes.InvalidArgument); wrong != nil {
		return wrong
	}
	var info *errdetails.ErrorInfo
	var bad *errdetails.BadRequest
	for _, detail := range status.Convert(err).Details() {
		switch one := detail.(type) {
		case *errdetails.ErrorInfo:
			info = one
		case *errdetails.BadRequest:
			bad = one
		}
	}
	if info == nil || info.Reason != "VALIDATION_ERROR" || bad == nil || bad.FieldViolations[0].Field != "user_id" {
		return fmt.Errorf("details: %v, %v", info, bad)
	}
	return nil
}

func checkDeadline(client pb.LibraryQueryServiceClient) error {
	ctx, cancel := within(0.2)
	defer cancel()
	_, err := client.CheckGameAccess(ctx, &pb.CheckGameAccessRequest{UserId: *silent, ProductId: *game})
	return wantCode(err, codes.DeadlineExceeded)
}

func checkCancel(client pb.LibraryQueryServiceClient) error {
	ctx, cancel := within(10)
	go func() {
		time.Sleep(100 * time.Millisecond)
		cancel()
	}()
	_, err := client.CheckGameAccess(ctx, &pb.CheckGameAccessRequest{UserId: *silent, ProductId: *game})
	return wantCode(err, codes.Canceled)
}

func checkGzip(client pb.LibraryQueryServiceClient) error {
	ctx, cancel := within(10)
	defer cancel()
	checks := make([]*pb.CheckGameAccessRequest, 2000)
	for i := range checks {
		checks[i] = &pb.CheckGameAccessRequest{UserId: *user, ProductId: *game}
	}
	answer, err := client.CheckGameAccessBatch(
		ctx, &pb.CheckGameAccessBatchRequest{Checks: checks}, grpc.UseCompressor(gzip.Name))
	if err == nil && (len(answer.Results) != 2000 || answer.Results[1999].Access != pb.Access_ACCESS_GRANTED) {
		err = fmt.Errorf("%d results", len(answer.Results))
	}
	return err
}

// reversing is a compression that no server knows.
type reversing struct{}

func (reversing) Name() string { return "reversing" }
func (reversing) Compress(w io.Writer) (io.WriteCloser, error) {
	return struct {
		io.Writer
		io.Closer
	}{w, io.NopCloser(nil)}, nil
}
func (reversing) Decompress(r io.Reader) (io.Reader, error) { return r, nil }

func checkUnknownCompression(client pb.LibraryQueryServiceClient) error {
	_, err := access(client, *user, grpc.UseCompressor("reversing"))
	return wantCode(err, codes.Unimplemented)
}

func checkSize(client pb.LibraryQueryServiceClient) error {
	for _, size := range []int{5_000, 5_000_000} {
		for _, options := range [][]grpc.CallOption{nil, {grpc.UseCompressor(gzip.Name)}} {
			ctx, cancel := within(10)
			defer cancel()
			large := &pb.CheckGameAccessRequest{UserId: string(bytes.Repeat([]byte("0"), size))}
			_, err := client.CheckGameAccess(ctx, large, options...)
			if wrong := wantCode(err, codes.ResourceExhausted); wrong != nil {
				return fmt.Errorf("%d bytes: %w", size, wrong)
			}
		}
	}
	return checkAccess(client)
}

func checkUnknownMethod(connection *grpc.ClientConn) error {
	ctx, cancel := within(10)
	defer cancel()
	err := connection.Invoke(ctx, "/library.v1.LibraryQueryService/Nothing", &pb.CheckGameAccessRequest{}, &pb.CheckGameAccessResponse{})
	return wantCode(err, codes.Unimplemented)
}

func checkRoles() error {
	connection := dial(*gameServer)
	defer connection.Close()
	_, err := access(pb.NewLibraryQueryServiceClient(connection), *user)
	return wantCode(err, codes.PermissionDenied)
}

func checkStream() error {
	connection := dial(*gameServer)
	defer connection.Close()
	ctx, cancel := within(10)
	defer cancel()
	stream, err := pb.NewLibrarySessionServiceClient(connection).StreamHeartbeats(ctx)
	if err != nil {
		return err
	}
	for range 3 {
		beats := []*pb.SessionHeartbeat{
			{UserId: *user, SessionId: *session},
			{UserId: *user, SessionId: *game},
		}
		if err := stream.Send(&pb.StreamHeartbeatsRequest{Heartbeats: beats}); err != nil {
			return err
		}
	}
	told, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	if told.ReceivedCount != 6 || told.AcceptedCount != 3 || told.FailedCount != 3 || told.Failures[1].Index != 3 {
		return fmt.Errorf("told %v", told)
	}
	bad, err := pb.NewLibrarySessionServiceClient(connection).StreamHeartbeats(ctx)
	if err != nil {
		return err
	}
	_ = bad.Send(&pb.StreamHeartbeatsRequest{Heartbeats: []*pb.SessionHeartbeat{{UserId: "x"}}})
	_, err = bad.CloseAndRecv()
	return wantCode(err, codes.InvalidArgument)
}

func checkHealth(connection *grpc.ClientConn) error {
	ctx, cancel := within(10)
	defer cancel()
	client := healthpb.NewHealthClient(connection)
	answer, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "library.v1.LibraryQueryService"})
	if err != nil || answer.Status != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("%v, %v", answer, err)
	}
	_, err = client.Check(ctx, &healthpb.HealthCheckRequest{Service: "nobody"})
	if wrong := wantCode(err, codes.NotFound); wrong != nil {
		return wrong
	}
	watch, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return err
	}
	first, err := watch.Recv()
	if err != nil || first.Status != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("%v, %v", first, err)
	}
	return nil
}

func checkReflection(connection *grpc.ClientConn) error {
	ctx, cancel := within(10)
	defer cancel()
	stream, err := reflectionpb.NewServerReflectionClient(connection).ServerReflectionInfo(ctx)
	if err != nil {
		return err
	}
	for range 2 {
		ask := &reflectionpb.ServerReflectionRequest{
			MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{ListServices: ""}}
		if err := stream.Send(ask); err != nil {
			return err
		}
		answer, err := stream.Recv()
		if err != nil || len(answer.GetListServicesResponse().GetService()) < 4 {
			return fmt.Errorf("%v, %v", answer, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err := stream.Recv(); err != io.EOF {
		return fmt.Errorf("after the end: %v", err)
	}
	return nil
}

func checkMany(client pb.LibraryQueryServiceClient) error {
	var group sync.WaitGroup
	problems := make(chan error, 64*50)
	for range 64 {
		group.Go(func() {
			for range 50 {
				if has, err := access(client, *user); err != nil || !has {
					problems <- fmt.Errorf("%v, %v", has, err)
				}
			}
		})
	}
	group.Wait()
	close(problems)
	return <-problems
}

func checkRotation(client pb.LibraryQueryServiceClient) error {
	serialsSeen = map[string]bool{}
	before := dial("client")
	defer before.Close()
	old := pb.NewLibraryQueryServiceClient(before)
	if _, err := access(old, *user); err != nil {
		return err
	}
	fmt.Println("ROTATE")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	for _, one := range []pb.LibraryQueryServiceClient{client, old} {
		if _, err := access(one, *user); err != nil {
			return fmt.Errorf("a connection from before: %w", err)
		}
	}
	after := dial("client")
	defer after.Close()
	if _, err := access(pb.NewLibraryQueryServiceClient(after), *user); err != nil {
		return err
	}
	if len(serialsSeen) != 2 {
		return fmt.Errorf("%d certificates were shown", len(serialsSeen))
	}
	return nil
}

func main() {
	flag.Parse()
	encoding.RegisterCompressor(reversing{})
	connection := dial("client")
	defer connection.Close()
	client := pb.NewLibraryQueryServiceClient(connection)
	report("access", checkAccess(client))
	report("items beyond a page", checkItems(client))
	report("google.rpc details", checkDetails(client))
	report("deadline", checkDeadline(client))
	report("cancellation", checkCancel(client))
	report("gzip both ways", checkGzip(client))
	report("unknown compression", checkUnknownCompression(client))
	report("size limits", checkSize(client))
	report("unknown method", checkUnknownMethod(connection))
	report("roles", checkRoles())
	report("client stream", checkStream())
	report("health", checkHealth(connection))
	report("reflection", checkReflection(connection))
	report("64 callers", checkMany(client))
	rawChecks()
	report("rotation", checkRotation(client))
	report("access afterwards", checkAccess(client))
	if failed {
		os.Exit(1)
	}
}
