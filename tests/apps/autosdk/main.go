// Command autosdk makes spans by hand through OpenTelemetry's Auto SDK, in every way that its tests know of (tests/e2e/auto_sdk): it prints
// "listening on http://ADDRESS", runs its cases when it is asked for /go, and prints "done". TRACER says whose tracer it has: of the SDK
// itself, of the API's global provider ("global"), or of a context without a span ("context"). With SPAN_PAIRS it makes many spans at once in place of
// the cases, behind SPANS_FORGOTTEN that never end; with SPANS it does what held.go has under that name; with SPANS_PROFILE, too, at once, writes a profile of that there, and ends.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

const scope = "strobe.test/autosdk"

var (
	about = []trace.TracerOption{trace.WithInstrumentationVersion("v1.2.3"), trace.WithSchemaURL("https://opentelemetry.io/schemas/1.26.0")}
	// Made before anybody attaches.
	global = otel.Tracer(scope, about...)
	tracer = global
)

// passOn writes the context's span into the headers of a request; only a program with passes_on.go does.
var passOn = func(context.Context, http.Header) {}

// ofSDK makes a tracer of the Auto SDK itself; only a program with sdk.go has it.
var ofSDK = func() trace.Tracer { panic("no Auto SDK") }

// instead is what there is to do in place of the cases; only a program with held.go has any.
var instead = map[string]func(){}

// choose takes the tracer that is asked for.
func choose() {
	switch os.Getenv("TRACER") {
	case "global":
	case "context":
		tracer = trace.SpanFromContext(context.Background()).TracerProvider().Tracer(scope, about...)
	default:
		tracer = ofSDK()
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// span makes one that does what it is told, and ends.
func span(ctx context.Context, name string, do func(ctx context.Context)) {
	ctx, span := tracer.Start(ctx, name)
	defer span.End()
	if do != nil {
		do(ctx)
	}
}

func elsewhere(do func()) {
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	<-done
}

// everything has all that a span may have.
func everything(ctx context.Context) {
	began := time.Unix(1700000000, 1)
	remote := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 2}, TraceFlags: trace.FlagsSampled, Remote: true,
	})
	_, span := tracer.Start(ctx, "everything <&> \u00e4",
		trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithTimestamp(began),
		trace.WithLinks(trace.Link{SpanContext: remote, Attributes: []attribute.KeyValue{attribute.String("of", "a link")}}),
		trace.WithAttributes(attribute.String("at", "the start")))
	span.SetAttributes(
		attribute.Bool("bool", true), attribute.Int64("int", -1<<62), attribute.Float64("float", 0.25), attribute.String("string", "a\nb"),
		attribute.BoolSlice("bools", []bool{true, false}), attribute.Int64Slice("ints", []int64{1, -2}),
		attribute.Float64Slice("floats", []float64{1.5}), attribute.StringSlice("strings", []string{"x", "", "z"}))
	span.AddEvent("event", trace.WithTimestamp(began.Add(time.Second)), trace.WithAttributes(attribute.Int("nth", 1)))
	span.RecordError(errors.New("recorded"))
	span.SetStatus(codes.Error, "it failed")
	span.SetName("everything else")
	span.End(trace.WithTimestamp(began.Add(2 * time.Second)))
	span.End()
}

func cases(ctx context.Context, own string) {
	everything(ctx)
	span(ctx, "outer", func(ctx context.Context) {
		span(ctx, "inner", func(ctx context.Context) {
			own := trace.SpanContextFromContext(ctx)
			fmt.Println("ids", own.TraceID(), own.SpanID(), own.IsSampled())
			elsewhere(func() { span(ctx, "innermost, elsewhere", nil) })
		})
		span(ctx, "second", nil)
		// Contexts that others have wrapped.
		type key struct{}
		wrapped, cancel := context.WithTimeout(context.WithValue(context.WithoutCancel(ctx), key{}, 1), time.Hour)
		span(wrapped, "wrapped", nil)
		cancel()
		// A request that the program makes, and what serves it.
		request, err := http.NewRequestWithContext(ctx, "GET", own+"/inner", nil)
		must(err)
		passOn(ctx, request.Header)
		answer, err := http.DefaultClient.Do(request)
		must(err)
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	})
	// The context of a span that has ended.
	var ended context.Context
	span(ctx, "ended", func(ctx context.Context) { ended = ctx })
	span(ended, "below what has ended", nil)
	// It begins here and ends there.
	_, moved := tracer.Start(ctx, "ended elsewhere")
	elsewhere(func() { moved.End() })
	// No context, on the goroutine that serves a request, and on one that it has not made.
	span(context.Background(), "no context", nil)
	_, ok := tracer.Start(ctx, "ok")
	ok.SetStatus(codes.Ok, "not sent")
	ok.End()
	_, large := tracer.Start(ctx, "large")
	large.SetAttributes(attribute.String("text", strings.Repeat("x", 60<<10)))
	large.End()
	_, tooLarge := tracer.Start(ctx, "too large")
	tooLarge.SetAttributes(attribute.String("text", strings.Repeat("x", 70<<10)))
	tooLarge.End()
	// For whom it works is said by a message, not by the goroutine.
	message := trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{15: 9}, SpanID: trace.SpanID{7: 9}, TraceFlags: trace.FlagsSampled,
	}))
	span(message, "for a message", nil)
	_, unwritten := tracer.Start(ctx, "unwritten")
	unwritten.SetAttributes(attribute.Float64("nan", math.NaN()))
	unwritten.End()
	// It never ends.
	_, never := tracer.Start(ctx, "never")
	kept = append(kept, never)
}

