package main

import (
	"context"

	"github.com/go-redis/redis/v8"
)

var tx redis.Tx

func main() {
	client := redis.NewClient(&redis.Options{})
	println(client.Get(context.Background(), "k").Err())
	println(client.Do(context.Background(), "k").Err())
	pipeline := client.Pipeline()
	commands, err := pipeline.Exec(context.Background())
	println(commands, err, &tx)
}
