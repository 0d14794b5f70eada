package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptrace"
)

// hooks makes calls whose GetConn hook makes another on the same goroutine, with a context that is done, so that it sends nothing. What
// the outer ones get is an answer, or a connection that the server closes.
func hooks(at *place) {
	outers := map[string]*http.Client{
		"h1": {Transport: &http.Transport{}},
		"h2": {Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}},
	}
	bases := map[string]string{"h1": "http://" + at.plain, "h2": "https://" + at.secure}
	inner := &http.Client{Transport: &http.Transport{}}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	for name, client := range outers {
		for n := 0; n < 4; n++ {
			for _, what := range []string{"?status=404", "?abort=1"} {
				hook := func(string) {
					url := fmt.Sprintf("http://%s/case/inner-%s-%d", at.plain, name, n)
					do(inner, done, "GET", url, nil)
				}
				ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GetConn: hook})
				do(client, ctx, "GET", fmt.Sprintf("%s/case/outer-%s-%d%s", bases[name], name, n, what), nil)
			}
		}
	}
	get(inner, "http://"+at.plain+"/case/behind")
}
