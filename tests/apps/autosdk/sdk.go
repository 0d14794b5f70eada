package main

import (
	"go.opentelemetry.io/auto/sdk"
	"go.opentelemetry.io/otel/trace"
)

func init() {
	ofSDK = func() trace.Tracer { return sdk.TracerProvider().Tracer(scope, about...) }
}
