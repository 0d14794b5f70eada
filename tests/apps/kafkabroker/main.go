// Command kafkabroker is a Kafka broker without a JVM, for the virtual machines of scripts/vm: one broker of franz-go's kfake, which keeps
// topics, offsets and groups in memory. It prints "listening on HOST:PORT" and serves until SIGTERM.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

func main() {
	// Port 0 is one that nobody has.
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(0))
	if err != nil {
		panic(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	fmt.Printf("listening on %s\n", cluster.ListenAddrs()[0])
	<-stop
	cluster.Close()
}
