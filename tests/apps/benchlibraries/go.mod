module example.com/benchlibraries

go 1.24

require (
	github.com/segmentio/kafka-go v0.4.51
	google.golang.org/grpc v1.85.0
)
