// Command httpserver is the service that the end-to-end tests trace: one handler for every way in which a net/http
// handler can begin, answer and end. It uses the standard library alone and builds with Go 1.19 and later; what a Go
// version cannot do (patterns before 1.22, HTTP/2 without TLS before 1.24) is left out by build tags.
//
// It prints one line "listening on URL" for each listener, serves until SIGTERM or SIGINT, and leaves with -exit.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "get" {
		os.Exit(get(os.Args[2:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "tunnel" {
		os.Exit(tunnel(os.Args[2]))
	}
	addr := flag.String("addr", "127.0.0.1:0", "listen `address`")
	tls := flag.Bool("tls", false, "listen for HTTPS too (HTTP/1.1 and HTTP/2)")
	unix := flag.String("unix", "", "listen on a Unix socket at this `path` too")
	exit := flag.Int("exit", 0, "exit `status` to leave with")
	now := flag.Bool("now", false, "leave at once, without serving")
	profile := flag.String("cpuprofile", "", "write a CPU profile to this `file`")
	die := flag.Int("die", 0, "leave at once by this `signal`")
	flag.Parse()

	if *die != 0 {
		// A default action that Go's runtime does not soften.
		signal.Reset()
		_ = syscall.Kill(os.Getpid(), syscall.Signal(*die))
		time.Sleep(5 * time.Second)
	}
	if *now {
		os.Exit(*exit)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)

	if *profile != "" {
		file, err := os.Create(*profile)
		if err != nil {
			log.Fatal(err)
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			log.Fatal(err)
		}
	}
	servers := []*http.Server{serve("tcp", *addr, "http", nil)}
	if *unix != "" {
		servers = append(servers, serve("unix", *unix, "unix", nil))
	}
	if *tls {
		servers = append(servers, serve("tcp", *addr, "https", selfSigned()))
	}
	<-stop
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, s := range servers {
		_ = s.Shutdown(ctx)
	}
	// It does nothing where none was begun.
	pprof.StopCPUProfile()
	os.Exit(*exit)
}

// prepare says which protocols a server speaks; its TLSConfig is set if it is for HTTPS.
var prepare = allowHTTP2WithoutTLS

// serve starts one listener and says where it is.
func serve(network, addr, scheme string, cert *certificate) *http.Server {
	l, err := net.Listen(network, addr)
	if err != nil {
		log.Fatalf("listen on %s: %v", addr, err)
	}
	s := &http.Server{Handler: newService(), ErrorLog: log.New(io.Discard, "", 0)}
	if cert != nil {
		s.TLSConfig = cert.config()
	}
	prepare(s)
	fmt.Printf("listening on %s://%s\n", scheme, l.Addr())
	go func() {
		if cert != nil {
			_ = s.ServeTLS(l, "", "")
			return
		}
		_ = s.Serve(l)
	}()
	return s
}
