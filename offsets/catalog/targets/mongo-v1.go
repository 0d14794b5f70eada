package main

import (
	"context"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
)

func main() {
	client, err := mongo.Connect(context.Background())
	println(err)
	collection := client.Database("d").Collection("c")
	cursor, err := collection.Find(context.Background(), bson.D{})
	println(cursor, err)
	inserted, err := collection.InsertOne(context.Background(), bson.D{})
	println(inserted, err)
}
