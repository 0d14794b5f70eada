package main

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

var (
	setup  trace.SpanContextConfig
	link   trace.Link
	config trace.SpanConfig

	made = trace.NewSpanContext
)

func main() {
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), trace.SpanContext{})
	println(trace.SpanContextFromContext(ctx).IsValid(), &setup, &link, &config, &made)
}
