package main

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
)

func main() {
	ctx, span := otel.Tracer("").Start(context.Background(), "")
	span.End()
	set := attribute.NewSet(attribute.String("", ""))
	println(ctx, set.Len())
}
