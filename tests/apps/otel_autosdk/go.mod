module strobe.test/otel_autosdk

go 1.24.0

require (
	go.opentelemetry.io/auto/sdk v1.2.1
	go.opentelemetry.io/otel v1.38.0
	go.opentelemetry.io/otel/trace v1.38.0
)
