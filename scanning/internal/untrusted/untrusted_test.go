package untrusted

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
)

func TestOverALimitIsAnErrorAndNeverHalfADocument(t *testing.T) {
	for name, c := range map[string]struct {
		doc    string
		limits Limits
	}{
		"bytes":   {strings.Repeat("x", 11), Limits{Bytes: 10}},
		"depth":   {strings.Repeat("[", 5), Limits{Depth: 4}},
		"objects": {"[{},{},{}]", Limits{Objects: 3}},
		"parts":   {"[1,2,3,4]", Limits{Parts: 2}},
	} {
		if _, err := JSON(strings.NewReader(c.doc), c.limits); core.KindOf(err) != core.KindTooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := JSON(strings.NewReader(`{"a":"[[[[[{,,,\"[[["}`), Limits{Depth: 1, Objects: 1, Parts: 1}); err != nil {
		t.Errorf("what stands in a string counts: %v", err)
	}
}

func TestEncodingsOfShells(t *testing.T) {
	for name, doc := range map[string]string{
		"plain":     "{\"a\":\"\u00e9\U0001F600\"}",
		"utf-8 bom": "\xEF\xBB\xBF{\"a\":\"\u00e9\U0001F600\"}",
		"utf-16 le": "\xFF\xFE{\x00\"\x00a\x00\"\x00:\x00\"\x00\xe9\x00\x3d\xd8\x00\xde\"\x00}\x00",
		"utf-16 be": "\xFE\xFF\x00{\x00\"\x00a\x00\"\x00:\x00\"\x00\xe9\xd8\x3d\xde\x00\x00\"\x00}",
	} {
		got, err := Read(strings.NewReader(doc), Limits{})
		if err != nil || string(got) != "{\"a\":\"\u00e9\U0001F600\"}" {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

func TestClip(t *testing.T) {
	if got := Clip("h\u00e9llo", 2); got != "h" {
		t.Errorf("cut within a rune: %q", got)
	}
	if got := Clip("a\xff", 9); !utf8.ValidString(got) {
		t.Errorf("%q", got)
	}
}

// A file is whole or refused: what is cut off would be taken for all there is.
func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(name, []byte("1234"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := File(name, 4); err != nil || string(b) != "1234" {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := File(name, 3); core.KindOf(err) != core.KindTooLarge || b != nil {
		t.Errorf("over the limit: %q, %v", b, err)
	}
	if _, err := File(name+"2", 4); core.KindOf(err) != core.KindNotFound {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestAPipeIsNoFile: nobody may ever write to it.
func TestAPipeIsNoFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, "/dev/zero", t.TempDir()} {
		if _, err := File(path, 1<<20); core.KindOf(err) != core.KindInvalid || core.HintOf(err) == "" {
			t.Errorf("%s: %v", path, err)
		}
	}
}
