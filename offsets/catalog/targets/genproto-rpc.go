package main

import "google.golang.org/genproto/googleapis/rpc/status"

// Through a variable: a direct call is inlined away, and whether the method then stays depends on the protobuf version.
var code = (*status.Status).GetCode

func main() {
	println(code(&status.Status{}), (&status.Status{}).String())
}
