package main

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

var (
	link   trace.Link
	config trace.SpanConfig
)

func main() {
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), trace.SpanContext{})
	println(trace.SpanContextFromContext(ctx).IsValid(), &link, &config)
}
