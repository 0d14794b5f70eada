module strobe.test/otel_grpc

go 1.25.0

require (
	go.opentelemetry.io/otel v1.38.0
	google.golang.org/grpc v1.85.0
)
