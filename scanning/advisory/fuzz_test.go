package advisory_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
)

// FuzzParseOSV reads anything, and what it accepts must be packed, opened and
// matched without a fault.
func FuzzParseOSV(f *testing.F) {
	for _, s := range []string{
		`{"id":"A","modified":"2026-01-01T00:00:00Z"}`,
		`{"id":"A","modified":"2026-01-01T00:00:00Z","aliases":["B","A"],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"affected":[{"package":{"ecosystem":"npm","name":"x"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.0"},{"limit":"*"}]}],"versions":["1.0.0","1.0"]}]}`,
		`{"id":"A","modified":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"Debian:12","name":"x"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"1:2-3"},{"last_affected":"a"}]},{"type":"SEMVER","events":[{"introduced":"1"},{"introduced":"v1.0"}]},{"type":"GIT","repo":"r","events":[{"introduced":"0"},{"fixed":"abc"}]}]}]}`,
		`{"id":"A","modified":"2026-01-01T00:00:00Z","withdrawn":"2026-01-01T00:00:00Z","affected":[{"ranges":[{"type":"GIT","repo":"https://x/y","events":[{"introduced":"0"}]}]}]}`,
		`{"id":"A","modified":"0001-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"Go","name":"m"},"ecosystem_specific":{"imports":[{"path":"m/p"}],"severity":"HIGH"}}]}`,
		`[`, `{"id":1}`, "",
	} {
		f.Add([]byte(s), "1.0.0")
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, version string) {
		a, err := advisory.ParseOSV(data)
		if err != nil || len(data) > 1<<12 {
			return
		}
		path := filepath.Join(dir, "one.json")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(dir, "db")); err != nil {
			t.Fatal(err)
		}
		s, err := advisory.Import(context.Background(), filepath.Join(dir, "db"), options(), path)
		if err != nil || s.Read != 1 && !s.Incomplete() && s.KEV == nil {
			t.Fatalf("%+v %v", s, err)
		}
		db, err := advisory.Open(filepath.Join(dir, "db"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		if s.Read == 1 {
			ask(t, db, a, version)
		}
	})
}

func ask(t *testing.T, db *advisory.DB, a *advisory.Advisory, version string) {
	b, err := db.Get(a.ID)
	if err != nil || len(a.Affected) != len(b.Affected) {
		t.Fatalf("%v", err)
	}
	all, err := db.Affected(a.ID)
	if err != nil {
		t.Fatal(err)
	}
	for i := range a.Affected {
		p := scanning.Package{Ecosystem: a.Affected[i].Ecosystem, Name: a.Affected[i].Name, Version: version}
		findings, gaps := db.Match([]scanning.Package{p}, advisory.MatchOptions{Now: now, MaxAge: 1 << 62})
		hit := false
		for j := range all {
			ok, err := all[j].Matches(&p)
			hit = hit || ok && err == nil
		}
		if hit != (len(findings) == 1) || len(findings) > 1 {
			t.Fatalf("%d findings, the predicate says %v; %v", len(findings), hit, gaps)
		}
	}
}

// FuzzOpen edits the bytes of a database: it opens as it was written, or not.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	src := filepath.Join(f.TempDir(), "one.json")
	if err := os.WriteFile(src, marshal(f, leftPad("GHSA-1", "2.0.0", nil)), 0o600); err != nil {
		f.Fatal(err)
	}
	if _, err := advisory.Import(context.Background(), dir, options(), src); err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(dir, "advisories.db")
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:100])
	f.Add([]byte("ILKADV\x00\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := advisory.Open(dir)
		if err != nil {
			return
		}
		defer func() { _ = db.Close() }()
		if findings, _ := match(db, installed("npm", "left-pad", "1.0.0")); len(findings) != 1 {
			t.Errorf("%d findings from a database that was edited", len(findings))
		}
	})
}

// FuzzSources reads the other forms: YAML, Markdown, KEV and EPSS.
func FuzzSources(f *testing.F) {
	f.Add("a.yaml", []byte("id: A\nmodified: \"2026-01-01T00:00:00Z\"\naffected:\n- package: {ecosystem: PyPI, name: x}\n  versions: ['1.0']\n"))
	f.Add("a.md", []byte("```toml\n[advisory]\nid = \"R\"\npackage = \"x\"\ndate = \"2026-01-01\"\n[versions]\npatched = [\">= 1.2, < 2\", \"^0.0.3\", \"1.*\"]\n```\n# T\n"))
	f.Add("a.json", []byte(kev))
	f.Add("a.csv", []byte(epss))
	f.Add("a.ndjson", []byte("{\n\n"))
	f.Add("a.zip", zipped(f, map[string][]byte{"a.json": []byte(kev)}))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		ext := filepath.Ext(name)
		if len(ext) > 7 || filepath.Base(ext) != ext || ext == "" || len(data) > 1<<14 {
			return
		}
		path := filepath.Join(dir, "source"+ext)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return
		}
		defer func() { _ = os.Remove(path) }()
		to := filepath.Join(dir, "db")
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
		if _, err := advisory.Import(context.Background(), to, options(), path); err != nil {
			return
		}
		db, err := advisory.Open(to)
		if err != nil {
			t.Fatal(err)
		}
		_ = db.Close()
	})
}
