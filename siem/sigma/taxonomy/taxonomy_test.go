package taxonomy_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// data opens a file of the test data beside the project. Without it the test
// can't say anything: in CI that is a failure, elsewhere it is said aloud.
func data(t *testing.T, name string) *os.File {
	t.Helper()
	dir := os.Getenv("INTERLOCK_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) && os.Getenv("CI") == "" {
		t.Skipf("NOT TESTED: %v (set INTERLOCK_DATA; with CI set this fails)", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func lines(r io.Reader) *bufio.Scanner {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 4<<20)
	return sc
}

// router tells events apart as a program does that has no rules.
func router(t *testing.T) *sigma.View {
	t.Helper()
	e, err := sigma.Compile(nil, sigma.Options{Aliases: taxonomy.Aliases, Routes: taxonomy.Routes()})
	if err != nil {
		t.Fatal(err)
	}
	return e.NewView()
}

func sources(t *testing.T, v *sigma.View, event []byte) []sigma.Logsource {
	t.Helper()
	v.Reset()
	if err := v.Load(event); err != nil {
		t.Fatalf("%v: %s", err, event)
	}
	return slices.Clone(v.Sources())
}

func covered(rule sigma.Logsource, by []sigma.Logsource) bool {
	return slices.ContainsFunc(by, rule.Covers)
}

// TestEventsOfRealRecordingsAreRouted wants a service or a category, not only a
// product, of all but a few events whose channels no rule is about.
func TestEventsOfRealRecordingsAreRouted(t *testing.T) {
	zr, err := gzip.NewReader(data(t, "events/windows-10k.ndjson.gz"))
	if err != nil {
		t.Fatal(err)
	}
	v, n, finely := router(t), 0, 0
	productOnly := make(map[string]int)
	for sc := lines(zr); sc.Scan(); n++ {
		got := sources(t, v, sc.Bytes())
		if len(got) == 0 {
			t.Errorf("event %d has no logsource: %.300s", n, sc.Bytes())
		}
		if slices.ContainsFunc(got, func(l sigma.Logsource) bool { return l.Service != "" || l.Category != "" }) {
			finely++
			continue
		}
		var e struct{ Channel string }
		_ = json.Unmarshal(sc.Bytes(), &e)
		productOnly[e.Channel]++
	}
	t.Logf("%d of %d events have a service or category; those that have only a product: %v", finely, n, productOnly)
	if n != 10044 || finely < 10036 {
		t.Errorf("%d events, %d with a service", n, finely)
	}
}
