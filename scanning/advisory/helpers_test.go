package advisory_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
)

var now = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

type object = map[string]any

// record is an OSV record as a database would publish it; extra overrides.
func record(id string, extra object, affected ...object) object {
	r := object{"schema_version": "1.7.0", "id": id, "modified": "2026-11-20T10:00:00Z", "published": "2026-11-01T00:00:00Z", "affected": affected}
	for k, v := range extra {
		r[k] = v
	}
	return r
}

func pkg(ecosystem, name string, rest object) object {
	a := object{"package": object{"ecosystem": ecosystem, "name": name}}
	for k, v := range rest {
		a[k] = v
	}
	return a
}

// span is a range with its events: "introduced", "0", "fixed", "1.2.3".
func span(kind string, events ...string) object {
	var list []object
	for i := 0; i+1 < len(events); i += 2 {
		list = append(list, object{events[i]: events[i+1]})
	}
	return object{"ranges": []object{{"type": kind, "events": list}}}
}

func write(t *testing.T, path string, v any) string {
	t.Helper()
	b, ok := v.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// source writes records into a folder of files.
func source(t *testing.T, records ...object) string {
	t.Helper()
	dir := t.TempDir()
	for _, r := range records {
		write(t, filepath.Join(dir, r["id"].(string)+".json"), r)
	}
	return dir
}

func options() advisory.Options { return advisory.Options{Clock: clocktest.New(now)} }

func load(t *testing.T, dir string, sources ...string) advisory.Summary {
	t.Helper()
	s, err := advisory.Import(context.Background(), dir, options(), sources...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t *testing.T, dir string) *advisory.DB {
	t.Helper()
	db, err := advisory.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// database holds records and nothing else.
func database(t *testing.T, records ...object) *advisory.DB {
	t.Helper()
	dir := t.TempDir()
	if s := load(t, dir, source(t, records...)); s.Incomplete() {
		t.Fatalf("incomplete: %v", s.Problems)
	}
	return open(t, dir)
}

func match(db *advisory.DB, pkgs ...scanning.Package) ([]scanning.Finding, []scanning.Gap) {
	return db.Match(pkgs, advisory.MatchOptions{Now: now})
}

func installed(ecosystem, name, version string) scanning.Package {
	return scanning.Package{Ecosystem: ecosystem, Name: name, Version: version, File: "lockfile"}
}
