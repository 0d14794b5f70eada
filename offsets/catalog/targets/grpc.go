package main

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
)

func main() {
	ctx := context.Background()
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	go grpc.NewServer().Serve(listener)
	conn, err := grpc.Dial("", grpc.WithInsecure())
	println(err, grpc.Invoke(ctx, "/a/b", nil, nil, conn))
	stream, err := grpc.NewClientStream(ctx, &grpc.StreamDesc{}, conn, "/a/b")
	println(stream, err)
	from, ok := peer.FromContext(ctx)
	println(from, ok)
}
