// A program that turns a wheel once per argument, by as much as it says.
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"

	"strobe.test/toy/wheel"
)

func main() {
	var turns sync.WaitGroup
	for _, text := range os.Args[1:] {
		n, err := strconv.Atoi(text)
		if err != nil {
			panic(err)
		}
		turns.Add(1)
		go func() {
			defer turns.Done()
			fmt.Println(new(wheel.Wheel).Turn(n))
		}()
	}
	turns.Wait()
}
