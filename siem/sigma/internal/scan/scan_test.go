package scan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma/internal/scan"
)

var paths = []string{"a", "b", "a.b", "a.b.c", "EventID", "CommandLine", "a b", "interlock.device", "é", ""}

// laid is what a scan found, a line for each value.
func laid(t *testing.T, text string, all bool) ([]string, error) {
	t.Helper()
	table := scan.NewTable(paths)
	var s scan.Scanner
	err := s.Scan([]byte(text), table, all)
	var out []string
	for _, v := range s.Values {
		name := "-"
		if v.Path != scan.None {
			name = table.Name(v.Path)
		}
		value := string(v.Raw)
		if v.Kind == scan.Text {
			value = string(scan.AppendText(nil, v.Raw))
		}
		out = append(out, fmt.Sprintf("%s=%d:%s", name, v.Kind, value))
	}
	return out, err
}

func TestLayout(t *testing.T) {
	for _, row := range []struct {
		text string
		all  bool
		want []string
	}{
		{`{}`, true, nil},
		{` { "a" : "x" , "z" : 1 } `, false, []string{"a=0:x"}},
		{`{"a":"x","z":1}`, true, []string{"a=0:x", "-=1:1"}},
		{`{"a":{"b":"x","c":2}}`, false, []string{"a=4:{", "a.b=0:x"}},
		{`{"a.b":"x","a":{"b.c":1,"b":{"c":2}}}`, false, []string{"a.b=0:x", "a=4:{", "a.b.c=1:1", "a.b=4:{", "a.b.c=1:2"}},
		{`{"a":["x",["y",null],{"b":true}]}`, false, []string{"a=4:[", "a=0:x", "a=4:[", "a=0:y", "a=3:null", "a=4:{", "a.b=2:true"}},
		{`{"a":1,"a":-1.5e+9}`, false, []string{"a=1:1", "a=1:-1.5e+9"}},
		{`{"\u0061":"\ud83d\ude00\n\"\\\/"}`, false, []string{"a=0:😀\n\"\\/"}},
		{`{"z":{"a":1,"b":[2]}}`, false, nil},
		{`{"a":"\ud83d","b":"\ud83d\u0041"}`, false, []string{"a=0:\ufffd", "b=0:\ufffdA"}},
		{`{"a b":"` + strings.Repeat("long ", 9) + `"}`, false, []string{"a b=0:" + strings.Repeat("long ", 9)}},
		{"{\"a\":\"tab\tas it is\"}", false, []string{"a=0:tab\tas it is"}},
		{`{"":"no name"}`, false, []string{"=0:no name"}},
	} {
		if got, err := laid(t, row.text, row.all); err != nil || !slices.Equal(got, row.want) {
			t.Errorf("%s: %q, %v, want %q", row.text, got, err, row.want)
		}
	}
}

func TestRefusalsSayWhere(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{``, "this is no JSON object at byte 0"},
		{` [1]`, "this is no JSON object at byte 1"},
		{`{"a"}`, "a colon is missing at byte 4"},
		{`{"a":}`, "a value is missing at byte 5"},
		{`{"a":1,}`, "a key is missing at byte 7"},
		{`{"a":1`, "a comma or a closing brace is missing at byte 6"},
		{`{"a":1} x`, "something follows the object at byte 8"},
		{`{"a":"x`, "text has no end at byte 7"},
		{`{"a":"x\`, "text has no end at byte 8"},
		{`{"a":"x\"`, "text has no end at byte 9"},
		{`{"a":"\x"}`, "this is no JSON escape at byte 6"},
		{`{"a":"\u12g4"}`, "this is no JSON escape at byte 6"},
		{`{"a":"\u12`, "text has no end at byte 10"},
		{`{"a":"\u12"}`, "this is no JSON escape at byte 6"},
		{`{"a":01}`, "this is no JSON number at byte 5"},
		{`{"a":-}`, "this is no JSON number at byte 5"},
		{`{"a":1.}`, "this is no JSON number at byte 5"},
		{`{"a":1e}`, "this is no JSON number at byte 5"},
		{`{"a":tru}`, "a value is missing at byte 5"},
		{`{"a":[1 2]}`, "a comma or a closing bracket is missing at byte 8"},
		{strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), "the object nests deeper than 32 levels at byte 160"},
		{`{"a":[` + strings.Repeat("1,", 70_000) + "1]}", "the object has more than 65536 values at byte 131076"},
		{`{"a":"` + strings.Repeat(" ", scan.MaxSize) + `"}`, fmt.Sprintf("the object has %d bytes, at most %d are allowed at byte %d", scan.MaxSize+8, scan.MaxSize, scan.MaxSize)},
	} {
		_, err := laid(t, row.text, true)
		var fault *scan.Error
		if !errors.As(err, &fault) || err.Error() != row.want {
			t.Errorf("%.60s: %v, want %s", row.text, err, row.want)
		}
	}
}

