//! The program of the matrix: it uses what the catalog's first libraries are, in versions that its Go release can build.

use strobe_tests::golang;

/// It need not run: what is reachable is what counts.
pub const SOURCE: &str = r#"package main

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/segmentio/kafka-go"
	"go.opentelemetry.io/otel"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func main() {
	ctx, span := otel.Tracer("matrix").Start(context.Background(), "main")
	defer span.End()
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
	_, err = healthpb.NewHealthClient(client).Check(ctx, &healthpb.HealthCheckRequest{})
	fmt.Println(status.Code(err))
	for _, topic := range os.Args[1:] {
		fmt.Println((&kafka.Writer{Topic: topic}).WriteMessages(ctx, kafka.Message{}))
		fmt.Println(kafka.NewReader(kafka.ReaderConfig{Topic: topic}).ReadMessage(ctx))
		fmt.Println((&http.Client{Transport: &http2.Transport{}}).Get(topic))
		db, err := sql.Open(topic, topic)
		if err == nil {
			fmt.Println(db.QueryContext(ctx, topic))
		}
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	panic(http.ListenAndServe("127.0.0.1:0", nil))
}
"#;

/// What go.mod requires: path and version.
pub fn modules(version: &str) -> &'static [(&'static str, &'static str)] {
    match golang::minor(version) {
        ..=20 => &OLD,
        21..=25 => &MIDDLE,
        _ => &NEW,
    }
}

const OLD: [(&str, &str); 6] = [
    ("github.com/segmentio/kafka-go", "v0.4.38"),
    ("go.opentelemetry.io/otel", "v1.11.0"),
    ("go.opentelemetry.io/otel/trace", "v1.11.0"),
    ("golang.org/x/net", "v0.7.0"),
    ("google.golang.org/grpc", "v1.53.0"),
    ("google.golang.org/protobuf", "v1.28.1"),
];

const MIDDLE: [(&str, &str); 6] = [
    ("github.com/segmentio/kafka-go", "v0.4.47"),
    ("go.opentelemetry.io/otel", "v1.26.0"),
    ("go.opentelemetry.io/otel/trace", "v1.26.0"),
    ("golang.org/x/net", "v0.25.0"),
    ("google.golang.org/grpc", "v1.64.0"),
    ("google.golang.org/protobuf", "v1.34.1"),
];

/// `go.opentelemetry.io/auto/sdk` and genproto's `rpc` come with these.
const NEW: [(&str, &str); 6] = [
    ("github.com/segmentio/kafka-go", "v0.4.51"),
    ("go.opentelemetry.io/otel", "v1.47.0"),
    ("go.opentelemetry.io/otel/trace", "v1.47.0"),
    ("golang.org/x/net", "v0.62.0"),
    ("google.golang.org/grpc", "v1.85.0"),
    ("google.golang.org/protobuf", "v1.36.12"),
];
