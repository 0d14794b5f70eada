package main

import (
	"context"
	"sync"

	"google.golang.org/grpc"
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