func TestFoldedIsTextMadeSmall(t *testing.T) {
	for _, raw := range []string{"", "A", "AbCdEfGh", `C:\\Windows\\System32\\CMD.EXE`, `\\\\\\`, `0123456\\`, "@[`{Zz", `\n\t\"\/Q`, strings.Repeat(`Ab\\`, 30)} {
		want := bytes.ToLower(scan.AppendText(nil, []byte(raw)))
		if got := scan.AppendFolded([]byte("x"), []byte(raw)); string(got) != "x"+string(want) {
			t.Errorf("AppendFolded(%q) = %q, want %q", raw, got[1:], want)
		}
	}
}

func TestScanAllocatesNothing(t *testing.T) {
	table, text := scan.NewTable(paths), []byte(`{"a":{"b":[1,2,"x\\y"]},"CommandLine":"q"}`)
	var s scan.Scanner
	run := func() {
		s.Values = s.Values[:0]
		if err := s.Scan(text, table, true); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// flat lists the scalars of what encoding/json read, in the manner of a scan.
func flat(dec *json.Decoder, path string, out *[]string) {
	tok, err := dec.Token()
	if err != nil {
		return
	}
	switch tok := tok.(type) {
	case json.Delim:
		for dec.More() {
			inner := path
			if tok == '{' {
				key, _ := dec.Token()
				inner = strings.TrimPrefix(path+"."+fmt.Sprint(key), ".")
				if path == "" && key == "" {
					inner = ""
				}
			}
			flat(dec, inner, out)
		}
		_, _ = dec.Token()
	case nil:
		*out = append(*out, "null")
	default:
		*out = append(*out, fmt.Sprint(tok))
	}
}

// FuzzScan holds the scanner against encoding/json: what one refuses the other
// does, control characters in text and limits aside, and the scalars are the same.
func FuzzScan(f *testing.F) {
	for _, s := range []string{`{"a":"x"}`, `{"a":{"b":[1,-2.5e3,true,null,"\u00e9\n"]},"b":{}}`, `{"a":"\ud83d\ude00"}`, `{"a":1}x`, `{"a":"` + "\x00" + `"}`, ` { } `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s scan.Scanner
		err := s.Scan(b, scan.NewTable(paths), true)
		if json.Valid(b) && err != nil {
			if !strings.Contains(err.Error(), "no JSON object") && !strings.Contains(err.Error(), "deeper") && !strings.Contains(err.Error(), "more than") {
				t.Fatalf("refused what is JSON: %v", err)
			}
			return
		}
		if err != nil {
			return
		}
		if !json.Valid(b) && !slices.ContainsFunc(b, func(c byte) bool { return c < 0x20 }) {
			t.Fatal("took what is no JSON")
		}
		if !json.Valid(b) {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		var want, got []string
		flat(dec, "", &want)
		for _, v := range s.Values {
			switch {
			case v.Kind == scan.Text:
				got = append(got, strings.ToValidUTF8(string(scan.AppendText(nil, v.Raw)), "\ufffd"))
			case v.Kind != scan.Compound:
				got = append(got, string(v.Raw))
			}
		}
		if bytes.ContainsRune(b, '\ufffd') || !validText(b) {
			return // encoding/json writes U+FFFD for each bad byte, not for each run
		}
		if !slices.Equal(got, want) {
			t.Fatalf("scalars %q, want %q", got, want)
		}
	})
}

func validText(b []byte) bool { return bytes.Equal(bytes.ToValidUTF8(b, nil), b) }
