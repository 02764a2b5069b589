package advisory_test

import (
	"testing"

	"github.com/interlock-security/interlock/scanning"
)

func TestAMovingTagIsTheNewestOfItsReleases(t *testing.T) {
	const name = "github/codeql-action"
	action := func(rest object) object { return pkg("GitHub Actions", name, rest) }
	for _, c := range []struct {
		tag      string
		affected object
		found    bool
		gap      bool
	}{
		{"v3", action(span("ECOSYSTEM", "introduced", "3.0.0", "fixed", "3.28.3")), false, false},
		{"v3.28", action(span("ECOSYSTEM", "introduced", "3.0.0", "fixed", "3.28.3")), false, false},
		{"v3.27", action(span("ECOSYSTEM", "introduced", "3.0.0", "fixed", "3.28.3")), true, false},
		{"2", action(span("ECOSYSTEM", "introduced", "0", "fixed", "3.28.3")), true, false},
		{"v3", action(span("ECOSYSTEM", "introduced", "0", "last_affected", "3.28.2")), false, false},
		{"v3", action(span("ECOSYSTEM", "introduced", "3.1.0")), true, false},
		{"v3", action(span("ECOSYSTEM", "introduced", "4.0.0")), false, false},
		{"v3", action(span("ECOSYSTEM", "introduced", "0")), true, false},
		{"main", action(span("ECOSYSTEM", "introduced", "0", "fixed", "3.28.3")), false, true},
		{"v3-beta", action(span("ECOSYSTEM", "introduced", "0", "fixed", "3.28.3")), false, true},
	} {
		for _, p := range []scanning.Package{
			{Ecosystem: "GitHub Actions", Name: name, PURL: "pkg:githubactions/" + name + "@" + c.tag},
			{Ecosystem: "GitHub Actions", Name: name, Version: c.tag},
		} {
			findings, gaps := match(database(t, record("GHSA-1", nil, c.affected)), p)
			if p.Version != "" && c.gap {
				continue // what a bill of others calls a version is judged as one
			}
			if (len(findings) == 1) != c.found || (len(gaps) == 1) != c.gap {
				t.Errorf("%s %q of %v: %d findings, gaps %v", c.tag, p.Version, c.affected, len(findings), gaps)
			}
		}
	}
}
