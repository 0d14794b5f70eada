//! A service with other routers beside net/http's ServeMux, and the routes that its spans have.

use std::path::PathBuf;

use anyhow::Result;
use strobe_tests::built::Recipe;

use super::exchange::Exchange;
use super::sources;

/// What puts routers in front of the service.
const ROUTERS: (&str, &str) = ("routers.go", include_str!("../../apps/httpserver/routers/routers.go"));

/// The service, stripped.
pub fn build(version: &str, gin: &str, arch: &str) -> Result<PathBuf> {
    let args = &["-ldflags=-s -w"];
    let modules = &[("github.com/gin-gonic/gin", gin), ("github.com/gorilla/mux", "v1.8.1")];
    Recipe { version, arch, mode: "exe", args, files: &sources::with(ROUTERS), modules }.build()
}

/// Each on its own, and each behind another one, since a connection is kept.
pub fn exchanges() -> Vec<Exchange> {
    let get = |target: &str, route| Exchange::get(target).route(route);
    let none = |target: &str, status| Exchange::get(target).status(status);
    let long = format!("/gorilla/{}", "l".repeat(200));
    let too_long = format!("/gorilla/{}", "m".repeat(600));
    vec![
        get("/gorilla/users/1", Some("/gorilla/users/{id:[0-9]+}")),
        none("/gorilla/users/x", 404),
        // Its NotFoundHandler answers for methods too.
        Exchange::new("POST", "/gorilla/users/1").status(404),
        get("/gorilla/fail", Some("/gorilla/fail")).status(500),
        none("/gorilla/nothing", 404),
        get("/gorilla/missing/1", Some("/gorilla/missing/{id}")).status(404),
        get(&format!("{long}/1"), Some(&format!("{long}/{{id}}"))),
        // Longer than a record has room for: left out, not cut.
        Exchange::get(&format!("{too_long}/1")),
        get("/gin/users/1", Some("/gin/users/:id")),
        none("/gin/nothing", 404),
        get("/gin/files/a/b", Some("/gin/files/*path")),
        Exchange::new("POST", "/gin/users/1").status(405),
        get("/gin/missing/1", Some("/gin/missing/:id")).status(404),
        Exchange::get("/raw/ok"),
        // The innermost router's: below net/http's ServeMux, and below one another.
        get("/nested/a", Some("/nested/{name}")),
        get("/over/1", Some("/over/:id")),
        // The router runs on a goroutine that http.TimeoutHandler has started.
        Exchange::get("/elsewhere/1"),
        // The handler hands requests of its own making to a router: their routes are not this request's.
        Exchange::get("/own/1"),
        get("/own/routed/1.json", Some("/own/routed/{id}")),
        get("/users/7", Some("/users/{id}")),
    ]
}

/// The same with gin, where its context says which request it was asked for.
pub fn own_of_gin() -> Vec<Exchange> {
    vec![Exchange::get("/owngin/1"), Exchange::get("/gin/users/1").route(Some("/gin/users/:id"))]
}

/// What a ServeMux has found for a copy of the request. `known`: its probe is there.
pub fn cloned(known: bool) -> Vec<Exchange> {
    let get = |target: &str, route| Exchange::get(target).route(if known { Some(route) } else { None });
    vec![
        get("/cloned/named/a", "/cloned/named/"),
        get("/cloned/missing/a", "/cloned/missing/").status(404),
        Exchange::get("/cloned/nothing").status(404),
        // The outermost mux's, as where its request is the server's own; but a router below says more.
        get("/cloned/stripped/named/a", "/cloned/stripped/"),
        Exchange::get("/cloned/gin/users/1").route(Some("/gin/users/:id")),
        Exchange::get("/raw/ok"),
        get("/users/7", "/users/{id}").route(Some("/users/{id}")),
    ]
}
