package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// serve listens in all ways, and gives the addresses.
func serve() map[string]string {
	cert := selfSigned()
	secure := func(protocols ...string) *tls.Config {
		return &tls.Config{Certificates: cert.Certificates, NextProtos: protocols}
	}
	handler := http.HandlerFunc(handle)
	places := map[string]string{}
	listen := func(way string) net.Listener {
		l, err := net.Listen("tcp", net.JoinHostPort(env("CHAIN_HOST", "127.0.0.1"), "0"))
		if err != nil {
			panic(err)
		}
		places[way] = l.Addr().String()
		return l
	}
	serve := func(l net.Listener, h http.Handler) {
		s := &http.Server{Handler: h}
		go func() { panic(s.Serve(l)) }()
	}
	serve(listen("h1"), handler)
	serve(tls.NewListener(listen("h1s"), secure("http/1.1")), handler)
	s := &http.Server{Handler: handler, TLSConfig: secure()}
	h2 := listen("h2")
	go func() { panic(s.ServeTLS(h2, "", "")) }()
	serve(listen("h2c"), h2c.NewHandler(handler, &http2.Server{MaxConcurrentStreams: 1000}))
	answer := grpc.UnknownServiceHandler(handleStream)
	plain, over := grpc.NewServer(answer), grpc.NewServer(answer, grpc.Creds(credentials.NewTLS(secure("h2"))))
	g, gs := listen("grpc"), listen("grpcs")
	go func() { panic(plain.Serve(g)) }()
	go func() { panic(over.Serve(gs)) }()
	return places
}

// goOn does what is left of a path's way.
func goOn(ctx context.Context, path string) error {
	words := strings.Split(strings.TrimPrefix(path, "/chain/"), ".")
	if len(words) < 2 || words[1] == "" {
		return nil
	}
	return call(ctx, words[0], words[1:])
}

func handle(w http.ResponseWriter, r *http.Request) {
	if err := goOn(r.Context(), r.URL.Path); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func handleStream(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	if err := goOn(stream.Context(), method); err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	return stream.SendMsg(&emptypb.Empty{})
}

func selfSigned() *tls.Config {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "chain"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}}
}
