package main

import (
	"archive/zip"
	"bytes"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// mkmirror serves the folders of a folder as OSV serves its ecosystems, and what
// else is in it as it is: "mkmirror DIR". $MIRROR is its address, which commands
// trust from then on.
func mkmirror(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: mkmirror DIR")
	}
	dir := ts.MkAbs(args[0])
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Base(r.URL.Path) != "all.zip" {
			http.ServeFile(w, r, filepath.Join(dir, filepath.Base(r.URL.Path)))
			return
		}
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		if z.AddFS(os.DirFS(filepath.Join(dir, path.Dir(r.URL.Path)))) != nil || z.Close() != nil {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(b.Bytes())
	}))
	ts.Defer(server.Close)
	cert := filepath.Join(ts.Getenv("WORK"), "mirror.pem")
	ts.Check(os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	ts.Setenv("SSL_CERT_FILE", cert)
	ts.Setenv("MIRROR", server.URL)
}
