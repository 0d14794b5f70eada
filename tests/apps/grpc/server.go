package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// place is where the servers are.
type place struct{ plain, served, closed, unix, refuses string }

func servers() *place {
	at := &place{closed: nobody(), refuses: listen(refuse)}
	server := newServer(at)
	at.plain = serve(server, "tcp", "127.0.0.1:0")
	folder, err := os.MkdirTemp("", "strobe-grpc")
	must(err)
	at.unix = serve(server, "unix", filepath.Join(folder, "socket"))
	// net/http serves it, over HTTP/2.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	at.served = l.Addr().String()
	web := &http.Server{Handler: server, TLSConfig: &tls.Config{Certificates: []tls.Certificate{selfSigned()}}}
	go web.ServeTLS(l, "", "")
	return at
}

func serve(s *grpc.Server, network, address string) string {
	l, err := net.Listen(network, address)
	must(err)
	go s.Serve(l)
	return l.Addr().String()
}

// nobody is an address at which nobody listens.
func nobody() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	defer l.Close()
	return l.Addr().String()
}

func newServer(at *place) *grpc.Server {
	server := grpc.NewServer(grpc.UnaryInterceptor(intercept))
	server.RegisterService(service(at), nil)
	return server
}

// intercept answers some calls itself, and recovers from panics.
func intercept(ctx context.Context, in interface{}, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (out interface{}, err error) {
	if strings.HasSuffix(info.FullMethod, "/intercepted") {
		return nil, status.Error(codes.PermissionDenied, "not you")
	}
	defer func() {
		if r := recover(); r != nil {
			err = status.Error(codes.Internal, "it panicked")
		}
	}()
	return handler(ctx, in)
}

type unary = func(ctx context.Context, in string) error

func answers(err error) unary { return func(context.Context, string) error { return err } }

// waits until its caller has gone, and says why that has: with the status that the caller gives itself, which may come later.
func waits(ctx context.Context, _ string) error {
	select {
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	case <-time.After(10 * slow * time.Second):
		return nil
	}
}

func service(at *place) *grpc.ServiceDesc {
	var failed int32
	methods := map[string]unary{
		"ok":               answers(nil),
		"intercepted":      answers(nil),
		"panics":           func(context.Context, string) error { panic("on purpose") },
		"wrapped":          answers(fmt.Errorf("around: %w", status.Error(codes.NotFound, "within"))),
		"plain":            answers(errors.New("no status at all")),
		"context-canceled": answers(context.Canceled),
		"context-deadline": answers(context.DeadlineExceeded),
		"own-code":         answers(status.Error(codes.Code(100), "of one's own")),
		"deadline":         waits,
		"cancelled":        waits,
		"served-deadline":  waits,
		"token":            answers(nil),
		"with-token":       answers(nil),
		"without-token":    answers(nil),
		"with-handler":     answers(nil),
		"told":             answers(nil),
		"behind":           answers(nil),
		"graceful":         func(context.Context, string) error { time.Sleep(200 * slow * time.Millisecond); return nil },
		"retried": func(context.Context, string) error {
			if atomic.AddInt32(&failed, 1) < 3 {
				return status.Error(codes.Unavailable, "not yet")
			}
			return nil
		},
	}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		methods[fmt.Sprintf("code-%d", code)] = answers(status.Error(code, fmt.Sprintf("number %d", code)))
	}
	plain := []string{"unix", "traced", "traced-twice", "traced-invalid", "served", "served-traced", "on-another", "large",
		"child-context", "child-background", "child-started", "child-served", "child-stream", "many", "behind-a-leak"}
	for _, name := range plain {
		methods[name] = answers(nil)
	}
	methods[long(256)], methods[long(300)] = answers(nil), answers(nil)
	inside(at, methods)
	desc := &grpc.ServiceDesc{ServiceName: "strobe.Test", HandlerType: (*interface{})(nil)}
	for name, f := range methods {
		desc.Methods = append(desc.Methods, method(name, f))
	}
	for name, f := range streams(at) {
		desc.Streams = append(desc.Streams, grpc.StreamDesc{StreamName: name, Handler: f, ServerStreams: true, ClientStreams: true})
	}
	return desc
}

// long is a method's name so that with the service it has n bytes.
func long(n int) string { return strings.Repeat("m", n-len("/strobe.Test/")) }

func method(name string, f unary) grpc.MethodDesc {
	full := "/strobe.Test/" + name
	return grpc.MethodDesc{MethodName: name, Handler: func(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
		var in []byte
		if err := dec(&in); err != nil {
			return nil, err
		}
		handler := func(ctx context.Context, _ interface{}) (interface{}, error) {
			if err := f(ctx, string(in)); err != nil {
				return nil, err
			}
			out := []byte("answer")
			return &out, nil
		}
		if interceptor == nil {
			return handler(ctx, &in)
		}
		return interceptor(ctx, &in, &grpc.UnaryServerInfo{FullMethod: full}, handler)
	}}
}

func streams(at *place) map[string]grpc.StreamHandler {
	echo := func(_ interface{}, s grpc.ServerStream) error {
		for {
			text, err := receive(s)
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if err := send(s, text); err != nil {
				return err
			}
		}
	}
	pours := func(_ interface{}, s grpc.ServerStream) error {
		for i := 0; i < 3; i++ {
			if err := send(s, "drop"); err != nil {
				return err
			}
		}
		return nil
	}
	drinks := func(_ interface{}, s grpc.ServerStream) error {
		for {
			if _, err := receive(s); err != nil {
				break
			}
		}
		return send(s, "all")
	}
	breaks := func(_ interface{}, s grpc.ServerStream) error {
		send(s, "one")
		return status.Error(codes.DataLoss, "the rest is lost")
	}
	hangs := func(_ interface{}, s grpc.ServerStream) error {
		send(s, "one")
		<-s.Context().Done()
		return status.FromContextError(s.Context().Err()).Err()
	}
	return map[string]grpc.StreamHandler{
		"server-stream": pours, "client-stream": drinks, "bidi": echo, "stream-breaks": breaks, "stream-cancelled": hangs,
		"stream-deadline": hangs, "stream-elsewhere": echo, "stream-closed": hangs, "served-bidi": echo,
		"stream-inside": func(_ interface{}, s grpc.ServerStream) error { return call(s.Context(), inner(at), "child-stream") },
	}
}
