package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/mux"
)

// What makes of httpserver a program with other routers beside the standard library's: it is compiled with the files of the folder
// above.
func init() {
	std := prepare
	prepare = func(s *http.Server) {
		s.Handler = withRouters(s.Handler)
		std(s)
	}
}

func ok(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }

// withRouters hands on to a router by the first part of the path.
func withRouters(rest http.Handler) http.Handler {
	gorilla, engine := gorillas(), gins()
	inner := mux.NewRouter()
	inner.HandleFunc("/nested/{name}", ok)
	outer := http.NewServeMux()
	outer.Handle("/nested/", inner)
	over := mux.NewRouter()
	over.PathPrefix("/over/").Handler(engine)
	elsewhere := mux.NewRouter()
	elsewhere.HandleFunc("/elsewhere/{id}", ok)
	handlers := map[string]http.Handler{
		"cloned": cloned(), "gorilla": gorilla, "gin": engine, "nested": outer, "over": over,
		"elsewhere": http.TimeoutHandler(elsewhere, time.Minute, ""),
		"own":       own("/gorilla/users/1", gorilla), "owngin": own("/gin/users/1", engine),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handler, known := handlers[first(r.URL.Path)]; known {
			handler.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

// own asks a router for requests that it has made itself, as endpoints do that take several calls in one, and it asks a router of its
// own for the server's own request, changed as middleware may change it.
func own(target string, router http.Handler) http.Handler {
	batch := mux.NewRouter()
	batch.HandleFunc("/own/routed/{id}", func(w http.ResponseWriter, r *http.Request) { both(w, r, target, router) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/own/routed/") {
			both(w, r, target, router)
			return
		}
		changed := r.Clone(r.Context())
		changed.URL.Path = strings.TrimSuffix(r.URL.Path, ".json")
		batch.ServeHTTP(w, changed)
	})
}

func both(w http.ResponseWriter, r *http.Request, target string, router http.Handler) {
	client, err := http.NewRequestWithContext(r.Context(), "GET", target, nil)
	if err != nil {
		panic(err)
	}
	for _, made := range []*http.Request{client, httptest.NewRequest("GET", target, nil)} {
		answer := httptest.NewRecorder()
		router.ServeHTTP(answer, made)
		io.Copy(w, answer.Body)
	}
}

// cloned gives a ServeMux a copy of the request, as middleware does that puts something into its context.
func cloned() http.Handler {
	inner := http.NewServeMux()
	inner.HandleFunc("/named/", ok)
	outer := http.NewServeMux()
	outer.HandleFunc("/cloned/named/", ok)
	outer.HandleFunc("/cloned/missing/", http.NotFound)
	outer.Handle("/cloned/stripped/", http.StripPrefix("/cloned/stripped", inner))
	outer.Handle("/cloned/gin/", http.StripPrefix("/cloned", gins()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outer.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, true)))
	})
}

func gorillas() http.Handler {
	router := mux.NewRouter()
	below := router.PathPrefix("/gorilla").Subrouter()
	below.HandleFunc("/users/{id:[0-9]+}", ok).Methods("GET")
	below.HandleFunc("/fail", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) })
	below.HandleFunc("/missing/{id}", http.NotFound)
	below.HandleFunc("/"+strings.Repeat("l", 200)+"/{id}", ok)
	below.HandleFunc("/"+strings.Repeat("m", 600)+"/{id}", ok)
	router.NotFoundHandler = http.NotFoundHandler()
	return router
}

func gins() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	below := engine.Group("/gin", func(c *gin.Context) { c.Next() })
	below.GET("/users/:id", func(c *gin.Context) { c.String(200, "ok\n") })
	below.GET("/files/*path", func(c *gin.Context) { c.String(200, "ok\n") })
	below.GET("/missing/:id", func(c *gin.Context) { c.String(404, "no\n") })
	engine.GET("/over/:id", func(c *gin.Context) { c.String(200, "ok\n") })
	return engine
}
