package main

import "github.com/IBM/sarama"

func main() {
	producer, err := sarama.NewSyncProducer(nil, nil)
	println(err)
	partition, offset, err := producer.SendMessage(&sarama.ProducerMessage{})
	println(partition, offset, err)
	consumer, err := sarama.NewConsumer(nil, nil)
	println(err)
	stream, err := consumer.ConsumePartition("", 0, 0)
	println(err, <-stream.Messages())
	group, err := sarama.NewConsumerGroup(nil, "", nil)
	println(err, group.Consume(nil, nil, nil))
}
