package extract

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/scanning"
)

func input(text string) (*Input, []byte) {
	return &Input{FS: fstest.MapFS{"d/f": {Data: []byte(text)}}, Path: "d/f", Limits: Defaults}, []byte(text)
}

func TestNestingEndsBeforeTheStackDoes(t *testing.T) {
	var v any
	for name, c := range map[string]struct {
		text   string
		decode func(*Input, []byte, any) error
	}{
		"toml arrays":         {"a = " + strings.Repeat("[", 100_000), TOML},
		"toml tables":         {"a = " + strings.Repeat("{a=", 100_000), TOML},
		"toml behind strings": {"a = " + strings.Repeat("[ \"]\", ", 100_000), TOML},
		"json":                {strings.Repeat("[", 100_000), JSON},
		"xml":                 {strings.Repeat("<a>", 90_000), XML},
	} {
		in, data := input(c.text)
		if err := c.decode(in, data, &v); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	in, data := input("a = \"\"\"[[[ \\\" [\"\"\"\nb = '[' # [\nc = ['''[''']\n")
	var ok struct{ A, B string }
	if err := TOML(in, data, &ok); err != nil || ok.B != "[" {
		t.Errorf("brackets in strings: %v", err)
	}
}

func TestHowManyObjects(t *testing.T) {
	var v any
	in, data := input("[" + strings.Repeat("{},", 1_000_001) + "{}]")
	if err := JSON(in, data, &v); AsFault(err).Reason != scanning.ReasonTooMany {
		t.Errorf("got %v", err)
	}
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	for link, target := range map[string]string{"a": "b", "b": "c/d", "abs": "/c/d", "over": "../../x", "loop": "loop2", "loop2": "loop", "c/up": "../c/d/f"} {
		name := filepath.Join(dir, link)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "c/d"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "c/d/f"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a/f": "c/d/f", "abs/f": "c/d/f", "c/up": "c/d/f", "a/../c/d": "c/d", "over": "", "loop": "", "../x": "", "a/../../x": "", "none": ""} {
		got, err := Resolve(os.DirFS(dir), name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestSink(t *testing.T) {
	s := NewSink("f", 2)
	add := func(name string, direct, dev bool) {
		s.Add(scanning.Package{Ecosystem: "x", Name: name, Version: "1", PURL: "pkg:x/" + name, Direct: direct, Dev: dev, Requires: []string{"b", "a", "b"}})
	}
	add("two", false, true)
	add("one", false, false)
	add("two", true, false)
	add("three", false, false)
	s.Add(scanning.Package{Ecosystem: "x", Name: "bad\x00name"})
	s.Add(scanning.Package{Ecosystem: "x", Name: "bad", Version: "1\n2"})
	packages, gaps := s.Told()
	if len(packages) != 2 || packages[1].Name != "two" || !packages[1].Direct || packages[1].Dev || strings.Join(packages[1].Requires, "") != "ab" {
		t.Errorf("%+v", packages)
	}
	if len(gaps) != 3 || gaps[2].Reason != scanning.ReasonTooMany {
		t.Errorf("%+v", gaps)
	}
}

func TestHashes(t *testing.T) {
	if h := SRI("sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg== md5-x sha1-AAAA"); len(h) != 1 || !strings.HasPrefix(h["sha512"], "cf83e1") {
		t.Errorf("%v", h)
	}
	if Hex("sha256", "zz") != nil || Hex("sha256", "") != nil || Hex("crc", "00") != nil {
		t.Error("digests that are none")
	}
}

func TestLatin(t *testing.T) {
	in, data := input("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xe9</a>")
	var v string
	if err := XML(in, data, &v); err != nil || v != "é" {
		t.Errorf("%q, %v", v, err)
	}
}
