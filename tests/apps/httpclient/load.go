package main

import (
	"crypto/tls"
	"net/http"
	"os"
	"runtime/pprof"
	"sync"
	"time"
)

// otherWays are those of builds that have others in place of net/http's.
var otherWays func(*place) map[string]*http.Client

// loaded writes a profile of callers over HTTP/1.1 and HTTP/2 that do nothing else.
func loaded(at *place, file string) {
	to, err := os.Create(file)
	if err != nil {
		panic(err)
	}
	defer to.Close()
	if err := pprof.StartCPUProfile(to); err != nil {
		panic(err)
	}
	defer pprof.StopCPUProfile()
	h2 := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	ways := map[string]*http.Client{
		"http://" + at.plain + "/case/loaded":   {Transport: &http.Transport{MaxIdleConnsPerHost: 4}},
		"https://" + at.secure + "/case/loaded": {Transport: h2},
	}
	if otherWays != nil {
		ways = otherWays(at)
	}
	end := time.Now().Add(6 * time.Second)
	var all sync.WaitGroup
	for url, client := range ways {
		for i := 0; i < 4; i++ {
			all.Add(1)
			go func(url string, client *http.Client) {
				defer all.Done()
				for time.Now().Before(end) {
					get(client, url)
				}
			}(url, client)
		}
	}
	all.Wait()
}
