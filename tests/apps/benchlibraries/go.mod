module example.com/benchlibraries

go 1.24

require (
	github.com/segmentio/kafka-go v0.4.51
	go.opentelemetry.io/auto/sdk v1.2.1
	go.opentelemetry.io/otel v1.38.0
	google.golang.org/grpc v1.85.0
)
