package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

// Where a service listens, by index: HTTP/1.1, net/http over TLS (HTTP/2), and x/net without TLS.
const (
	plain = iota
	secure
	clear
)

func serve(begin chan string) []string {
	mux := http.NewServeMux()
	control(mux, begin)
	mux.HandleFunc("/node/{id}", node)
	return []string{
		listen(mux, nil),
		listen(mux, selfSigned()),
		listen(h2c.NewHandler(mux, &http2.Server{}), nil),
	}
}

func listen(h http.Handler, cert *tls.Config) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := &http.Server{Handler: h, TLSConfig: cert}
	if cert != nil {
		go s.ServeTLS(l, "", "")
	} else {
		go s.Serve(l)
	}
	return l.Addr().String()
}

// selfSigned makes a certificate anew at every start.
func selfSigned() *tls.Config {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "forest"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}}
}
