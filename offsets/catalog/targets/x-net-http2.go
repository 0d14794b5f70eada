package main

import (
	"net"
	"net/http"

	"golang.org/x/net/http2"
)

func main() {
	server := &http2.Server{}
	conn, _ := net.Dial("tcp", "")
	go server.ServeConn(conn, &http2.ServeConnOpts{Handler: http.NotFoundHandler()})
	request, _ := http.NewRequest("GET", "https://example.org", nil)
	response, err := (&http2.Transport{}).RoundTrip(request)
	println(response, err)
	framer := http2.NewFramer(conn, conn)
	frame, err := framer.ReadFrame()
	println(frame, err, framer.WriteHeaders(http2.HeadersFrameParam{}))
}
