package spdxlicense

import (
	"strings"
	"testing"
)

func TestExpression(t *testing.T) {
	for s, want := range map[string]string{
		"MIT": "MIT", "mit": "MIT", "Apache-2.0 OR MIT": "Apache-2.0 OR MIT", "(mit or apache-2.0) and ISC": "(MIT OR Apache-2.0) AND ISC",
		"GPL-2.0-only WITH Classpath-exception-2.0": "GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0+": "GPL-2.0+", "MPL-1.1+": "MPL-1.1+",
		"": "", "MIT OR": "", "OR": "", "(MIT": "", "MIT)": "", "Public Domain": "", "MIT/Apache-2.0": "", "LicenseRef-x": "", "MIT WITH MIT": "",
		strings.Repeat("(", 1000) + "MIT": "", "MIT Or ISC": "", "NOASSERTION": "",
	} {
		if got := Expression(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
	if got := All([]string{"MIT OR ISC", "Zlib"}); got != "(MIT OR ISC) AND Zlib" {
		t.Error(got)
	}
}

func FuzzExpression(f *testing.F) {
	f.Add("(MIT OR Apache-2.0) AND GPL-2.0+ WITH Classpath-exception-2.0")
	f.Fuzz(func(t *testing.T, s string) {
		if e := Expression(s); e != "" && Expression(e) != e {
			t.Fatalf("%q is read as %q, which is none", s, e)
		}
	})
}
