// Command grpc makes every kind of RPC that the end-to-end tests expect spans of: servers and clients are one program, on loopback.
// Each case has a method of its own, by which the tests know its spans. It needs no generated code: messages are bytes.
//
// It prints where its servers are, waits for a request for /go, runs all cases once, prints "done", and serves until SIGTERM. With
// LOAD=N it makes N calls in place of the cases, 64 at once, and CPUPROFILE=FILE has its profile written; with LEAK=N it opens N streams,
// none of which it ever ends.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
)

// raw is a codec for bytes.
type raw struct{}

func (raw) Name() string { return "raw" }

func (raw) Marshal(v interface{}) ([]byte, error) { return *v.(*[]byte), nil }

func (raw) Unmarshal(data []byte, v interface{}) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

// slow is how many times as long everything may take.
var slow time.Duration = 1

func main() {
	encoding.RegisterCodec(raw{})
	log.SetOutput(io.Discard)
	if n, _ := strconv.Atoi(os.Getenv("SLOW")); n > 0 {
		slow = time.Duration(n)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	begin := make(chan struct{})
	var once sync.Once
	mux := http.NewServeMux()
	mux.HandleFunc("/go", func(http.ResponseWriter, *http.Request) { once.Do(func() { close(begin) }) })
	control, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go http.Serve(control, mux)
	at := servers()
	defer os.RemoveAll(filepath.Dir(at.unix))
	fmt.Printf("plain %s\nserved %s\nclosed %s\nunix %s\nrefuses %s\n", at.plain, at.served, at.closed, at.unix, at.refuses)
	fmt.Printf("control %s\n", control.Addr())
	select {
	case <-begin:
	case <-stop:
		return
	}
	if n, _ := strconv.Atoi(os.Getenv("LOAD")); n > 0 {
		stop := profile(os.Getenv("CPUPROFILE"))
		load(at, n)
		stop()
	} else if n, _ := strconv.Atoi(os.Getenv("LEAK")); n > 0 {
		defer runtime.KeepAlive(leak(at, n))
	} else if n, _ := strconv.Atoi(os.Getenv("CROWD")); n > 0 {
		crowd(at, n)
	} else if os.Getenv("WITHIN") != "" {
		within(dial(at.plain), at.plain)
	} else {
		cases(at)
	}
	fmt.Println("done")
	<-stop
}

// profile writes a CPU profile to this file, if there is one, until what it gives is called.
func profile(name string) func() {
	if name == "" {
		return func() {}
	}
	f, err := os.Create(name)
	must(err)
	must(pprof.StartCPUProfile(f))
	return func() {
		pprof.StopCPUProfile()
		must(f.Close())
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// dial makes a channel; its calls send bytes.
func dial(target string, more ...grpc.DialOption) *grpc.ClientConn {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.CallContentSubtype("raw")),
	}
	cc, err := grpc.Dial(target, append(options, more...)...)
	must(err)
	return cc
}

// call makes a unary call.
func call(ctx context.Context, cc *grpc.ClientConn, name string) error {
	in, out := []byte(name), []byte(nil)
	return cc.Invoke(ctx, "/strobe.Test/"+name, &in, &out)
}

// stream opens a stream of any kind.
func stream(ctx context.Context, cc *grpc.ClientConn, name string) (grpc.ClientStream, error) {
	desc := &grpc.StreamDesc{StreamName: name, ServerStreams: true, ClientStreams: true}
	return cc.NewStream(ctx, desc, "/strobe.Test/"+name)
}

func send(s grpc.Stream, text string) error {
	b := []byte(text)
	return s.SendMsg(&b)
}

func receive(s grpc.Stream) (string, error) {
	var b []byte
	err := s.RecvMsg(&b)
	return string(b), err
}

// drain reads to the end.
func drain(s grpc.ClientStream) error {
	for {
		if _, err := receive(s); err != nil {
			return err
		}
	}
}
