// The peer of the gRPC benchmark: the same service in Go over Postgres, as a careful engineer would write it.
//
// One prepared statement a call, on a pool; a batch is one statement too. mTLS, the caller's name checked.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "library/tests/libraryv1"
)

const (
	accessSQL = `select added_at from user_library_items where user_id = $1 and product_id = $2`
	batchSQL  = `select asked.n, item.added_at
		from unnest($1::uuid[], $2::uuid[]) with ordinality as asked (user_id, product_id, n)
		join user_library_items item on item.user_id = asked.user_id and item.product_id = asked.product_id`
	maxPairs = 10_000
)

type server struct {
	pb.UnimplementedLibraryQueryServiceServer
	pool *pgxpool.Pool
}

func (s *server) CheckGameAccess(
	ctx context.Context, request *pb.CheckGameAccessRequest,
) (*pb.CheckGameAccessResponse, error) {
	user, err := uuid.Parse(request.UserId)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "user_id: is not a UUID")
	}
	product, err := uuid.Parse(request.ProductId)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "product_id: is not a UUID")
	}
	var added time.Time
	err = s.pool.QueryRow(ctx, accessSQL, user, product).Scan(&added)
	if errors.Is(err, pgx.ErrNoRows) {
		return &pb.CheckGameAccessResponse{}, nil
	}
	if err != nil {
		return nil, status.Error(codes.Unavailable, "the database does not answer")
	}
	return &pb.CheckGameAccessResponse{HasAccess: true, AcquisitionDate: timestamppb.New(added)}, nil
}

func (s *server) CheckGameAccessBatch(
	ctx context.Context, request *pb.CheckGameAccessBatchRequest,
) (*pb.CheckGameAccessBatchResponse, error) {
	var users, products []uuid.UUID
	for at := 0; at+32 <= len(request.PackedChecks); at += 32 {
		users = append(users, uuid.UUID(request.PackedChecks[at:at+16]))
		products = append(products, uuid.UUID(request.PackedChecks[at+16:at+32]))
	}
	for _, check := range request.Checks {
		user, err := uuid.Parse(check.UserId)
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, "user_id: is not a UUID")
		}
		product, err := uuid.Parse(check.ProductId)
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, "product_id: is not a UUID")
		}
		users, products = append(users, user), append(products, product)
	}
	if len(users) > maxPairs {
		return nil, status.Error(codes.InvalidArgument, "too many pairs")
	}
	rows, err := s.pool.Query(ctx, batchSQL, users, products)
	if err != nil {
		return nil, status.Error(codes.Unavailable, "the database does not answer")
	}
	added := make([]time.Time, len(users))
	var number int64
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&number, &at}, func() error {
		added[number-1] = at
		return nil
	})
	if err != nil {
		return nil, status.Error(codes.Unavailable, "the database does not answer")
	}
	response := &pb.CheckGameAccessBatchResponse{}
	for _, at := range added {
		access := pb.Access_ACCESS_GRANTED
		if at.IsZero() {
			access = pb.Access_ACCESS_DENIED
		}
		if len(request.PackedChecks) > 0 {
			response.PackedResults = append(response.PackedResults, byte(access))
			continue
		}
		one := &pb.GameAccess{Access: access}
		if !at.IsZero() {
			one.AcquisitionDate = timestamppb.New(at)
		}
		response.Results = append(response.Results, one)
	}
	return response, nil
}

func checkCaller(
	ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	caller, _ := peer.FromContext(ctx)
	secure, is := caller.AuthInfo.(credentials.TLSInfo)
	if !is || !slices.Contains(secure.State.PeerCertificates[0].DNSNames, os.Getenv("PEER_READER")) {
		return nil, status.Error(codes.PermissionDenied, "not a reader")
	}
	return handler(ctx, request)
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	config := must(pgxpool.ParseConfig(os.Getenv("PEER_DSN")))
	config.MaxConns = int32(must(strconv.Atoi(os.Getenv("PEER_CONNECTIONS"))))
	pool := must(pgxpool.NewWithConfig(context.Background(), config))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must(os.ReadFile(os.Getenv("PEER_AUTHORITY"))))
	pair := must(tls.LoadX509KeyPair(os.Getenv("PEER_CERTIFICATE"), os.Getenv("PEER_KEY")))
	secure := credentials.NewTLS(&tls.Config{
		ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert, Certificates: []tls.Certificate{pair}})
	listener := must(net.Listen("tcp", os.Getenv("PEER_ADDRESS")))
	made := grpc.NewServer(grpc.Creds(secure), grpc.UnaryInterceptor(checkCaller))
	pb.RegisterLibraryQueryServiceServer(made, &server{pool: pool})
	log.Fatal(made.Serve(listener))
}
