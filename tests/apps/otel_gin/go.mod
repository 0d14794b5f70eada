module strobe.test/otel_gin

go 1.25.0

require github.com/gin-gonic/gin v1.12.0
