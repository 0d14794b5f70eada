package main

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
)

func init() {
	otel.SetTextMapPropagator(propagation.TraceContext{})
	passOn = func(ctx context.Context, header http.Header) {
		otel.GetTextMapPropagator().Inject(ctx, propagation.HeaderCarrier(header))
	}
}
