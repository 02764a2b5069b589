package tomlcheck

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// repeated is one line a number.
func repeated(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestHostileDocuments(t *testing.T) {
	deep := strings.Repeat("[", 300)
	for name, c := range map[string]struct {
		text string
		line int
		deep bool
	}{
		"arrays":                  {"\na=" + deep, 2, true},
		"inline tables":           {"a=" + strings.Repeat("{a=", 300), 1, true},
		"arrays over lines":       {"a=[\n" + strings.Repeat("[\n", 300), 201, true},
		"a key":                   {strings.Repeat("a.", 300) + "a=1", 1, true},
		"a quoted key":            {"\n\n" + strings.Repeat("'a' . ", 300) + "a=1", 3, true},
		"a header":                {"[" + strings.Repeat("a.", 300) + "a]", 1, true},
		"an array's header":       {"[[" + strings.Repeat("a.", 300) + "a]]", 1, true},
		"a key within":            {"a={" + strings.Repeat("a.", 300) + "a=1}", 1, true},
		"after a comment":         {"# ' \" \na=" + deep, 2, true},
		"after a string":          {`a=["\"", '\', ` + deep, 1, true},
		"after a long string":     {"a=[\"\"\"\\\"\"\" \"\"\",'''\n''', " + deep, 2, true},
		"after quotes of its own": {"a=['''x'''''," + deep, 1, true},
		"after one of its own":    {"a=[\"\"\"x\"\"\"\"," + deep, 1, true},
		"keys":                    {repeated(30_000, "a%d=1\n"), 0, false},
		"keys of an inline one":   {"a={" + repeated(30_000, "a%d=1,"), 0, false},
		"tables":                  {repeated(30_000, "[a%d]\n"), 0, false},
		"a wide one and many":     {"[a]\n" + repeated(10_000, "a%d=1\n") + repeated(20_000, "[[b]]#%d\n"), 0, false},
	} {
		var e *Error
		err := Check([]byte(c.text))
		if !errors.As(err, &e) || e.Deep != c.deep || c.line > 0 && e.Line != c.line {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOrdinaryDocuments(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":    "",
		"strings":    "a = '" + strings.Repeat("[", 999) + "'\nb = '''\n" + strings.Repeat("a.", 999) + "'''\nc=\"" + strings.Repeat("{", 999) + `\""`,
		"comment":    "# " + strings.Repeat("[", 999) + "\na=1",
		"numbers":    "a = [" + strings.Repeat("1.5,", 9_999) + "]",
		"a lockfile": "[metadata]\n" + repeated(3_000, "k%d = 'x'\n") + repeated(20_000, "[[package]]\nname='n%d'\nversion='1'\nfiles=[{file='a',hash='b'},{file='a',hash='b'}]\n"),
		"tables":     repeated(3_000, "[a%d.b.c]\nx.y=1\n"),
	} {
		if err := Check([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := toml.Unmarshal([]byte(text), new(any)); err != nil {
			t.Errorf("%s is no TOML: %v", name, err)
		}
	}
}

// FuzzCheck gives the decoder what passes: neither fails by more than an error. That
// the decoder panics over tables below an empty array of tables is known to callers.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{"a=[[1]]", "[[a.b]]\nc='''x'''''\nd={e.f=\"\\\"\"}", "a=\"\"\"\\\"\"\"", "a='\n[", "#\r\n", "a='''", "\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if Check(data) != nil {
			return
		}
		defer func() { _ = recover() }()
		_ = toml.Unmarshal(data, new(any))
	})
}
