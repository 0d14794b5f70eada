// Its name is not the last word of its path.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
	"unsafe"
)

type Message struct {
	Topic      string
	Partition  int32
	Key, Value []byte
	rest       [37]byte
}

// Early keeps the next context behind other fields.
type Early struct {
	n [3]int
	context.Context
}

// ByValue is a context without being a pointer.
type ByValue struct {
	key string
	context.Context
}

// Framework leads to a request, as those of web frameworks do.
type Framework struct {
	id      int
	Request *http.Request
}

func (*Framework) Deadline() (time.Time, bool)     { return time.Time{}, false }
func (*Framework) Done() <-chan struct{}           { return nil }
func (*Framework) Err() error                      { return nil }
func (f *Framework) Value(interface{}) interface{} { return f.id }

// Alone leads nowhere.
type Alone struct{ n int }

func (*Alone) Deadline() (time.Time, bool)     { return time.Time{}, false }
func (*Alone) Done() <-chan struct{}           { return nil }
func (*Alone) Err() error                      { return nil }
func (a *Alone) Value(interface{}) interface{} { return a.n }

// Other has a context before the one that it is.
type Other struct{ log context.Context }

// Two embeds a struct with a context and a context: Go promotes the one that lies less deep.
type Two struct {
	Other
	context.Context
}

// Logged has a struct with a context in front, not embedded.
type Logged struct {
	log Other
	context.Context
}

// Inner is embedded in Deep, which embeds a context itself.
type Inner struct {
	n int
	context.Context
}
type Deep struct {
	Inner
	context.Context
}

// Below embeds one that embeds a context.
type Below struct {
	n int
	Inner
}

// Named has one context, which is not embedded.
type Named struct {
	Alone
	parent context.Context
}

// Chained has two of which nothing tells which it is.
type Chained struct {
	Alone
	span, parent context.Context
}

// Of is generic: the compiler's record of its parameters leaves the first one out.
//
//go:noinline
func Of[T any](n int, text string) func(int, string) int {
	var zero T
	fmt.Fprintln(io.Discard, zero, n, text)
	return func(a int, b string) int { return n + a + len(b) + len(fmt.Sprint(zero)) }
}

type Box[T any] struct{ value T }

//go:noinline
func (b *Box[T]) Put(n int, text string) int {
	fmt.Fprintln(io.Discard, b.value, text)
	return n + len(text)
}

var (
	headers  = map[string][]string{}
	keys     = map[[200]byte]int{}
	elements = map[int][200]byte{}
)

func word(at unsafe.Pointer) uintptr { return *(*uintptr)(at) }

func itab(name string, c context.Context, holds uintptr) {
	fmt.Println("itab", name, word(unsafe.Pointer(&c)), holds)
}

// Use says of its types what the Go compiler has made of them.
//
//go:noinline
func Use(n int) {
	headers[fmt.Sprint(n)], keys[[200]byte{byte(n)}], elements[n] = nil, n, [200]byte{}
	fmt.Println("size", "example.com/app/lib.Message", unsafe.Sizeof(Message{}), 0)
	var plain, message interface{} = errors.New("x"), Message{Partition: int32(n)}
	fmt.Println("type", "*errors.errorString", word(unsafe.Pointer(&plain)), 0)
	fmt.Println("type", "example.com/app/lib.Message", word(unsafe.Pointer(&message)), 0)
	early, framework := &Early{Context: context.Background()}, &Framework{id: n, Request: &http.Request{}}
	itab("*example.com/app/lib.Early", early, unsafe.Offsetof(early.Context))
	value := ByValue{fmt.Sprint(n), early}
	itab("example.com/app/lib.ByValue", value, unsafe.Offsetof(value.Context))
	itab("*example.com/app/lib.Framework", framework, unsafe.Offsetof(framework.Request))
	itab("*example.com/app/lib.Alone", &Alone{n}, 0)
	two, logged, deep := &Two{Context: early}, &Logged{Context: early}, &Deep{Context: early}
	itab("*example.com/app/lib.Two", two, unsafe.Offsetof(two.Context))
	itab("*example.com/app/lib.Logged", logged, unsafe.Offsetof(logged.Context))
	itab("*example.com/app/lib.Deep", deep, unsafe.Offsetof(deep.Context))
	below, named := &Below{Inner: Inner{Context: early}}, &Named{parent: early}
	itab("*example.com/app/lib.Below", below, unsafe.Offsetof(below.Inner)+unsafe.Offsetof(below.Inner.Context))
	itab("*example.com/app/lib.Named", named, unsafe.Offsetof(named.parent))
	itab("*example.com/app/lib.Chained", &Chained{span: early, parent: early}, 0)
	fmt.Fprintln(io.Discard, Of[int](n, "x")(n, "y"), (&Box[int]{n}).Put(n, "z"))
}
