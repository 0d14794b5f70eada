package main

import (
	"context"

	"github.com/jackc/pgx/v5"
)

func main() {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, "")
	println(err)
	rows, err := conn.Query(ctx, "")
	println(rows, err)
	tag, err := conn.Exec(ctx, "")
	println(tag.RowsAffected(), err, conn.SendBatch(ctx, &pgx.Batch{}))
}
