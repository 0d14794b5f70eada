package main

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

var (
	innerOnce sync.Once
	innerConn *grpc.ClientConn
)

// inner is the channel by which handlers call.
func inner(at *place) *grpc.ClientConn {
	innerOnce.Do(func() { innerConn = dial(at.plain) })
	return innerConn
}

// inside adds the methods whose handlers make calls.
func inside(at *place, methods map[string]unary) {
	methods["in-context"] = func(ctx context.Context, _ string) error { return call(ctx, inner(at), "child-context") }
	methods["in-background"] = func(context.Context, string) error {
		return call(context.Background(), inner(at), "child-background")
	}
	methods["in-started"] = func(ctx context.Context, _ string) error {
		done := make(chan error)
		go func() { done <- call(ctx, inner(at), "child-started") }()
		return <-done
	}
	methods["served-in-context"] = func(ctx context.Context, _ string) error { return call(ctx, inner(at), "child-served") }
	methods["load"] = func(ctx context.Context, in string) error {
		return call(traced(ctx, in, "b"), inner(at), "load-below")
	}
	methods["load-below"] = answers(nil)
}

// asks are credentials that ask a service for a token, on the goroutine that makes a call with them.
type asks struct {
	of    *grpc.ClientConn
	fails bool
}

func (a asks) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if err := call(context.Background(), a.of, "token"); err != nil {
		return nil, err
	}
	if a.fails {
		return nil, status.Error(codes.Unauthenticated, "the token is not worth it")
	}
	return map[string]string{"authorization": "token"}, nil
}

func (asks) RequireTransportSecurity() bool { return false }

// tells is a stats handler that calls a service when another call begins.
type tells struct{ of *grpc.ClientConn }

func (t tells) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (t tells) HandleRPC(_ context.Context, of stats.RPCStats) {
	if _, ok := of.(*stats.Begin); ok {
		call(context.Background(), t.of, "told")
	}
}

func (t tells) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (t tells) HandleConn(context.Context, stats.ConnStats) {}

// within makes calls within which others are made, one after the other.
func within(cc *grpc.ClientConn, target string) {
	for _, one := range []struct {
		name  string
		fails bool
	}{{"without-token", true}, {"with-token", false}} {
		in, out := []byte(one.name), []byte(nil)
		cc.Invoke(context.Background(), "/strobe.Test/"+one.name, &in, &out, grpc.PerRPCCredentials(asks{cc, one.fails}))
	}
	call(context.Background(), dial(target, grpc.WithStatsHandler(tells{cc})), "with-handler")
	call(context.Background(), cc, "behind")
}
