// Command messages sends messages to itself over one way to carry them (its argument: h1, h2, h2c or grpc), and holds what arrives against what
// was sent: each has its own path, headers and body, and says their sum. It prints "listening on http://ADDRESS", waits for a request for /go,
// sends MESSAGES of them, those that come after the first BEFORE, prints "done" with what it has counted, and serves until SIGTERM.
//
// One in eight has a traceparent of the program's own. Anything that the program has not sent is wrong, but one traceparent, whose trace and span
// no other message has. Of those that say that their span is recorded it prints the path and the traceparent behind "recorded ".
package main

import (
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

const callers = 16

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// message is what is sent.
type message struct {
	path    string
	headers map[string]string
	body    []byte
	// A traceparent of its own, or nothing.
	own string
}

// numbers come one out of the other. (Emulated processors take their time for those of math/rand.)
type numbers uint64

func (n *numbers) below(limit int) int {
	// Knuth's linear congruential generator, of which the upper bits are taken.
	*n = *n*6364136223846793005 + 1442695040888963407
	return int(uint64(*n>>33) % uint64(limit))
}

// of makes the message of a number, always the same.
func of(nth int) message {
	n := numbers(nth)
	n.below(1)
	m := message{path: "/m/" + strconv.Itoa(nth), headers: map[string]string{}, body: make([]byte, n.below(1024))}
	for at := range m.body {
		m.body[at] = byte(n.below(256))
	}
	for i := n.below(24); i > 0; i-- {
		value := make([]byte, n.below(1+n.below(120)))
		for at := range value {
			value[at] = byte('!' + n.below('~'-'!'+1))
		}
		m.headers["x-n-"+strconv.Itoa(n.below(1000))] = string(value)
	}
	if nth%8 == 0 {
		m.own = fmt.Sprintf("00-%032x-%016x-01", nth+1, nth+1)
	}
	return m
}

// sum is of all that a message says.
func sum(path string, headers map[string]string, body []byte) string {
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	sort.Strings(names)
	h := crc32.NewIEEE()
	io.WriteString(h, path)
	for _, name := range names {
		io.WriteString(h, "\n"+name+":"+headers[name])
	}
	h.Write([]byte{0})
	h.Write(body)
	return strconv.FormatUint(uint64(h.Sum32()), 16)
}

var counted struct{ sent, carried, own, none, wrong atomic.Int64 }

// added are the headers that a message may have beside its own: what net/http, gRPC and HTTP/2 add, always the same.
var added = map[string]bool{
	"user-agent": true, "accept-encoding": true, "content-type": true, "te": true, "grpc-accept-encoding": true, ":authority": true,
}

// addedFirst are those of the first message.
var addedFirst atomic.Pointer[string]

// seen has the ids that messages have named, and the numbers of these. There are no pointers in it: the garbage collector of a program that keeps
// millions of them would take half of its time.
type seen[ID comparable] struct {
	mu sync.Mutex
	of map[ID]int32
}

// other is the number of the message that has named it before.
func (s *seen[ID]) other(id ID, nth int32) (int32, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	other, is := s.of[id]
	if !is {
		s.of[id] = nth
	}
	return other, is
}

var traces, spans = seen[[16]byte]{of: map[[16]byte]int32{}}, seen[[8]byte]{of: map[[8]byte]int32{}}

var wellFormed = regexp.MustCompile("^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$")

func wrong(path, format string, values ...any) {
	if counted.wrong.Add(1) < 10 {
		fmt.Printf("wrong: %s: %s\n", path, fmt.Sprintf(format, values...))
	}
}

// arrived looks at a message. Names are in small letters.
func arrived(path string, all map[string][]string, body []byte) {
	headers, said, own := map[string]string{}, "", ""
	var parents, more []string
	for name, values := range all {
		switch {
		case name == "traceparent":
			parents = values
		case len(values) != 1:
			wrong(path, "%s: %q", name, values)
		case name == "x-sum":
			said = values[0]
		case name == "x-own":
			own = values[0]
		case strings.HasPrefix(name, "x-n-"):
			headers[name] = values[0]
		case name == "content-length":
			if values[0] != strconv.Itoa(len(body)) {
				wrong(path, "%s: %q", name, values)
			}
		case name == "connection" && values[0] == "close":
		case !added[name]:
			wrong(path, "%s: %q", name, values)
		default:
			more = append(more, name+": "+values[0])
		}
	}
	sort.Strings(more)
	text := strings.Join(more, ", ")
	addedFirst.CompareAndSwap(nil, &text)
	if first := *addedFirst.Load(); first != text || !strings.Contains(text, "user-agent: Go-http-client/") && !strings.Contains(text, "user-agent: grpc-go/") {
		wrong(path, "%s, and the first one %s", text, first)
	}
	if got := sum(path, headers, body); got != said {
		wrong(path, "its sum is %s, not %s: %q", got, said, headers)
	}
	switch {
	case own != "":
		counted.own.Add(1)
		if len(parents) != 1 || parents[0] != own {
			wrong(path, "its own is %s: %q", own, parents)
		}
	case len(parents) == 0:
		counted.none.Add(1)
	default:
		counted.carried.Add(1)
		if len(parents) != 1 || !wellFormed.MatchString(parents[0]) || strings.Contains(parents[0], "-0000000000000000") {
			wrong(path, "%q", parents)
			return
		}
		nth, err := strconv.ParseInt(strings.TrimPrefix(path, "/m/"), 10, 32)
		if err != nil {
			wrong(path, "no message has this path: %v", err)
			return
		}
		var trace [16]byte
		var span [8]byte
		hex.Decode(trace[:], []byte(parents[0][3:35]))
		hex.Decode(span[:], []byte(parents[0][36:52]))
		if other, is := traces.other(trace, int32(nth)); is {
			wrong(path, "%q names the trace of /m/%d", parents, other)
		}
		if other, is := spans.other(span, int32(nth)); is {
			wrong(path, "%q names the span of /m/%d", parents, other)
		}
		if strings.HasSuffix(parents[0], "1") {
			fmt.Printf("recorded %s %s\n", path, parents[0])
		}
	}
}

func handle(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		wrong(r.URL.Path, "%v", err)
	}
	all := map[string][]string{}
	for name, values := range r.Header {
		all[strings.ToLower(name)] = values
	}
	arrived(r.URL.Path, all, body)
	w.Write([]byte(r.URL.Path))
}

