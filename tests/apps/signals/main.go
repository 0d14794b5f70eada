// Command signals says which signals it gets: the tests of `strobe exec` count them. It serves HTTP too, so that it is traced.
//
// It prints "ready" when it counts, "got NAME" for each signal, and leaves with status 0 a second after the first SIGTERM,
// SIGINT or SIGHUP, when it has printed what it counted: "SIGTERM 1".
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"sort"
	"syscall"
	"time"
)

var names = map[os.Signal]string{
	syscall.SIGTERM: "SIGTERM",
	syscall.SIGINT:  "SIGINT",
	syscall.SIGHUP:  "SIGHUP",
	syscall.SIGUSR1: "SIGUSR1",
}

func main() {
	session := flag.Bool("session", false, "begin a session, and so a process group, of its own")
	thread := flag.Bool("thread", false, "first execute this program anew, by another thread than the first")
	flag.Parse()
	if *thread {
		executeByAnotherThread()
	}
	if *session {
		if _, err := syscall.Setsid(); err != nil {
			panic(err)
		}
	}
	got := make(chan os.Signal, 100)
	for s := range names {
		signal.Notify(got, s)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	fmt.Printf("listening on http://%s\n", listener.Addr())
	fmt.Printf("ready %d\n", os.Getpid())
	count(got)
}

func count(got chan os.Signal) {
	counts := map[string]int{}
	var end <-chan time.Time
	for {
		select {
		case s := <-got:
			fmt.Println("got", names[s])
			counts[names[s]]++
			if end == nil && s != syscall.SIGUSR1 {
				end = time.After(time.Second)
			}
		case <-end:
			var lines []string
			for name, n := range counts {
				lines = append(lines, fmt.Sprintf("%s %d", name, n))
			}
			sort.Strings(lines)
			for _, line := range lines {
				fmt.Println(line)
			}
			os.Exit(0)
		}
	}
}

// The main goroutine keeps the first thread: other goroutines run on other ones.
func init() { runtime.LockOSThread() }

// executeByAnotherThread makes a thread other than the first the only one, as some launchers do by chance.
func executeByAnotherThread() {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if syscall.Gettid() == os.Getpid() {
			panic("this is the first thread")
		}
		done <- syscall.Exec("/proc/self/exe", []string{os.Args[0]}, os.Environ())
	}()
	panic(<-done)
}
