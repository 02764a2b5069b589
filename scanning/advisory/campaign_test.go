package advisory_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
)

func TestAffectedAnswersByAnyNameAndForDistributions(t *testing.T) {
	db := database(t,
		record("GHSA-jfh8-c2jp-5v3q", object{"aliases": []string{"CVE-2099-44228"}},
			pkg("Maven", "org.example:logger", span("ECOSYSTEM", "introduced", "2.0-beta9", "fixed", "2.15.0"))),
		record("DEBIAN-CVE-2099-44228", object{"upstream": []string{"CVE-2099-44228"}},
			pkg("Debian:12", "example-logger", span("ECOSYSTEM", "introduced", "0", "fixed", "2.15.0-1")),
			pkg("Debian:11", "example-logger", span("ECOSYSTEM", "introduced", "0", "fixed", "2.15.0-1~deb11u1"))),
	)
	for _, name := range []string{"CVE-2099-44228", "GHSA-jfh8-c2jp-5v3q"} {
		all, err := db.Affected(name)
		if err != nil || len(all) != 3 {
			t.Fatalf("%s: %d, %v", name, len(all), err)
		}
	}
	all, _ := db.Affected("CVE-2099-44228")
	hit := func(p scanning.Package) (n int) {
		for i := range all {
			if ok, err := all[i].Matches(&p); ok && err == nil && slices.Contains(advisory.Keys(&p), all[i].Key) {
				n++
			}
		}
		return n
	}
	for _, row := range []struct {
		p    scanning.Package
		want int
	}{
		{installed("Maven", "org.example:logger", "2.14.1"), 1},
		{installed("Maven", "org.example:logger", "2.15.0"), 0},
		{installed("Maven", "org.example:other", "2.14.1"), 0},
		{scanning.Package{Ecosystem: "Debian:12", Name: "libexample-logger-java", Source: "example-logger", Version: "2.14.0-1"}, 1},
		{scanning.Package{Ecosystem: "Debian:11", Name: "libexample-logger-java", Source: "example-logger", Version: "2.15.0-1~deb11u1"}, 0},
		{scanning.Package{Ecosystem: "Debian:12", Name: "libexample-logger-java", Source: "example-logger", Version: "2.15.0-1~deb11u1"}, 1},
	} {
		if got := hit(row.p); got != row.want {
			t.Errorf("%+v: %d, want %d", row.p, got, row.want)
		}
	}
	if _, err := all[0].Affects("latest"); err == nil {
		t.Error("a version that is none is not clean")
	}
	if _, err := db.Affected("CVE-1999-1"); err == nil {
		t.Error("an unknown advisory must be an error")
	}
}

func TestDiffListsWhatIsNewChangedAndWithdrawn(t *testing.T) {
	one := func(fixed string) object {
		return pkg("npm", "left-pad", span("SEMVER", "introduced", "0", "fixed", fixed))
	}
	before := database(t, record("GHSA-1", nil, one("1.0.0")), record("GHSA-2", nil, one("1.0.0")), record("GHSA-3", nil, one("1.0.0")), record("GHSA-5", nil, one("9.0.0")))
	after := database(t, record("GHSA-1", nil, one("1.0.0")), record("GHSA-2", object{"modified": "2026-11-21T00:00:00Z"}, one("2.0.0")),
		record("GHSA-3", object{"withdrawn": "2026-11-21T00:00:00Z"}, one("1.0.0")), record("GHSA-4", nil, one("3.0.0")))
	all, err := advisory.Diff(before, after)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range all {
		ok, err := all[i].Affects("1.5.0")
		got = append(got, fmt.Sprint(all[i].ID, " ", all[i].Change, " ", ok, " ", err))
	}
	want := []string{"GHSA-2 changed true <nil>", "GHSA-3 withdrawn false <nil>", "GHSA-4 added true <nil>", "GHSA-5 withdrawn true <nil>"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if first, err := advisory.Diff(nil, before); err != nil || len(first) != 4 {
		t.Errorf("%d, %v", len(first), err)
	}
}
