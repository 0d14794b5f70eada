package main

import "strobe.test/toy/wheel"

func main() {
	println(new(wheel.Wheel).Turn(1))
}
