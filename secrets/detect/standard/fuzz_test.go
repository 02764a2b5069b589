package standard_test

import (
	"testing"
	"unicode/utf8"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/leakcorpus"
	"github.com/interlock-security/interlock/secrets/detect/standard"
)

// FuzzStandard holds every rule and grammar together: no text makes one of them
// panic, or report a place that isn't there.
func FuzzStandard(f *testing.F) {
	files, err := leakcorpus.Generate(7)
	if err != nil {
		f.Fatal(err)
	}
	for i := 0; i < len(files); i += 29 {
		f.Add(files[i].Path, files[i].Body)
	}
	d, err := detect.New(standard.Config())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		lines := 1
		for _, c := range body {
			if c == '\n' {
				lines++
			}
		}
		d.Scan(detect.Text{Path: path, Body: body}, func(l *detect.Leak) {
			if l.Line < 0 || l.EndLine > lines || l.Fingerprint == "" || !utf8.ValidString(l.Excerpt) || l.Verdict == detect.Invalid {
				t.Errorf("%+v in a text of %d lines", l, lines)
			}
		})
	})
}
