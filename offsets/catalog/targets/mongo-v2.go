package main

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

func main() {
	client, err := mongo.Connect()
	println(err)
	collection := client.Database("d").Collection("c")
	cursor, err := collection.Find(context.Background(), bson.D{})
	println(cursor, err)
	inserted, err := collection.InsertOne(context.Background(), bson.D{})
	println(inserted, err)
}
