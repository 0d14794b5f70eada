package main

import "github.com/valyala/fasthttp"

var serve = (*fasthttp.Server).ServeConn

func main() {
	handler := func(ctx *fasthttp.RequestCtx) { ctx.SetBody(ctx.Path()) }
	println(fasthttp.ListenAndServe("", handler))
	println(fasthttp.Do(&fasthttp.Request{}, &fasthttp.Response{}), &serve)
}
