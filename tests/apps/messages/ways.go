package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type sender = func(nth int, m message) (string, error)

// ways have a server each, and a way to send to it.
var ways = map[string]func() sender{"h1": overH1, "h2": overH2, "h2c": overH2C, "grpc": overGRPC}

// Connections at once, and how many messages go over a connection of HTTP/1.x before another one takes its place.
const connections, each = 4, 50

func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	return l
}

func overH1() sender {
	l := listen()
	go http.Serve(l, http.HandlerFunc(handle))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	return overHTTP("http://"+l.Addr().String(), client)
}

func overH2() sender {
	l := listen()
	s := &http.Server{Handler: http.HandlerFunc(handle), TLSConfig: &tls.Config{Certificates: []tls.Certificate{selfSigned()}}}
	go s.ServeTLS(l, "", "")
	var clients []*http.Client
	for i := 0; i < connections; i++ {
		clients = append(clients, &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}})
	}
	return overHTTP("https://"+l.Addr().String(), clients...)
}

func overH2C() sender {
	l := listen()
	go http.Serve(l, h2c.NewHandler(http.HandlerFunc(handle), &http2.Server{}))
	dial := func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	var clients []*http.Client
	for i := 0; i < connections; i++ {
		clients = append(clients, &http.Client{Transport: &http2.Transport{AllowHTTP: true, DialTLSContext: dial}})
	}
	return overHTTP("http://"+l.Addr().String(), clients...)
}

func overHTTP(server string, clients ...*http.Client) sender {
	return func(nth int, m message) (string, error) {
		r, err := http.NewRequest(http.MethodPost, server+m.path, bytes.NewReader(m.body))
		if err != nil {
			return "", err
		}
		for name, value := range m.all() {
			r.Header.Set(name, value)
		}
		r.Close = len(clients) == 1 && nth%each == 0
		res, err := clients[nth%len(clients)].Do(r)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		return string(answer), err
	}
}

func overGRPC() sender {
	l := listen()
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		path, _ := grpc.MethodFromServerStream(stream)
		var body wrapperspb.BytesValue
		if err := stream.RecvMsg(&body); err != nil {
			return err
		}
		all, _ := metadata.FromIncomingContext(stream.Context())
		arrived(path, all, body.Value)
		return stream.SendMsg(wrapperspb.String(path))
	}))
	go s.Serve(l)
	var channels []*grpc.ClientConn
	for i := 0; i < connections; i++ {
		c, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		must(err)
		channels = append(channels, c)
	}
	return func(nth int, m message) (string, error) {
		ctx := metadata.NewOutgoingContext(context.Background(), metadata.New(m.all()))
		var answer wrapperspb.StringValue
		err := channels[nth%len(channels)].Invoke(ctx, m.path, wrapperspb.Bytes(m.body), &answer)
		return strings.TrimSpace(answer.Value), err
	}
}

func selfSigned() tls.Certificate {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	must(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}
