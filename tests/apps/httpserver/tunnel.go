package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
)

// tunnel carries plain connections to a TLS server that speaks HTTP/2: "httpserver tunnel HOST:PORT". The tests write their frames
// by hand and leave the encryption to this. It runs from a copy of the program, as get does.
func tunnel(server string) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Printf("listening on tunnel://%s\n", l.Addr())
	for {
		client, err := l.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		go carry(client, server)
	}
}

// carry ends both connections when one of them has ended.
func carry(client net.Conn, server string) {
	defer client.Close()
	s, err := tls.Dial("tcp", server, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer s.Close()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{client, s}, {s, client}} {
		from, to := pair[0], pair[1]
		go func() {
			_, _ = io.Copy(to, from)
			done <- struct{}{}
		}()
	}
	<-done
}
