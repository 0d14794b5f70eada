package main

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
)

// method is the one that there is, as a path.
const method = "/strobe.Bench/Call"

// raw is a codec for bytes: no generated code is needed.
type raw struct{}

func (raw) Name() string { return "raw" }

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

// Each program of this file serves, whoever is told of an upstream calls it, too.
func init() {
	begin = func() map[string]operation {
		encoding.RegisterCodec(raw{})
		server := grpc.NewServer()
		server.RegisterService(service(), nil)
		listener := listen("listening")
		go func() { panic(server.Serve(listener)) }()
		cc, err := grpc.NewClient("passthrough:///"+*upstream,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.CallContentSubtype("raw")))
		if err != nil {
			panic(err)
		}
		return map[string]operation{"call": func() error { return call(cc) }}
	}
}

// call has some work behind it, so that the service never waits for the upstream: a scheduler that looks for work would hide what a
// call costs.
func call(cc *grpc.ClientConn) error {
	in, out := []byte("x"), []byte(nil)
	if err := cc.Invoke(context.Background(), method, &in, &out); err != nil {
		return err
	}
	for range 8 {
		work()
	}
	return nil
}

// service answers each call with the result of some work.
func service() *grpc.ServiceDesc {
	handler := func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var in []byte
		if err := dec(&in); err != nil {
			return nil, err
		}
		out := []byte(work())
		return &out, nil
	}
	return &grpc.ServiceDesc{
		ServiceName: "strobe.Bench",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Call", Handler: handler}},
	}
}