// run sends all messages by a way to send one, which gives the answer.
func run(send func(nth int, m message) (string, error)) {
	messages, err := strconv.Atoi(os.Getenv("MESSAGES"))
	must(err)
	before, err := strconv.Atoi(os.Getenv("BEFORE"))
	must(err)
	var next atomic.Int64
	next.Store(int64(before))
	var all sync.WaitGroup
	for i := 0; i < callers; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for {
				nth := int(next.Add(1))
				if nth > before+messages {
					return
				}
				m := of(nth)
				counted.sent.Add(1)
				answer, err := send(nth, m)
				if err != nil || answer != m.path {
					wrong(m.path, "%q, %v", answer, err)
				}
			}
		}()
	}
	all.Wait()
	fmt.Printf("done %d sent, %d carried, %d own, %d none, %d wrong\n", counted.sent.Load(), counted.carried.Load(), counted.own.Load(), counted.none.Load(), counted.wrong.Load())
}

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	begin := make(chan struct{})
	var once sync.Once
	mux := http.NewServeMux()
	mux.HandleFunc("/go", func(http.ResponseWriter, *http.Request) { once.Do(func() { close(begin) }) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go http.Serve(l, mux)
	send := ways[os.Args[1]]()
	fmt.Printf("listening on http://%s\n", l.Addr())
	select {
	case <-begin:
		run(send)
		<-stop
	case <-stop:
	}
}

// all is what a message is sent with, but for its path and body.
func (m message) all() map[string]string {
	all := map[string]string{"x-sum": sum(m.path, m.headers, m.body)}
	for name, value := range m.headers {
		all[name] = value
	}
	if m.own != "" {
		all["x-own"], all["traceparent"] = m.own, m.own
	}
	return all
}
