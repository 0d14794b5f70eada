package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/auto/sdk"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	_ "modernc.org/sqlite"
)

var tracer = sdk.TracerProvider().Tracer("bookshop")

type shop struct {
	books   *sql.DB
	bank    *grpc.ClientConn
	courier string
}

func routes(folder, bank, courier string) http.Handler {
	channel, err := grpc.NewClient(bank, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(err)
	s := &shop{open(folder), channel, courier}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /books/{id}", s.show)
	mux.HandleFunc("POST /orders/{id}", s.order)
	mux.HandleFunc("GET /reports/{year}", report)
	return mux
}

func (s *shop) find(ctx context.Context, id string) (title string, cents int64, err error) {
	row := s.books.QueryRowContext(ctx, "SELECT title, cents FROM books WHERE id = ?", id)
	return title, cents, row.Scan(&title, &cents)
}

func (s *shop) show(w http.ResponseWriter, r *http.Request) {
	title, _, err := s.find(r.Context(), r.PathValue("id"))
	if err != nil {
		fails(w, err)
		return
	}
	fmt.Fprintln(w, title)
}

func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	title, cents, err := s.find(r.Context(), r.PathValue("id"))
	if err == nil {
		err = s.pay(r.Context(), cents)
	}
	if err == nil {
		err = s.send(r.Context(), title)
	}
	if err != nil {
		fails(w, err)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

// pay makes a span by hand: what it does is below it.
func (s *shop) pay(ctx context.Context, cents int64) error {
	ctx, span := tracer.Start(ctx, "take the payment", trace.WithAttributes(attribute.Int64("cents", cents)))
	defer span.End()
	time.Sleep(2 * time.Millisecond)
	return s.bank.Invoke(ctx, "/bank.Bank/Charge", wrapperspb.Int64(cents), new(emptypb.Empty))
}

func (s *shop) send(ctx context.Context, title string) error {
	parcel, err := http.NewRequestWithContext(ctx, "POST", s.courier+"/parcels", strings.NewReader(title))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(parcel)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

func fails(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if errors.Is(err, sql.ErrNoRows) {
		status = http.StatusNotFound
	}
	http.Error(w, err.Error(), status)
}

func report(w http.ResponseWriter, _ *http.Request) {
	time.Sleep(15 * time.Millisecond)
	http.Error(w, "the report is not ready", http.StatusInternalServerError)
}
