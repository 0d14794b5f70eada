package main

import (
	"context"

	"go.opentelemetry.io/otel/api/global"
)

func main() {
	ctx, span := global.Tracer("").Start(context.Background(), "")
	span.End()
	println(ctx)
}
