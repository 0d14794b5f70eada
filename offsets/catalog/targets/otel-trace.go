package main

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

var (
	setup trace.SpanContextConfig
	event trace.EventConfig
	link  trace.Link
	none  noop.Span

	local = trace.ContextWithSpanContext
	made  = trace.NewSpanContext
)

func main() {
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), trace.SpanContext{})
	state, err := trace.ParseTraceState("")
	println(state.String(), err, trace.SpanContextFromContext(ctx).IsValid())
	config := trace.NewSpanStartConfig()
	println(config.NewRoot(), &setup, &event, &link, &none, &local, &made)
}
