package main

import (
	"context"

	"go.opentelemetry.io/auto/sdk"
)

func main() {
	ctx, span := sdk.TracerProvider().Tracer("").Start(context.Background(), "")
	span.End()
	println(ctx)
}
