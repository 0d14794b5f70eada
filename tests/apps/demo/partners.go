package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// bank is a gRPC service without generated code: it is charged a number of cents.
var bank = grpc.ServiceDesc{
	ServiceName: "bank.Bank",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Charge", Handler: charge}},
}

func charge(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	time.Sleep(6 * time.Millisecond)
	return new(emptypb.Empty), decode(new(wrapperspb.Int64Value))
}

// partners are what the shop needs beside itself.
func partners(folder string) {
	fill(folder)
	server := grpc.NewServer()
	server.RegisterService(&bank, struct{}{})
	l := listen()
	fmt.Println("bank at", l.Addr())
	go server.Serve(l)
	courier := http.NewServeMux()
	courier.HandleFunc("POST /parcels", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(4 * time.Millisecond)
		w.WriteHeader(http.StatusAccepted)
	})
	serve("courier at", courier)
}

func open(folder string) *sql.DB {
	db, err := sql.Open("sqlite", filepath.Join(folder, "books"))
	must(err)
	return db
}

func fill(folder string) {
	db := open(folder)
	defer db.Close()
	for _, statement := range []string{
		"CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT, cents INTEGER)",
		"INSERT INTO books VALUES (1, 'The Go Programming Language', 3999), (2, 'BPF Performance Tools', 4999)",
	} {
		_, err := db.Exec(statement)
		must(err)
	}
}
