module strobe.test/grpc

go 1.22

require google.golang.org/grpc v1.85.0
