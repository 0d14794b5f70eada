// Command nested makes operations within operations, of one library and of several, once each when it is asked for /go.
//
// KAFKA_BROKER is a broker's address. It makes the topics, prints "listening on URL", waits for a request for /go, makes all operations, prints
// "done", and ends by SIGTERM.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
)

var (
	broker = os.Getenv("KAFKA_BROKER")
	db     *sql.DB
	health grpc_health_v1.HealthClient
)

func main() {
	makeTopics("in", "out", "worker_in", "worker_out")
	var err error
	sql.Register("nested", nested{})
	db, err = sql.Open("nested", "")
	must(err)
	serveHealth()
	stop, begin := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(stop, syscall.SIGTERM)
	http.HandleFunc("/go", func(http.ResponseWriter, *http.Request) { close(begin) })
	http.HandleFunc("/chain", func(_ http.ResponseWriter, r *http.Request) {
		_, err := health.Check(r.Context(), &grpc_health_v1.HealthCheckRequest{})
		must(err)
	})
	http.HandleFunc("/message", func(_ http.ResponseWriter, r *http.Request) { passOn(r.Context(), "in", "handled", "out") })
	http.HandleFunc("/sql", func(_ http.ResponseWriter, r *http.Request) { withinEachOther(r.Context()) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go http.Serve(l, nil)
	fmt.Printf("listening on http://%s\n", l.Addr())
	<-begin
	write(context.Background(), "in")
	write(context.Background(), "worker_in")
	passOn(context.Background(), "worker_in", "worked", "worker_out")
	for _, path := range []string{"/chain", "/message", "/sql"} {
		answer, err := http.Get("http://" + l.Addr().String() + path)
		must(err)
		answer.Body.Close()
	}
	fmt.Println("done")
	<-stop
}

// passOn receives a message, asks the database, and sends another.
func passOn(ctx context.Context, from, table, to string) {
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{broker}, Topic: from, MaxWait: 100 * time.Millisecond})
	_, err := reader.FetchMessage(ctx)
	must(err)
	query(ctx, table)
	write(ctx, to)
	must(reader.Close())
}

func write(ctx context.Context, topic string) {
	w := &kafka.Writer{Addr: kafka.TCP(broker), Topic: topic, BatchTimeout: 10 * time.Millisecond, RequiredAcks: kafka.RequireAll}
	must(w.WriteMessages(ctx, kafka.Message{Value: []byte("secret")}))
	must(w.Close())
}

func makeTopics(topics ...string) {
	conn, err := kafka.Dial("tcp", broker)
	must(err)
	defer conn.Close()
	for _, topic := range topics {
		must(conn.CreateTopics(kafka.TopicConfig{Topic: topic, NumPartitions: 1, ReplicationFactor: 1}))
		for {
			if partitions, err := conn.ReadPartitions(topic); err == nil && len(partitions) > 0 && partitions[0].Leader.Host != "" {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// checks asks the database for each RPC.
type checks struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (checks) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	query(ctx, "chained")
	return &grpc_health_v1.HealthCheckResponse{}, nil
}

func serveHealth() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, checks{})
	go server.Serve(l)
	conn, err := grpc.Dial(l.Addr().String(), grpc.WithInsecure())
	must(err)
	health = grpc_health_v1.NewHealthClient(conn)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
