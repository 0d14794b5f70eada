// Command otel_gin is OpenTelemetry's end-to-end application "gin", written anew: an engine with one route, and one call to it.
//
// It prints "listening on port N", waits for SIGUSR1, makes the call, prints "peer ADDRESS", as which the handler saw the caller, and
// leaves.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/gin-gonic/gin"
)

func main() {
	begin := make(chan os.Signal, 1)
	signal.Notify(begin, syscall.SIGUSR1)
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/hello-gin", func(c *gin.Context) { c.String(http.StatusOK, c.Request.RemoteAddr) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go http.Serve(l, engine)
	port := l.Addr().(*net.TCPAddr).Port
	fmt.Println("listening on port", port)
	<-begin
	answer, err := http.Get(fmt.Sprintf("http://localhost:%d/hello-gin", port))
	must(err)
	defer answer.Body.Close()
	peer, err := io.ReadAll(answer.Body)
	must(err)
	fmt.Printf("peer %s\n", peer)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
