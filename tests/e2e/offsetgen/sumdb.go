// A module proxy and a checksum database on loopback, the database being that of golang.org/x/mod. The proxy has two versions of
// example.org/m; the database knows the true hash of v1.0.0 and another one of v1.1.0. Prints GOPROXY and GOSUMDB.
package main

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path"
	"strings"

	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/sumdb/note"
)

const goMod = "module example.org/m\n\ngo 1.19\n"

func files(version string) map[string]string {
	prefix := "example.org/m@" + version + "/"
	return map[string]string{prefix + "go.mod": goMod, prefix + "m.go": "package m\n\ntype T struct{ A int }\n"}
}

func hash(files map[string]string) string {
	var names []string
	for name := range files {
		names = append(names, name)
	}
	sum, err := dirhash.Hash1(names, func(name string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(files[name])), nil
	})
	if err != nil {
		log.Fatal(err)
	}
	return sum
}

// What the database answers for one version: the lines of go.sum.
func record(module, version string) ([]byte, error) {
	if module != "example.org/m" {
		return nil, os.ErrNotExist
	}
	sum := hash(files(version))
	if version == "v1.1.0" {
		sum = hash(files("v9.9.9"))
	}
	mod := hash(map[string]string{"go.mod": goMod})
	return []byte(fmt.Sprintf("%s %s %s\n%s %s/go.mod %s\n", module, version, sum, module, version, mod)), nil
}

func proxy(w http.ResponseWriter, r *http.Request) {
	what := strings.TrimPrefix(r.URL.Path, "/proxy/example.org/m/@v/")
	version := strings.TrimSuffix(what, path.Ext(what))
	switch {
	case what == "list":
		fmt.Fprint(w, "v1.0.0\nv1.1.0\n")
	case version != "v1.0.0" && version != "v1.1.0":
		http.NotFound(w, r)
	case strings.HasSuffix(what, ".info"):
		fmt.Fprintf(w, `{"Version":%q,"Time":"2024-01-01T00:00:00Z"}`, version)
	case strings.HasSuffix(what, ".mod"):
		fmt.Fprint(w, goMod)
	default:
		var body bytes.Buffer
		archive := zip.NewWriter(&body)
		for name, text := range files(version) {
			file, err := archive.Create(name)
			if err != nil {
				log.Fatal(err)
			}
			io.WriteString(file, text)
		}
		archive.Close()
		w.Write(body.Bytes())
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	// A name of its own: the go command remembers the databases that it has met.
	secret, public, err := note.GenerateKey(rand.Reader, fmt.Sprintf("sum%d.example.org", os.Getpid()))
	if err != nil {
		log.Fatal(err)
	}
	database := sumdb.NewServer(sumdb.NewTestServer(secret, record))
	for _, path := range sumdb.ServerPaths {
		http.Handle(path, database)
	}
	http.HandleFunc("/proxy/", proxy)
	fmt.Printf("http://%s/proxy\t%s http://%s\n", listener.Addr(), public, listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
