// The services that `scripts/bench libraries` measures: operations of one library, made when they are ordered. Each library has a file
// of its own, and the bench builds a program of this file and one library's: what is linked is what a service of that library has.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"hash/fnv"
	"net"
	"strconv"
	"strings"
	"sync"
)

// As many as the bench's own load has connections: the service always has an operation to go on with.
const callers = 8

// upstream is who is called, where a library calls anybody.
var upstream = flag.String("upstream", "", "the address that is called")

// begin is what the library's file starts before there are orders. It gives the operations that can be ordered, by name.
var begin func() map[string]operation

// An operation is made once by each call.
type operation func() error

func main() {
	flag.Parse()
	operations := begin()
	orders := listen("orders")
	for {
		conn, err := orders.Accept()
		if err != nil {
			panic(err)
		}
		obey(conn, operations)
	}
}

// listen says where it listens, for the bench to find.
func listen(what string) net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s on %s\n", what, listener.Addr())
	return listener
}

// obey takes lines: `query 250` is 250 queries, answered with a line when they are done.
func obey(conn net.Conn, operations map[string]operation) {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		name, count, _ := strings.Cut(lines.Text(), " ")
		total, err := strconv.Atoi(count)
		once := operations[name]
		if err == nil && once == nil {
			err = fmt.Errorf("there is no operation %q", name)
		}
		if err == nil {
			err = once.repeat(total)
		}
		if err != nil {
			fmt.Fprintln(conn, err)
			return
		}
		fmt.Fprintln(conn, "done")
	}
}

// repeat has all callers make operations at once, so many together.
func (once operation) repeat(total int) error {
	failures := make(chan error, callers)
	var group sync.WaitGroup
	for caller := 0; caller < callers; caller++ {
		group.Add(1)
		// An argument: the bench's go.mod is of a Go in which all rounds of a loop share its variable.
		go func(first int) {
			defer group.Done()
			for i := first; i < total; i += callers {
				if err := once(); err != nil {
					failures <- err
					return
				}
			}
		}(caller)
	}
	group.Wait()
	close(failures)
	return <-failures
}

// work takes about 5 µs on the machine this was written on.
func work() string {
	payload := make([]byte, 128)
	h := fnv.New64a()
	for i := 0; i < 40; i++ {
		h.Write(payload)
	}
	return strconv.FormatUint(h.Sum64()|1<<63, 16)
}
