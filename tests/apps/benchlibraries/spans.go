package main

import (
	"context"

	"go.opentelemetry.io/auto/sdk"
	"go.opentelemetry.io/otel/attribute"
)

// A span is begun, given two attributes and ended. The Auto SDK writes it down as JSON, whether somebody takes it or not.
func init() {
	begin = func() map[string]operation {
		tracer := sdk.TracerProvider().Tracer("bench")
		return map[string]operation{"span": func() error {
			_, span := tracer.Start(context.Background(), "order")
			span.SetAttributes(attribute.String("user", "ada"), attribute.Int("items", 3))
			span.End()
			return nil
		}}
	}
}
