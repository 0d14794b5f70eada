package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

const retries = `{"methodConfig": [{"name": [{"service": "strobe.Test"}], "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.01s", "maxBackoff": "0.01s", "backoffMultiplier": 1.0, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`

func cases(at *place) {
	bg := context.Background()
	cc := dial(at.plain)
	for _, name := range []string{"ok", "intercepted", "panics", "wrapped", "plain", "context-canceled", "context-deadline", "own-code", long(256), long(300)} {
		call(bg, cc, name)
	}
	for code := 1; code <= 16; code++ {
		call(bg, cc, fmt.Sprintf("code-%d", code))
	}
	call(bg, cc, "no-such-method")
	in, out := []byte("x"), []byte(nil)
	cc.Invoke(bg, "/strobe.Nothing/Call", &in, &out)
	cc.Invoke(bg, "/malformed", &in, &out)
	limited(bg, cc, "deadline")
	ctx, cancel := context.WithCancel(bg)
	time.AfterFunc(50*slow*time.Millisecond, cancel)
	call(ctx, cc, "cancelled")
	// More than the channel lets pass.
	big := make([]byte, 5<<20)
	cc.Invoke(bg, "/strobe.Test/large", &big, &out)
	call(bg, dial(at.plain, grpc.WithDefaultServiceConfig(retries)), "retried")
	streaming(cc)
	unreachable(at)
	traces(cc)
	call(bg, dial("unix:"+at.unix), "unix")
	// Refused at first, and sent again without anybody's asking.
	call(bg, dial(at.refuses), "refused-once")
	graceful(at)
	for _, name := range []string{"in-context", "in-background", "in-started"} {
		call(bg, cc, name)
	}
	if s, err := stream(bg, cc, "stream-inside"); err == nil {
		drain(s)
	}
	served(at)
	many(at)
}

func limited(ctx context.Context, cc *grpc.ClientConn, name string) {
	ctx, cancel := context.WithTimeout(ctx, 50*slow*time.Millisecond)
	defer cancel()
	call(ctx, cc, name)
}

func streaming(cc *grpc.ClientConn) {
	bg := context.Background()
	open := func(ctx context.Context, name string) grpc.ClientStream {
		s, err := stream(ctx, cc, name)
		must(err)
		return s
	}
	s := open(bg, "server-stream")
	send(s, "go")
	s.CloseSend()
	drain(s)
	for _, name := range []string{"client-stream", "bidi"} {
		s := open(bg, name)
		for i := 0; i < 3; i++ {
			send(s, "text")
		}
		s.CloseSend()
		drain(s)
	}
	drain(open(bg, "stream-breaks"))
	ctx, cancel := context.WithCancel(bg)
	s = open(ctx, "stream-cancelled")
	receive(s)
	cancel()
	drain(s)
	ctx, cancel = context.WithTimeout(bg, 50*slow*time.Millisecond)
	drain(open(ctx, "stream-deadline"))
	cancel()
	// Begun here, read and ended elsewhere, while this goroutine calls.
	s = open(bg, "stream-elsewhere")
	done := make(chan struct{})
	go func() {
		send(s, "text")
		s.CloseSend()
		drain(s)
		close(done)
	}()
	call(bg, cc, "on-another")
	<-done
	// Its channel is closed, and nobody reads it any more.
	own := dial(cc.Target())
	if s, err := stream(bg, own, "stream-closed"); err == nil {
		receive(s)
	}
	own.Close()
	time.Sleep(50 * slow * time.Millisecond)
}

func unreachable(at *place) {
	cc := dial(at.closed)
	call(context.Background(), cc, "refused")
	if s, err := stream(context.Background(), cc, "refused-stream"); err == nil {
		drain(s)
	}
}

// traced is a context with a traceparent, whose trace is this number in hex and whose span begins with that digit.
func traced(ctx context.Context, number, digit string) context.Context {
	trace := strings.Repeat("0", 32-len(number)) + number
	return metadata.AppendToOutgoingContext(ctx, "traceparent", "00-"+trace+"-"+digit+trace[17:]+"-01")
}

func traces(cc *grpc.ClientConn) {
	ctx := traced(context.Background(), "a1", "a")
	call(metadata.AppendToOutgoingContext(ctx, "tracestate", "one=1", "tracestate", "two=2"), cc, "traced")
	call(traced(traced(context.Background(), "a2", "a"), "a2", "b"), cc, "traced-twice")
	call(metadata.AppendToOutgoingContext(context.Background(), "traceparent", "00-nonsense"), cc, "traced-invalid")
}

func graceful(at *place) {
	server := newServer(at)
	cc := dial(serve(server, "tcp", "127.0.0.1:0"))
	done := make(chan struct{})
	go func() {
		call(context.Background(), cc, "graceful")
		close(done)
	}()
	time.Sleep(100 * slow * time.Millisecond)
	server.GracefulStop()
	<-done
}

func served(at *place) {
	secure := grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}))
	cc := dial(at.served, secure)
	bg := context.Background()
	call(bg, cc, "served")
	call(traced(bg, "a3", "a"), cc, "served-traced")
	limited(bg, cc, "served-deadline")
	if s, err := stream(bg, cc, "served-bidi"); err == nil {
		send(s, "text")
		s.CloseSend()
		drain(s)
	}
	call(bg, cc, "served-in-context")
}

// many has callers over several channels, on which streams have the same numbers.
func many(at *place) {
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		cc := dial(at.plain)
		for n := 0; n < 8; n++ {
			all.Add(1)
			go func(number int) {
				defer all.Done()
				for k := 0; k < 8; k++ {
					call(traced(context.Background(), fmt.Sprintf("%x", 0x10000+number*8+k), "c"), cc, "many")
				}
			}(i*8 + n)
		}
	}
	all.Wait()
}

// load makes n calls, each of which makes another.
func load(at *place, n int) {
	const callers = 64
	began := time.Now()
	var all sync.WaitGroup
	for i := 0; i < callers; i++ {
		all.Add(1)
		cc := dial(at.plain)
		go func(first int) {
			defer all.Done()
			for k := first; k < n; k += callers {
				number := fmt.Sprintf("%x", 0x1000000+k)
				in, out := []byte(number), []byte(nil)
				must(cc.Invoke(traced(context.Background(), number, "a"), "/strobe.Test/load", &in, &out))
			}
		}(i)
	}
	all.Wait()
	fmt.Printf("took %d ms\n", time.Since(began).Milliseconds())
}

// leak opens n streams whose ends nobody reads, 200 in a second, and then makes a hundred calls.
// crowd makes so many calls at once, each of which waits for the others.
func crowd(at *place, n int) {
	cc := dial(at.plain)
	var wg sync.WaitGroup
	for i := 0; i < n; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			must(call(context.Background(), cc, "graceful"))
		}()
	}
	wg.Wait()
}

func leak(at *place, n int) []grpc.ClientStream {
	cc := dial(at.plain)
	var open []grpc.ClientStream
	for i := 0; i < n; i++ {
		s, err := stream(context.Background(), cc, "nobody-reads")
		must(err)
		open = append(open, s)
		time.Sleep(5 * time.Millisecond)
	}
	for i := 0; i < 100; i++ {
		must(call(context.Background(), cc, "behind-a-leak"))
	}
	return open
}
