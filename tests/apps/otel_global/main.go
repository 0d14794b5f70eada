// Command otel_global is OpenTelemetry's end-to-end application "otelglobal", written anew: spans by a tracer of the API's global provider, which
// was made before anybody attached, as were twenty that nobody uses. The program has no SDK.
//
// It prints "ready", waits for SIGUSR1, makes the spans, and leaves.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

var tracer = otel.Tracer("strobe.test/otel_global",
	trace.WithInstrumentationVersion("v1.1"), trace.WithSchemaURL("https://some_schema"))

// elsewhere is a span of another program.
var elsewhere = trace.NewSpanContext(trace.SpanContextConfig{
	TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 2}, TraceFlags: trace.FlagsSampled, Remote: true,
})

func child(ctx context.Context) {
	_, span := tracer.Start(ctx, "child", trace.WithAttributes(
		attribute.String("string_key", "forty-two"), attribute.Int("int_key", 42), attribute.Bool("bool_key", true),
		attribute.Float64("float_key", 42.3), attribute.Int64Slice("ints_key", []int64{4, 2})))
	defer span.End()
	span.SetAttributes(attribute.StringSlice("strings_key", []string{"forty", "two"}))
	span.SetStatus(codes.Error, "i deleted the prod db sry")
	span.RecordError(errors.New("i deleted the prod db sry"), trace.WithStackTrace(true))
}

func main() {
	for n := range 20 {
		otel.Tracer(fmt.Sprintf("unused %d", n))
	}
	begin := make(chan os.Signal, 1)
	signal.Notify(begin, syscall.SIGUSR1)
	fmt.Println("ready")
	<-begin
	ctx, span := tracer.Start(context.Background(), "parent", trace.WithSpanKind(trace.SpanKindConsumer))
	child(ctx)
	span.SetName("parent, renamed")
	span.AddLink(trace.Link{SpanContext: elsewhere, Attributes: []attribute.KeyValue{attribute.String("data", "elsewhere")}})
	span.End()
}
