package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	pb "library/tests/libraryv1"
)

const (
	checkPath   = "/library.v1.LibraryQueryService/CheckGameAccess"
	rawTimeoutS = 5
)

// raw is one HTTP/2 connection, frame by frame.
type raw struct {
	connection *tls.Conn
	framer     *http2.Framer
	last       uint32
}

// ended says how a stream ended: grpcStatus is -1 when none was told, reset tells of RST_STREAM.
type ended struct {
	httpStatus, grpcStatus int
	trailersOnly, reset    bool
}

func openRaw() (*raw, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must(os.ReadFile(*folder + "/authority.pem")))
	pair := must(tls.LoadX509KeyPair(*folder+"/client.crt", *folder+"/client.key"))
	connection, err := tls.Dial("tcp", *address, &tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: "localhost", NextProtos: []string{"h2"},
	})
	if err != nil {
		return nil, err
	}
	_ = connection.SetDeadline(time.Now().Add(rawTimeoutS * time.Second))
	if _, err := connection.Write([]byte(http2.ClientPreface)); err != nil {
		return nil, err
	}
	made := &raw{connection: connection, framer: http2.NewFramer(connection, connection), last: 1}
	made.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	return made, made.framer.WriteSettings()
}

func (r *raw) headers(end bool, path string, extra ...string) (uint32, error) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	fields := []string{":method", "POST", ":scheme", "https", ":path", path, ":authority", "localhost",
		"content-type", "application/grpc", "te", "trailers"}
	for at := 0; at < len(extra); at += 2 {
		replaced := false
		for known := 0; known < len(fields); known += 2 {
			if fields[known] == extra[at] {
				fields[known+1], replaced = extra[at+1], true
			}
		}
		if !replaced {
			fields = append(fields, extra[at], extra[at+1])
		}
	}
	for at := 0; at < len(fields); at += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: fields[at], Value: fields[at+1]})
	}
	stream := r.last
	r.last += 2
	return stream, r.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end})
}

func (r *raw) end(stream uint32) (ended, error) {
	how := ended{grpcStatus: -1}
	for {
		frame, err := r.framer.ReadFrame()
		if err != nil {
			return how, err
		}
		switch one := frame.(type) {
		case *http2.SettingsFrame:
			if !one.IsAck() {
				if err := r.framer.WriteSettingsAck(); err != nil {
					return how, err
				}
			}
		case *http2.PingFrame:
			if !one.IsAck() {
				if err := r.framer.WritePing(true, one.Data); err != nil {
					return how, err
				}
			}
		case *http2.GoAwayFrame:
			return how, fmt.Errorf("the connection was closed: %v %s", one.ErrCode, one.DebugData())
		case *http2.MetaHeadersFrame:
			if one.StreamID != stream {
				continue
			}
			for _, field := range one.Fields {
				switch field.Name {
				case ":status":
					how.httpStatus, _ = strconv.Atoi(field.Value)
					how.trailersOnly = one.StreamEnded()
				case "grpc-status":
					how.grpcStatus, _ = strconv.Atoi(field.Value)
				}
			}
			if one.StreamEnded() {
				return how, nil
			}
		case *http2.DataFrame:
			if one.StreamID == stream && one.StreamEnded() {
				return how, nil
			}
		case *http2.RSTStreamFrame:
			if one.StreamID == stream {
				how.reset = true
				return how, nil
			}
		}
	}
}

// send makes one call of headers and a body.
func (r *raw) send(body []byte, path string, extra ...string) (ended, error) {
	stream, err := r.headers(body == nil, path, extra...)
	if err != nil {
		return ended{}, err
	}
	if body != nil {
		if err := r.framer.WriteData(stream, true, body); err != nil {
			return ended{}, err
		}
	}
	return r.end(stream)
}

func frame(flag byte, message []byte) []byte {
	size := len(message)
	return append([]byte{flag, byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}, message...)
}

func goodBody() []byte {
	return frame(0, must(proto.Marshal(&pb.CheckGameAccessRequest{UserId: *user, ProductId: *game})))
}

// refused: the call ended with an error, one way or the other, and the connection is good for another call.
func (r *raw) refused(body []byte, path string, extra ...string) error {
	how, err := r.send(body, path, extra...)
	if err != nil {
		return err
	}
	if how.grpcStatus == 0 || (how.grpcStatus == -1 && !how.reset && how.httpStatus == 200) {
		return fmt.Errorf("ended as %+v", how)
	}
	return r.answers()
}

func (r *raw) answers() error {
	how, err := r.send(goodBody(), checkPath)
	if err == nil && how.grpcStatus != 0 {
		err = fmt.Errorf("a good call ended as %+v", how)
	}
	return err
}

func checkPing(r *raw) error {
	if err := r.framer.WritePing(false, [8]byte{1, 2, 3}); err != nil {
		return err
	}
	for {
		frame, err := r.framer.ReadFrame()
		if err != nil {
			return err
		}
		if ping, is := frame.(*http2.PingFrame); is && ping.IsAck() {
			return r.answers()
		}
	}
}

func checkTrailersOnly(r *raw) error {
	how, err := r.send(goodBody(), "/library.v1.LibraryQueryService/Nothing")
	if err == nil && (how.grpcStatus != 12 || !how.trailersOnly || how.httpStatus != 200) {
		err = fmt.Errorf("ended as %+v", how)
	}
	return err
}

func checkGarbage() error {
	broken, err := openRaw()
	if err != nil {
		return err
	}
	if _, err := broken.connection.Write(bytes.Repeat([]byte("garbage "), 500)); err != nil {
		return err
	}
	for {
		if _, err := broken.framer.ReadFrame(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return errors.New("the door listens to garbage")
			}
			break
		}
	}
	_, _ = io.Copy(io.Discard, broken.connection)
	fresh, err := openRaw()
	if err != nil {
		return err
	}
	defer fresh.connection.Close()
	return fresh.answers()
}

func rawChecks() {
	good := goodBody()
	for _, one := range []struct {
		name  string
		check func(*raw) error
	}{
		{"ping", checkPing},
		{"trailers only", checkTrailersOnly},
		{"no message", func(r *raw) error { return r.refused(nil, checkPath) }},
		{"half a header", func(r *raw) error { return r.refused(good[:3], checkPath) }},
		{"half a message", func(r *raw) error { return r.refused(good[:20], checkPath) }},
		{"two messages", func(r *raw) error { return r.refused(append(append([]byte{}, good...), good...), checkPath) }},
		{"a length of 4 GiB", func(r *raw) error { return r.refused([]byte{0, 255, 255, 255, 255, 1}, checkPath) }},
		{"a flag nobody knows", func(r *raw) error { return r.refused(append([]byte{7}, good[1:]...), checkPath) }},
		{"a flag without an encoding", func(r *raw) error { return r.refused(frame(1, good[5:]), checkPath) }},
		{"no gzip", func(r *raw) error { return r.refused(frame(1, []byte("no gzip")), checkPath, "grpc-encoding", "gzip") }},
		{"no path", func(r *raw) error { return r.refused(good, "/") }},
	} {
		connection, err := openRaw()
		if err == nil {
			err = one.check(connection)
			connection.connection.Close()
		}
		report(one.name, err)
	}
	report("garbage", checkGarbage())
}
