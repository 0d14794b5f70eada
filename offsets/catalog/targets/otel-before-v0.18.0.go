package main

import (
	"context"

	"go.opentelemetry.io/otel"
)

func main() {
	ctx, span := otel.Tracer("").Start(context.Background(), "")
	span.End()
	println(ctx)
}
