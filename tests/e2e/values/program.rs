//! The programs: everything that the catalog's roles name is reachable, in versions that a Go release can build.

use strobe_tests::golang::go;

/// It need not run.
pub const SOURCE: &str = r#"package main

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/segmentio/kafka-go"
	"go.opentelemetry.io/auto/sdk"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	ctx, span := sdk.TracerProvider().Tracer("values").Start(context.Background(), "main")
	defer span.End()
	_, global := otel.Tracer("values").Start(ctx, "global")
	_, context := trace.SpanFromContext(ctx).TracerProvider().Tracer("values").Start(ctx, "context")
	fmt.Println(global, context)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, health.NewServer())
	go server.Serve(listener)
	client, err := grpc.Dial(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	fmt.Println(healthpb.NewHealthClient(client).Check(ctx, &healthpb.HealthCheckRequest{}))
	for _, text := range os.Args[1:] {
		fmt.Println((&kafka.Writer{Topic: text}).WriteMessages(ctx, kafka.Message{}))
		reader := kafka.NewReader(kafka.ReaderConfig{Topic: text})
		message, err := reader.FetchMessage(ctx)
		fmt.Println(reader.CommitMessages(ctx, message), err)
		fmt.Println(http.Get(text))
		fmt.Println((&http.Client{Transport: &http2.Transport{}}).Get(text))
		db, err := sql.Open(text, text)
		fmt.Println(err)
		fmt.Println(db.QueryContext(ctx, text))
		fmt.Println(db.ExecContext(ctx, text))
		statement, err := db.PrepareContext(ctx, text)
		fmt.Println(err)
		fmt.Println(statement.QueryContext(ctx))
		fmt.Println(statement.ExecContext(ctx))
		conn, err := listener.Accept()
		fmt.Println(err)
		(&http2.Server{}).ServeConn(conn, &http2.ServeConnOpts{})
	}
	http.Handle("/grpc", server)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	panic(http.ListenAndServe("127.0.0.1:0", nil))
}
"#;

/// One program: the Go release, gRPC's version, and the versions that go with that release.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// `1.22.12`.
    pub go: &'static str,
    /// What go.mod requires: path and version.
    pub modules: &'static [(&'static str, &'static str)],
}

macro_rules! program {
    ($go:expr, grpc $grpc:literal, kafka $kafka:literal, sdk $sdk:literal $otel:literal, net $net:literal) => {
        Program {
            go: $go,
            modules: &[
                ("google.golang.org/grpc", $grpc),
                ("github.com/segmentio/kafka-go", $kafka),
                ("go.opentelemetry.io/auto/sdk", $sdk),
                ("go.opentelemetry.io/otel", $otel),
                ("go.opentelemetry.io/otel/trace", $otel),
                ("golang.org/x/net", $net),
            ],
        }
    };
}

/// The first and the last are those of a quick run.
pub const ALL: [Program; 9] = [
    program!(go(22), grpc "v1.40.0", kafka "v0.4.10", sdk "v1.1.0" "v1.34.0", net "v0.17.0"),
    program!(go(22), grpc "v1.58.0", kafka "v0.4.39", sdk "v1.1.0" "v1.34.0", net "v0.17.0"),
    program!(go(22), grpc "v1.59.0", kafka "v0.4.39", sdk "v1.1.0" "v1.34.0", net "v0.17.0"),
    program!(go(22), grpc "v1.60.0", kafka "v0.4.39", sdk "v1.1.0" "v1.34.0", net "v0.30.0"),
    program!(go(24), grpc "v1.69.0", kafka "v0.4.47", sdk "v1.1.0" "v1.36.0", net "v0.44.0"),
    program!(go(24), grpc "v1.77.0", kafka "v0.4.47", sdk "v1.2.1" "v1.38.0", net "v0.47.0"),
    program!(go(26), grpc "v1.69.0", kafka "v0.4.51", sdk "v1.2.1" "v1.38.0", net "v0.62.0"),
    program!(go(26), grpc "v1.85.0", kafka "v0.4.51", sdk "v1.2.1" "v1.38.0", net "v0.62.0"),
    program!(go(27), grpc "v1.85.0", kafka "v0.4.51", sdk "v1.2.1" "v1.38.0", net "v0.62.0"),
];
