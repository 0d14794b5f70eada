package main

import "github.com/nats-io/nats.go"

func main() {
	connection, err := nats.Connect("")
	println(err)
	println(connection.PublishMsg(&nats.Msg{Subject: "s"}))
}
