package encoding_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect/internal/encoding"
)

func find(b []byte) []encoding.Segment {
	var out []encoding.Segment
	encoding.Find(b, 1000, func(s encoding.Segment) { out = append(out, s) })
	return out
}

func TestWhatIsNoTextIsLeftAlone(t *testing.T) {
	for _, body := range []string{
		"", "=", "plain words of a sentence", "getPasswordFromTheEnvironment", "a-long-name-with-dashes-0",
		"/usr/local/share/doc/file2", "0123456789abcdef0123456789abcdef", "100%", "%zz", "50%off", `\d+\.\w`, "&nothing;", "&&", "&#0;",
		base64.StdEncoding.EncodeToString([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}),
		hex.EncodeToString([]byte{200, 201, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}),
		"%80%81", "%00", "U+00zz", `\u12`, `\x4`,
	} {
		if got := find([]byte(body)); len(got) != 0 {
			t.Errorf("%q: %+v, %q", body, got, got[0].Plain)
		}
	}
}

func TestCharactersOfSeveralEscapes(t *testing.T) {
	for body, want := range map[string]string{
		"%C3%A9t%C3%A9":      "é",
		`\xe6\x97\xa5x`:      "日",
		"%41%42%80%43":       "AB",
		"a &amp;&lt;&#39; b": "&<'",
	} {
		got := find([]byte(body))
		if len(got) == 0 || string(got[0].Plain) != want {
			t.Errorf("%q: %+v", body, got)
		}
	}
}

func TestTooManyAndTooLongAreTold(t *testing.T) {
	n := 0
	if encoding.Find([]byte("%41 %42 %43"), 2, func(encoding.Segment) { n++ }) || n != 2 {
		t.Errorf("%d segments", n)
	}
	long := bytes.Repeat([]byte("c29tZSB0ZXh0"), encoding.MaxRun/12+1)
	if encoding.Find(long, 2, func(encoding.Segment) { t.Error("it was decoded") }) {
		t.Error("a run over the limit is not told")
	}
}

func FuzzFind(f *testing.F) {
	for _, s := range []string{"%41%C3%A9 &amp;", `\u0041\x41\U00000041 \` + "\n", "c29tZSB0ZXh0IGFuZCBtb3JlIG9mIGl0IGFuZCBtb3Jl\nc29tZSB0ZXh0", "0x736f6d652074657874 U+0041 U+0042"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		end := 0
		for _, s := range find(slices.Clone(body)) {
			if s.Start < end || s.End <= s.Start || s.End > len(body) {
				t.Fatalf("segment %+v after %d of %d", s, end, len(body))
			}
			end = s.End
			if len(s.Plain) > s.End-s.Start || !encoding.Text(s.Plain) {
				t.Errorf("%q decodes to %q", body[s.Start:s.End], s.Plain)
			}
		}
	})
}
