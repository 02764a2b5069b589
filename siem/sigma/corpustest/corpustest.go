// Package corpustest gives tests the public rules and events that lie beside the
// project: SigmaHQ's rules, the events that SigmaHQ keeps for them, and recorded
// attacks. Without them such a test can't say anything: in CI (the variable CI is
// set) that is a failure, elsewhere the test is skipped and says so.
package corpustest

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Files of the test data.
const (
	SigmaHQ    = "sigma/sigma-rules.tar.gz"
	Regression = "sigma-regression/regression.ndjson"
	Windows    = "events/windows-10k.ndjson.gz"
)

// maxLine is more than any event's.
const maxLine = 4 << 20

// Path returns where a file of the test data is: in INTERLOCK_DATA, else in
// shared/data beside the project.
func Path(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("INTERLOCK_DATA")
	if dir == "" {
		dir = filepath.Join(root(t), "..", "shared", "data")
	}
	path := filepath.Join(dir, name)
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) && os.Getenv("CI") == "" {
		t.Skipf("NOT TESTED: %v (set INTERLOCK_DATA; with CI set this fails)", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// root is the folder of the module whose test runs.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test's folder")
		}
		dir = up
	}
}

func open(t testing.TB, name string) *os.File {
	t.Helper()
	f, err := os.Open(Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func unzip(t testing.TB, name string) io.Reader {
	t.Helper()
	zr, err := gzip.NewReader(open(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return zr
}

// File is a rule file.
type File struct {
	Name string
	Text []byte
}

// Rules reads SigmaHQ's rule files.
func Rules(t testing.TB) (files []File) {
	t.Helper()
	for tr := tar.NewReader(unzip(t, SigmaHQ)); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg || !strings.HasSuffix(h.Name, ".yml") {
			continue
		}
		text, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, File{h.Name, text})
	}
}

// Case is an event that SigmaHQ keeps for a rule of its own.
type Case struct {
	Rule  string          `json:"rule"` // its id
	Event json.RawMessage `json:"event"`
}

// Cases reads them.
func Cases(t testing.TB) (cases []Case) {
	t.Helper()
	for sc := lines(open(t, Regression)); sc.Scan(); {
		var c Case
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

// Events reads some ten thousand events of recorded attacks on Windows, one a
// line.
func Events(t testing.TB) *bufio.Scanner {
	t.Helper()
	return lines(unzip(t, Windows))
}

func lines(r io.Reader) *bufio.Scanner {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxLine)
	return sc
}
