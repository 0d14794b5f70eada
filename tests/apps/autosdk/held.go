package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

func init() {
	instead["held"] = func() { held(number("SPANS_HELD"), number("SPANS_LATE")) }
	instead["dropped"] = func() { dropped(number("SPANS_DROPPED"), 200) }
}

// held keeps some spans open, as WAY says by what Start returns as the span, by its context, or by both, while what the program does not reach is
// collected and others begin and end. Each says of itself whose it is.
func held(long, late int) {
	way := os.Getenv("WAY")
	spans, contexts := make([]trace.Span, long), make([]context.Context, long)
	for i := range spans {
		ctx, span := tracer.Start(context.Background(), "held "+strconv.Itoa(i))
		if way != "context" {
			spans[i] = span
		}
		if way != "span" {
			contexts[i] = ctx
		}
	}
	runtime.GC()
	runtime.GC()
	for i := 0; i < late; i++ {
		ctx, span := tracer.Start(context.Background(), "late "+strconv.Itoa(i))
		span.SetAttributes(attribute.String("of", "late "+strconv.Itoa(i)))
		_, below := tracer.Start(ctx, "below late "+strconv.Itoa(i))
		below.SetAttributes(attribute.String("of", "below late "+strconv.Itoa(i)))
		below.End()
		span.End()
	}
	for i, span := range spans {
		if span == nil {
			span = trace.SpanFromContext(contexts[i])
		}
		span.SetAttributes(attribute.String("of", "held "+strconv.Itoa(i)))
		span.End()
	}
	runtime.KeepAlive(contexts)
}

// dropped begins spans, of which it keeps nothing, and collects them, and then makes others that end.
func dropped(forgotten, ended int) {
	for i := 0; i < forgotten; i++ {
		tracer.Start(context.Background(), fmt.Sprintf("forgotten %d", i))
		if i%250 == 249 {
			runtime.GC()
		}
	}
	for i := 0; i < ended; i++ {
		_, span := tracer.Start(context.Background(), fmt.Sprintf("ended %d", i))
		span.End()
	}
}
