// Command sdk is a program with OpenTelemetry's SDK: its calls over HTTP/1.1 (otelhttp) and gRPC (otelgrpc) have a traceparent of their own,
// whose header's name is spelled in four ways over HTTP. It calls itself, and the server that the variable RECORDER names, which keeps what
// it gets (tests/support/recorder.rs).
//
// It prints "listening on http://ADDRESS", waits for a request for /go, makes its calls, prints "done", and serves until SIGTERM. Meanwhile
// it prints a line of JSON for each span that its SDK begins, and one for each request that has arrived here.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"
)

// calls are made in each of the ways, by so many callers at a time.
const calls, callers = 24, 4

// told prints whatever is known of the SDK's spans when they begin.
type told struct{}

func (told) OnStart(_ context.Context, span sdktrace.ReadWriteSpan) {
	carrier, made := propagation.MapCarrier{}, span.SpanContext()
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), made), carrier)
	parent := ""
	if span.Parent().IsValid() {
		parent = span.Parent().SpanID().String()
	}
	tell(map[string]interface{}{
		"what":        span.SpanKind().String(),
		"name":        span.Name(),
		"trace_id":    made.TraceID().String(),
		"span_id":     made.SpanID().String(),
		"parent_id":   parent,
		"traceparent": carrier["traceparent"],
	})
}

func (told) OnEnd(sdktrace.ReadOnlySpan)      {}
func (told) Shutdown(context.Context) error   { return nil }
func (told) ForceFlush(context.Context) error { return nil }

var lines sync.Mutex

func tell(line map[string]interface{}) {
	text, err := json.Marshal(line)
	must(err)
	lines.Lock()
	defer lines.Unlock()
	fmt.Println(string(text))
}

// arrived says which contexts a request has come with, whose names are those of a header or of metadata.
func arrived(name string, header map[string][]string) {
	contexts := []string{}
	for key, values := range header {
		if strings.EqualFold(key, "traceparent") {
			contexts = append(contexts, values...)
		}
	}
	tell(map[string]interface{}{"what": "arrived", "name": name, "traceparents": contexts})
}

var spellings = []string{"Traceparent", "traceparent", "TRACEPARENT", "tRaCePaReNt"}

// respelled spells the header's name in another way, as programs may that fill the map themselves.
type respelled struct{ base http.RoundTripper }

func (t respelled) RoundTrip(r *http.Request) (*http.Response, error) {
	nth, err := strconv.Atoi(r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
	must(err)
	own := r.Header["Traceparent"]
	// It is otelhttp's copy of the request.
	delete(r.Header, "Traceparent")
	r.Header[spellings[nth%len(spellings)]] = own
	return t.base.RoundTrip(r)
}

func byPath(_ string, r *http.Request) string { return r.URL.Path }

// client is how a program with otelhttp calls.
var client *http.Client

// channel is how one with otelgrpc does.
var channel *grpc.ClientConn

func get(url string) {
	res, err := client.Get(url)
	must(err)
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	must(err)
}

func call(ctx context.Context, nth int) {
	must(channel.Invoke(ctx, fmt.Sprintf("/strobe.test.Own/Call%d", nth), new(emptypb.Empty), new(emptypb.Empty)))
}

// methods are twice as many as calls: those of the calls, and those that handlers make.
func methods() []grpc.MethodDesc {
	var all []grpc.MethodDesc
	for i := 0; i < 2*calls; i++ {
		name := fmt.Sprintf("Call%d", i)
		all = append(all, grpc.MethodDesc{
			MethodName: name,
			Handler: func(_ interface{}, ctx context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
				if err := decode(new(emptypb.Empty)); err != nil {
					return nil, err
				}
				header, _ := metadata.FromIncomingContext(ctx)
				arrived("strobe.test.Own/"+name, header)
				return new(emptypb.Empty), nil
			},
		})
	}
	return all
}

func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	return l
}

func main() {
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(told{})))
	otel.SetTextMapPropagator(propagation.TraceContext{})
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	begin := make(chan struct{})
	var once sync.Once

	rpcs := grpc.NewServer(grpc.StatsHandler(otelgrpc.NewServerHandler()))
	rpcs.RegisterService(&grpc.ServiceDesc{ServiceName: "strobe.test.Own", HandlerType: (*interface{})(nil), Methods: methods()}, struct{}{})
	l := listen()
	go func() { must(rpcs.Serve(l)) }()
	var err error
	channel, err = grpc.Dial("passthrough:///"+l.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStatsHandler(otelgrpc.NewClientHandler()))
	must(err)
	transport := otelhttp.NewTransport(respelled{&http.Transport{MaxIdleConnsPerHost: callers}}, otelhttp.WithSpanNameFormatter(byPath))
	client = &http.Client{Transport: transport}

	mux, traced := http.NewServeMux(), http.NewServeMux()
	traced.HandleFunc("/served/", func(_ http.ResponseWriter, r *http.Request) { arrived(r.URL.Path, r.Header) })
	traced.HandleFunc("/through/", func(_ http.ResponseWriter, r *http.Request) {
		arrived(r.URL.Path, r.Header)
		nth, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/through/"))
		must(err)
		call(r.Context(), calls+nth)
	})
	mux.Handle("/", otelhttp.NewHandler(traced, "", otelhttp.WithSpanNameFormatter(byPath)))
	mux.HandleFunc("/go", func(http.ResponseWriter, *http.Request) { once.Do(func() { close(begin) }) })
	l = listen()
	go func() { must(http.Serve(l, mux)) }()
	here := "http://" + l.Addr().String()
	fmt.Println("listening on", here)
	select {
	case <-begin:
	case <-stop:
		return
	}
	var all sync.WaitGroup
	for caller := 0; caller < callers; caller++ {
		all.Add(1)
		go func(first int) {
			defer all.Done()
			for nth := first; nth < calls; nth += callers {
				get(fmt.Sprintf("http://%s/recorded/%d", os.Getenv("RECORDER"), nth))
				get(fmt.Sprintf("%s/served/%d", here, nth))
				get(fmt.Sprintf("%s/through/%d", here, nth))
				call(context.Background(), nth)
			}
		}(caller)
	}
	all.Wait()
	fmt.Println("done")
	<-stop
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
