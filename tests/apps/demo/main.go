// Command demo is a small bookshop: the service that scripts/demo traces. It knows nothing of tracing, but that it makes one span by hand.
//
//	demo partners FOLDER                       plays the bank and the courier, and fills the database "books" in that folder
//	demo shop FOLDER BANK COURIER              the shop, given the addresses that the partners have printed
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "partners" {
		partners(os.Args[2])
	} else if len(os.Args) == 5 && os.Args[1] == "shop" {
		serve("listening on", routes(os.Args[2], os.Args[3], os.Args[4]))
	} else {
		log.Fatal("usage: demo partners FOLDER | demo shop FOLDER BANK COURIER")
	}
}

// serve prints where it listens, and serves until it is told to end.
func serve(saying string, handler http.Handler) {
	l := listen()
	fmt.Printf("%s http://%s\n", saying, l.Addr())
	server := &http.Server{Handler: handler}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go func() {
		<-ctx.Done()
		_ = server.Shutdown(context.Background())
	}()
	if err := server.Serve(l); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}

func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	return l
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
