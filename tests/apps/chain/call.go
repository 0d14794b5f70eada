package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"
)

// ways are the ways to call.
var ways = []string{"h1", "h1s", "h2", "h2c", "grpc", "grpcs"}

var next = func() map[string]string {
	places := map[string]string{}
	for _, one := range strings.Split(os.Getenv("CHAIN_NEXT"), ",") {
		if way, address, ok := strings.Cut(one, "="); ok {
			places[way] = address
		}
	}
	return places
}()

var authority = os.Getenv("CHAIN_AUTHORITY")

var anybody = &tls.Config{InsecureSkipVerify: true}

var clients = func() map[string]*http.Client {
	dial := func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	client := func(t http.RoundTripper) *http.Client { return &http.Client{Transport: t} }
	return map[string]*http.Client{
		"h1":  client(&http.Transport{MaxIdleConnsPerHost: 256}),
		"h1s": client(&http.Transport{MaxIdleConnsPerHost: 256, TLSClientConfig: anybody.Clone(), TLSNextProto: none()}),
		"h2":  client(&http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: anybody.Clone()}),
		"h2c": client(&http2.Transport{AllowHTTP: true, DialTLSContext: dial}),
	}
}()

func none() map[string]func(string, *tls.Conn) http.RoundTripper {
	return map[string]func(string, *tls.Conn) http.RoundTripper{}
}

var channels = sync.OnceValue(func() map[string]*grpc.ClientConn {
	channel := func(way string, how credentials.TransportCredentials) *grpc.ClientConn {
		options := []grpc.DialOption{grpc.WithTransportCredentials(how)}
		if authority != "" {
			options = append(options, grpc.WithAuthority(authority))
		}
		conn, err := grpc.Dial("passthrough:///"+next[way], options...)
		if err != nil {
			panic(err)
		}
		return conn
	}
	return map[string]*grpc.ClientConn{
		"grpc":  channel("grpc", insecure.NewCredentials()),
		"grpcs": channel("grpcs", credentials.NewTLS(anybody.Clone())),
	}
})

// call asks the next service to do the rest of the way.
func call(ctx context.Context, id string, rest []string) error {
	way, path := rest[0], "/chain/"+id+"."+strings.Join(rest[1:], ".")
	own, states := "", []string{}
	if os.Getenv("CHAIN_OWN") != "" {
		own, states = fmt.Sprintf("00-%032x-%016x-01", hash(id, 1), hash(id, 2)), ownStates(id)
	}
	if strings.HasPrefix(way, "grpc") {
		if own != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", own)
		}
		for _, state := range states {
			ctx = metadata.AppendToOutgoingContext(ctx, "tracestate", state)
		}
		return channels()[way].Invoke(ctx, path, &emptypb.Empty{}, &emptypb.Empty{})
	}
	scheme := "http"
	if way == "h1s" || way == "h2" {
		scheme = "https"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+next[way]+path, nil)
	if err != nil {
		return err
	}
	r.Host = authority
	if own != "" {
		r.Header.Set("Traceparent", own)
	}
	for _, state := range states {
		r.Header.Add("Tracestate", state)
	}
	res, err := clients[way].Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("%s: %s", path, res.Status)
	}
	return nil
}

// ownStates are up to two tracestate headers for an id, of zero to 25 members of 20 bytes together.
func ownStates(id string) []string {
	all := int(hash(id, 3) % 26)
	first := all - int(hash(id, 4)%4)*all/6
	states := make([]string, 2)
	for i := 0; i < all; i++ {
		to := &states[0]
		if i >= first {
			to = &states[1]
		}
		if *to != "" {
			*to += ","
		}
		*to += fmt.Sprintf("k%02d=%015x", i, hash(id, uint64(10+i))>>4)
	}
	switch {
	case all == 0:
		return nil
	case first == all:
		return states[:1]
	}
	return states
}

func hash(id string, seed uint64) uint64 {
	// FNV-1a, and never zero.
	sum := uint64(14695981039346656037) ^ seed
	for _, b := range []byte(id) {
		sum = (sum ^ uint64(b)) * 1099511628211
	}
	return sum | 1
}

// drive begins chains: each over two of the ways, all pairs of them in turn.
func drive(requests, callers, rate int) (int, time.Duration) {
	var failed, begun atomic.Int64
	start := time.Now()
	var all sync.WaitGroup
	for i := 0; i < callers; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for {
				nth := int(begun.Add(1))
				if nth > requests {
					return
				}
				if rate > 0 {
					time.Sleep(time.Until(start.Add(time.Second * time.Duration(nth) / time.Duration(rate))))
				}
				pair := nth % (len(ways) * len(ways))
				id := fmt.Sprintf("%s-%d", env("CHAIN_ID", "chain"), nth)
				if err := call(context.Background(), id, []string{ways[pair/len(ways)], ways[pair%len(ways)]}); err != nil {
					failed.Add(1)
					fmt.Println("failed", id, err)
				}
			}
		}()
	}
	all.Wait()
	return int(failed.Load()), time.Since(start)
}
