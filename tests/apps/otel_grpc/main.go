// Command otel_grpc is OpenTelemetry's end-to-end application "grpc", written anew: a greeter whose handler makes a span by hand, a call that
// it answers, one that it answers with UNIMPLEMENTED, and one when it has stopped. It needs no generated code: the messages are protobuf's
// own StringValue.
//
// It prints "listening on port N", waits for SIGUSR1, makes the calls, prints "peer ADDRESS" for each that has arrived, as which the handler
// saw the caller, and "refused MESSAGE", and leaves.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var greeter = grpc.ServiceDesc{
	ServiceName: "helloworld.Greeter",
	HandlerType: (*interface{})(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "SayHello", Handler: sayHello}},
}

func sayHello(_ interface{}, ctx context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
	name := new(wrapperspb.StringValue)
	if err := decode(name); err != nil {
		return nil, err
	}
	_, span := otel.Tracer("strobe.test/otel_grpc").Start(ctx, "SayHello")
	defer span.End()
	span.SetAttributes(attribute.String("name", name.GetValue()))
	caller, _ := peer.FromContext(ctx)
	fmt.Println("peer", caller.Addr)
	if name.GetValue() == "nobody" {
		return nil, status.Error(codes.Unimplemented, "nobody is not greeted")
	}
	return wrapperspb.String("Hello " + name.GetValue()), nil
}

func main() {
	begin := make(chan os.Signal, 1)
	signal.Notify(begin, syscall.SIGUSR1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	server := grpc.NewServer()
	server.RegisterService(&greeter, struct{}{})
	stopped := make(chan error)
	go func() { stopped <- server.Serve(l) }()
	port := l.Addr().(*net.TCPAddr).Port
	fmt.Println("listening on port", port)
	<-begin
	channel, err := grpc.NewClient(fmt.Sprintf("localhost:%d", port), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(err)
	defer channel.Close()
	greet := func(name string) error {
		return channel.Invoke(context.Background(), "/helloworld.Greeter/SayHello", wrapperspb.String(name), new(wrapperspb.StringValue))
	}
	must(greet("world"))
	fails(greet("nobody"))
	server.GracefulStop()
	must(<-stopped)
	fmt.Println("refused", fails(greet("world")))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// fails gives the message of an error that is due.
func fails(err error) string {
	if err == nil {
		panic("no error")
	}
	return status.Convert(err).Message()
}
