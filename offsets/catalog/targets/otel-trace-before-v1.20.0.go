package main

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

var (
	setup trace.SpanContextConfig
	event trace.EventConfig
	link  trace.Link

	local = trace.ContextWithSpanContext
	made  = trace.NewSpanContext
)

func main() {
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), trace.SpanContext{})
	state, err := trace.ParseTraceState("")
	println(state.String(), err, trace.SpanContextFromContext(ctx).IsValid())
	config := trace.NewSpanStartConfig()
	println(config.NewRoot(), &setup, &event, &link, &local, &made)
}
