// Command otel_autosdk is OpenTelemetry's end-to-end application "autosdk", and with an argument "nonrecording", written anew: three spans made by hand whose times are said by the
// program, all in the last century's last second and after. The span "Run" is linked to "sig", and to a span of another program, which
// theirs is not.
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
	"time"

	"go.opentelemetry.io/auto/sdk"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

var y2k = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// at is so long after that.
func at(after time.Duration) trace.SpanEventOption { return trace.WithTimestamp(y2k.Add(after)) }

func of(provider trace.TracerProvider) trace.Tracer {
	return provider.Tracer("strobe.test/otel_autosdk",
		trace.WithInstrumentationVersion("v1.23.42"), trace.WithSchemaURL("https://some_schema"))
}

// elsewhere is a span of another program.
var elsewhere = trace.NewSpanContext(trace.SpanContextConfig{
	TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 2}, TraceFlags: trace.FlagsSampled, Remote: true,
})

// sig makes a span by the provider of the span that it is in, and gives its identity.
func sig(ctx context.Context) trace.SpanContext {
	_, span := of(trace.SpanFromContext(ctx).TracerProvider()).Start(ctx, "sig", at(10*time.Microsecond))
	defer span.End(at(110 * time.Microsecond))
	return span.SpanContext()
}

func run(ctx context.Context, tracer trace.Tracer, sig trace.SpanContext) error {
	_, span := tracer.Start(ctx, "Run", at(500*time.Microsecond), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("user", "Alice"), attribute.Bool("admin", true)))
	defer span.End(at(time.Second))
	for n, to := range []trace.SpanContext{sig, elsewhere} {
		data := []string{"Hello World", "Hello elsewhere"}[n]
		span.AddLink(trace.Link{SpanContext: to, Attributes: []attribute.KeyValue{attribute.String("data", data)}})
	}
	return errors.New("broken")
}

func main() {
	begin := make(chan os.Signal, 1)
	signal.Notify(begin, syscall.SIGUSR1)
	fmt.Println("ready")
	<-begin
	provider := trace.TracerProvider(sdk.TracerProvider())
	if len(os.Args) > 1 {
		// That of a span that records nothing.
		provider = trace.SpanFromContext(context.Background()).TracerProvider()
	}
	tracer := of(provider)
	ctx, span := tracer.Start(context.Background(), "main", at(0))
	err := run(ctx, tracer, sig(ctx))
	span.RecordError(err, at(2*time.Second), trace.WithStackTrace(true), trace.WithAttributes(attribute.Int("impact", 11)))
	span.SetStatus(codes.Error, "application error")
	span.End(at(5 * time.Second))
}