var kept []trace.Span

// load has so many goroutines make so many pairs of spans each, one in the other. SPAN_PAUSE milliseconds pass while both are open: without, the
// two cores of a small machine make more than anybody can take from them.
func load(goroutines, pairs int) {
	pause := time.Duration(number("SPAN_PAUSE")) * time.Millisecond
	var all sync.WaitGroup
	for g := 0; g < goroutines; g++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for n := 0; n < pairs; n++ {
				id := strconv.Itoa(g*pairs + n)
				ctx, outer := tracer.Start(context.Background(), "outer "+id)
				_, inner := tracer.Start(ctx, "inner "+id)
				if pause > 0 {
					time.Sleep(pause)
				}
				inner.End()
				outer.End()
			}
		}()
	}
	all.Wait()
}

var forgotten []trace.Span

// forget begins spans, 200 in a second, each of which stays where it is. Of the first and the last ten it remembers in the end.
func forget(n int) {
	for i := 0; i < n; i++ {
		_, span := tracer.Start(context.Background(), fmt.Sprintf("forgotten %d", i))
		forgotten = append(forgotten, span)
		time.Sleep(5 * time.Millisecond)
	}
}

// flood makes spans of nearly 64 KiB each for so long, as fast as two goroutines can.
func flood(long time.Duration) {
	text := strings.Repeat("x", 60_000)
	var all sync.WaitGroup
	for g := 0; g < 2; g++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for begun := time.Now(); time.Since(begun) < long; {
				_, span := tracer.Start(context.Background(), "flood")
				span.SetAttributes(attribute.String("text", text))
				span.End()
			}
		}()
	}
	all.Wait()
}

func number(name string) int {
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		return 0
	}
	return n
}

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	own := "http://" + l.Addr().String()
	http.HandleFunc("/inner", func(w http.ResponseWriter, r *http.Request) {
		span(r.Context(), "in a handler", nil)
	})
	pairs, begin := number("SPAN_PAIRS"), make(chan struct{})
	if path := os.Getenv("SPANS_PROFILE"); path != "" {
		// The API is told some time after the start that somebody listens.
		time.Sleep(2 * time.Second)
		choose()
		f, err := os.Create(path)
		must(err)
		must(pprof.StartCPUProfile(f))
		load(64, pairs)
		pprof.StopCPUProfile()
		must(f.Close())
		return
	}
	go func() {
		// Not on a goroutine that a request has started.
		<-begin
		forget(number("SPANS_FORGOTTEN"))
		load(64, pairs)
		for i, span := range forgotten {
			if i < 10 || i >= len(forgotten)-10 {
				span.End()
			}
		}
		fmt.Println("done")
	}()
	http.HandleFunc("/go", func(w http.ResponseWriter, r *http.Request) {
		choose()
		if pairs > 0 {
			close(begin)
			return
		}
		if do := instead[os.Getenv("SPANS")]; do != nil {
			go func() {
				do()
				fmt.Println("done")
			}()
			return
		}
		cases(r.Context(), own)
		fmt.Println("done")
	})
	http.HandleFunc("/flood", func(w http.ResponseWriter, r *http.Request) {
		choose()
		go flood(5 * time.Second)
		fmt.Fprint(w, "ok")
	})
	http.HandleFunc("/beside", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "ok")
	})
	http.HandleFunc("/recording", func(w http.ResponseWriter, r *http.Request) {
		_, span := global.Start(context.Background(), "recording")
		defer span.End()
		fmt.Fprint(w, span.IsRecording())
	})
	go http.Serve(l, nil)
	fmt.Printf("listening on %s\n", own)
	<-stop
}
