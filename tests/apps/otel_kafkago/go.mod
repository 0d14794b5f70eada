module strobe.test/otel_kafkago

go 1.24.0

require github.com/segmentio/kafka-go v0.4.51
