package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// plain has the round trips over HTTP/1.1 that end with a response.
func plain(at *place) {
	c := &http.Client{Transport: &http.Transport{}}
	base := "http://" + at.plain + "/case/"
	get(c, base+"get")
	do(c, context.Background(), "POST", base+"post", strings.NewReader("a body"))
	do(c, context.Background(), "FOO", base+"unknown-method", nil)
	get(c, base+"not-found?status=404")
	get(c, base+"server-error?status=503")
	get(c, base+"redirected?redirects=2")
	get(c, base+"a%2Fb/%C3%BC")
	get(c, base+"long/"+strings.Repeat("x", 600))
	get(c, "http://someone:secret@"+at.plain+"/case/secrets?sig=abc&x=1#part")
	get(c, "http://localhost:"+at.plain[strings.LastIndex(at.plain, ":")+1:]+"/case/by-name")

	// Secrets where they do not belong.
	finish(c.Transport.RoundTrip(&http.Request{Header: http.Header{}, URL: &url.URL{
		Scheme: "http", Host: at.plain, Opaque: "//someone:secret@" + at.plain + "/case/opaque?sig=abc&x=1",
	}}))
	get(c, base+"fragment#access_token=abc&x=1")

	// Over a Unix socket: the URL says whose it is.
	local := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", at.unix)
	}}
	get(&http.Client{Transport: local}, "http://local.test/case/unix-socket")

	// Without http.Client, and with a method that is empty.
	u, _ := url.Parse(base + "empty-method")
	finish(c.Transport.RoundTrip(&http.Request{URL: u, Header: http.Header{}}))

	// A RoundTripper of one's own around a Transport, and without one.
	get(&http.Client{Transport: adds{c.Transport}}, base+"wrapped")
	get(&http.Client{Transport: invents{}}, base+"invented")
	// One within the other: the Transport asks another one for this scheme.
	nested := &http.Transport{}
	nested.RegisterProtocol("other", other{&http.Transport{}, at.plain})
	get(&http.Client{Transport: nested}, "other://"+at.plain+"/case/nested")

	// Nothing is sent.
	u, _ = url.Parse(base + "not-sent")
	finish(c.Transport.RoundTrip(&http.Request{URL: u, Header: http.Header{"bad name": {"x"}}}))
	get(c, base+"after-not-sent")

	// One who tries again by himself: what is done already sends nothing, and the next call has the same header.
	done, cancel := context.WithCancel(context.Background())
	cancel()
	req, _ := http.NewRequestWithContext(done, "GET", base+"tried-first", nil)
	finish(c.Do(req))
	req = req.WithContext(context.Background())
	req.URL.Path = "/case/tried-again"
	finish(c.Do(req))
}

type adds struct{ to http.RoundTripper }

func (a adds) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Added", "yes")
	return a.to.RoundTrip(r)
}

type invents struct{}

func (invents) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
}

type other struct {
	to   http.RoundTripper
	host string
}

func (o other) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme = "http"
	return o.to.RoundTrip(r)
}

// failing has the round trips that fail.
func failing(at *place) {
	bg := context.Background()
	c := &http.Client{Transport: &http.Transport{}}
	get(c, "http://"+at.closed+"/case/refused")
	resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name server")
	}}
	dialer := &net.Dialer{Resolver: resolver}
	get(&http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}}, "http://nowhere.test./case/no-such-host")
	get(c, "https://"+at.secure+"/case/unknown-authority")
	get(&http.Client{Transport: &http.Transport{ResponseHeaderTimeout: 50 * slow * time.Millisecond}}, "http://"+at.plain+"/case/header-timeout?wait=1")
	ctx, cancel := context.WithTimeout(bg, 50*slow*time.Millisecond)
	do(c, ctx, "GET", "http://"+at.plain+"/case/deadline?wait=1", nil)
	cancel()
	get(&http.Client{Transport: c.Transport, Timeout: 50 * slow * time.Millisecond}, "http://"+at.plain+"/case/client-timeout?wait=1")
	// Where there is a RoundTripper around the Transport the client's timeout and the context's race.
	for i := 0; i < 12; i++ {
		get(&http.Client{Transport: adds{c.Transport}, Timeout: 20 * slow * time.Millisecond}, "http://"+at.plain+"/case/wrapped-timeout?wait=1")
	}
	ctx, cancel = context.WithCancel(bg)
	time.AfterFunc(50*slow*time.Millisecond, cancel)
	do(c, ctx, "GET", "http://"+at.plain+"/case/cancelled?wait=1", nil)
	get(c, "http://"+at.resets+"/case/reset")

	// The connection has died since: net/http sends the request again over another one.
	dead := &http.Client{Transport: &http.Transport{}}
	get(dead, "http://"+at.dead+"/case/alive")
	get(dead, "http://"+at.dead+"/case/sent-again")
	// Not so a body that it cannot read again.
	dead = &http.Client{Transport: &http.Transport{}}
	get(dead, "http://"+at.dead+"/case/alive-too")
	do(dead, bg, "POST", "http://"+at.dead+"/case/not-sent-again", io.MultiReader(strings.NewReader("once")))
	get(c, "http://"+at.plain+"/case/after-not-sent-again")
}

// secure has HTTP/2.
func secure(at *place) {
	t := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	c := &http.Client{Transport: t}
	base := "https://" + at.secure + "/case/"
	get(c, base+"h2-first")
	get(c, base+"h2-second")
	get(c, base+"h2-not-found?status=404")
	do(c, context.Background(), "POST", base+"h2-post", strings.NewReader("a body"))
	get(c, base+"h2-redirected?redirects=1")
	get(c, base+"h2-aborted?abort=1")
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*slow*time.Millisecond, cancel)
	do(c, ctx, "GET", base+"h2-cancelled?wait=1", nil)
	ctx, cancel = context.WithTimeout(context.Background(), 50*slow*time.Millisecond)
	do(c, ctx, "GET", base+"h2-deadline?wait=1", nil)
	cancel()
	old := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	get(&http.Client{Transport: old}, base+"tls-http1")
}

// many has callers that share their connections.
func many(at *place) {
	h1 := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32, MaxConnsPerHost: 32}}
	h2 := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	var all sync.WaitGroup
	for i := 0; i < 64; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			for n := 0; n < 16; n++ {
				get(h1, fmt.Sprintf("http://%s/case/many-%d-%d", at.plain, i, n))
				get(h2, fmt.Sprintf("https://%s/case/h2-many-%d-%d", at.secure, i, n))
			}
		}(i)
	}
	all.Wait()
}
