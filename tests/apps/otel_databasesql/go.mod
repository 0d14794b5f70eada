module strobe.test/otel_databasesql

go 1.24.0

require (
	go.opentelemetry.io/otel v1.38.0
	modernc.org/libc v1.67.6
	modernc.org/sqlite v1.46.1
)
