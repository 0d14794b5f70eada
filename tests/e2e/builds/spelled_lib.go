// The last word of its path has a dot, as has that of the package whose type it is given.
package lib

import (
	"fmt"
	"sync/atomic"

	"example.com/app/in.ner"
)

type G[T any] struct {
	V T
	W *T
}

type Holder struct {
	n       int
	Given   G[inner.Q]
	Pointer *atomic.Pointer[inner.Q]
	Own     G[G[inner.Q]]
	Map     map[string]G[inner.Q]
	Read    chan (<-chan int)
	Sent    chan (chan<- int)
	Reader  <-chan (<-chan int)
	Sender  chan<- (<-chan int)
	Of      chan (<-chan G[inner.Q])
}

// Use makes the types reachable for reflection.
//
//go:noinline
func Use() { fmt.Println(Holder{}, G[inner.Q]{}) }
