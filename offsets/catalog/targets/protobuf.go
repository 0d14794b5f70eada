package main

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

func main() {
	bytes, err := proto.Marshal(&anypb.Any{})
	println(bytes, err, proto.Unmarshal(bytes, &anypb.Any{}))
}
