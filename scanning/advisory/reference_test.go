package advisory_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
)

// The functions below are OSV's evaluation as its specification writes it, over
// parsed records and without any index. They are slow and the matcher is held
// against them.

func isVulnerable(p scanning.Package, v string, osv object) bool {
	for _, affected := range osv["affected"].([]object) {
		of := affected["package"].(object)
		if !advisory.SameRelease(of["ecosystem"].(string), p.Ecosystem) || of["name"] != p.Name {
			continue
		}
		if includedInVersions(v, affected) || includedInRanges(p.Ecosystem, v, affected) {
			return true
		}
	}
	return false
}

func includedInVersions(v string, affected object) bool {
	versions, _ := affected["versions"].([]string)
	return slices.Contains(versions, v)
}

func includedInRanges(ecosystem, v string, affected object) bool {
	ranges, _ := affected["ranges"].([]object)
	for _, r := range ranges {
		order := ecosystem
		if r["type"] == "SEMVER" {
			order = "npm"
		}
		events := r["events"].([]object)
		if !beforeLimits(order, v, events) {
			continue
		}
		vulnerable := false
		for _, e := range sorted(order, events) {
			if s, ok := e["introduced"].(string); ok && (s == "0" || compare(order, v, s) >= 0) {
				vulnerable = true
			} else if s, ok := e["fixed"].(string); ok && compare(order, v, s) >= 0 {
				vulnerable = false
			} else if s, ok := e["last_affected"].(string); ok && compare(order, v, s) > 0 {
				vulnerable = false
			}
		}
		if vulnerable {
			return true
		}
	}
	return false
}

func beforeLimits(order, v string, events []object) bool {
	limited := false
	for _, e := range events {
		if s, ok := e["limit"].(string); ok {
			limited = true
			if strings.Contains(s, "*") || compare(order, v, s) < 0 {
				return true
			}
		}
	}
	return !limited
}

func sorted(order string, events []object) []object {
	out := slices.Clone(events)
	sort.SliceStable(out, func(i, j int) bool {
		a, b := eventVersion(out[i]), eventVersion(out[j])
		if out[i]["introduced"] == "0" || strings.Contains(a, "*") {
			return !(out[j]["introduced"] == "0" || strings.Contains(b, "*"))
		}
		if out[j]["introduced"] == "0" || strings.Contains(b, "*") {
			return false
		}
		return compare(order, a, b) < 0
	})
	return out
}

func eventVersion(e object) string {
	for _, v := range e {
		return v.(string)
	}
	return ""
}

func compare(ecosystem, a, b string) int {
	n, err := advisory.CompareVersions(ecosystem, a, b)
	if err != nil {
		panic(err)
	}
	return n
}

// makers write random versions of an ecosystem.
var makers = map[string]func(r *rand.Rand) string{
	"npm": func(r *rand.Rand) string {
		return three(r) + pick(r, "", "", "-alpha.1", "-beta", "-rc.2", "+build")
	},
	"Go": func(r *rand.Rand) string {
		return pick(r, three(r), three(r)+"-0.20220412211240-33da011f77ad", "0.0.0-2019061317"+fmt.Sprint(1000+r.IntN(9))+"-abcdefabcdef")
	},
	"PyPI": func(r *rand.Rand) string { return three(r) + pick(r, "", "", "a1", "rc2", ".post1", ".dev3") },
	"Maven": func(r *rand.Rand) string {
		return three(r) + pick(r, "", "", "-SNAPSHOT", ".Final", "-beta-2", ".RELEASE")
	},
	"RubyGems": func(r *rand.Rand) string { return three(r) + pick(r, "", ".pre1", ".rc1") },
	"NuGet":    func(r *rand.Rand) string { return three(r) + pick(r, "", ".4", "-preview2") },
	"Debian:12": func(r *rand.Rand) string {
		return pick(r, "", "1:") + three(r) + pick(r, "", "-1", "-1+deb12u2", "~rc1-1", "-2~bpo12+1")
	},
	"Alpine:v3.20": func(r *rand.Rand) string {
		return three(r) + pick(r, "", "_rc1", "_p2", "b", "_git20240101") + fmt.Sprint("-r", r.IntN(3))
	},
	"Rocky Linux:9": func(r *rand.Rand) string {
		return pick(r, "", "1:") + three(r) + pick(r, "-1.el9", "-2.el9_4", "-1.el9~rc1")
	},
	"crates.io": func(r *rand.Rand) string { return three(r) + pick(r, "", "-alpha") },
	"Packagist": func(r *rand.Rand) string { return three(r) + pick(r, "", "-RC1", "-beta2") },
}

func three(r *rand.Rand) string { return fmt.Sprintf("%d.%d.%d", r.IntN(4), r.IntN(12), r.IntN(3)) }

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

// invent writes a random advisory: events in no order, several ranges, limits,
// enumerations, several entries of one package, several releases.
func invent(r *rand.Rand, id int, ecosystem string) object {
	make := makers[ecosystem]
	var affected []object
	for range 1 + r.IntN(2) {
		var ranges []object
		for range r.IntN(3) {
			kind := "ECOSYSTEM"
			if ecosystem == "npm" || ecosystem == "Go" || ecosystem == "crates.io" {
				kind = "SEMVER"
			}
			events := []object{{"introduced": pick(r, "0", make(r))}}
			end := pick(r, "fixed", "last_affected")
			for range r.IntN(4) {
				events = append(events, object{pick(r, "introduced", end, end): make(r)})
			}
			if r.IntN(6) == 0 {
				events = append(events, object{"limit": pick(r, "*", make(r), make(r))})
			}
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			ranges = append(ranges, object{"type": kind, "events": events})
		}
		var versions []string
		for range r.IntN(4) {
			versions = append(versions, make(r))
		}
		of := ecosystem
		if base, _, ok := strings.Cut(ecosystem, ":"); ok {
			of = pick(r, ecosystem, ecosystem, base, base+":7")
		}
		affected = append(affected, pkg(of, fmt.Sprint("package-", r.IntN(6)), object{"ranges": ranges, "versions": versions}))
	}
	o := record(fmt.Sprintf("TEST-%d", id), nil, affected...)
	if r.IntN(15) == 0 {
		o["withdrawn"] = "2026-01-01T00:00:00Z"
	}
	return o
}

// TestNoAdvisoryIsMissed is the differential test: random advisories and packages,
// the indexed matcher and the specification, and campaigns' predicates as well.
func TestNoAdvisoryIsMissed(t *testing.T) {
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 7))
		var ecosystems []string
		for e := range makers {
			ecosystems = append(ecosystems, e)
		}
		slices.Sort(ecosystems)
		var records []object
		var lines []byte
		for i := range 400 {
			o := invent(r, i, ecosystems[i%len(ecosystems)])
			records = append(records, o)
			lines = append(append(lines, marshal(t, o)...), '\n')
		}
		dir := t.TempDir()
		if s := load(t, dir, write(t, filepath.Join(t.TempDir(), "all.ndjson"), lines)); s.Incomplete() || s.Added != 400 {
			t.Fatalf("%+v", s)
		}
		db := open(t, dir)
		campaigns, err := advisory.Diff(nil, db)
		if err != nil {
			t.Fatal(err)
		}
		for range 400 {
			e := ecosystems[r.IntN(len(ecosystems))]
			p := installed(e, fmt.Sprint("package-", r.IntN(6)), makers[e](r))
			agree(t, db, campaigns, records, p)
		}
	}
}

func agree(t *testing.T, db *advisory.DB, campaigns []advisory.Affected, records []object, p scanning.Package) {
	t.Helper()
	var want, got, asked []string
	for _, o := range records {
		if o["withdrawn"] == nil && isVulnerable(p, p.Version, o) {
			want = append(want, o["id"].(string))
		}
	}
	findings, gaps := match(db, p)
	if len(gaps) != 0 {
		t.Fatalf("%v", gaps)
	}
	for _, f := range findings {
		got = append(got, f.Rule)
	}
	for i := range campaigns {
		if ok, err := campaigns[i].Matches(&p); err != nil {
			t.Fatal(err)
		} else if ok {
			asked = append(asked, campaigns[i].ID)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	slices.Sort(asked)
	if !slices.Equal(got, want) || !slices.Equal(slices.Compact(asked), want) {
		t.Fatalf("%s %s %s\n     got %v\ncampaign %v\n    want %v", p.Ecosystem, p.Name, p.Version, got, asked, want)
	}
}

// TestTheAdviceIsNeverAffected holds every advised version against the
// specification.
func TestTheAdviceIsNeverAffected(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var records []object
	for i := range 300 {
		records = append(records, invent(r, i, "npm"))
	}
	dir := t.TempDir()
	if _, err := advisory.Import(context.Background(), dir, options(), source(t, records...)); err != nil {
		t.Fatal(err)
	}
	db, advised := open(t, dir), 0
	for range 300 {
		p := installed("npm", fmt.Sprint("package-", r.IntN(6)), makers["npm"](r))
		findings, _ := match(db, p)
		for _, f := range findings {
			_, version, ok := strings.Cut(strings.TrimSuffix(f.Advice, "."), " to ")
			i := slices.IndexFunc(records, func(o object) bool { return o["id"] == f.Rule })
			if !ok || i < 0 {
				continue
			}
			advised++
			if compare("npm", version, p.Version) <= 0 || isVulnerable(p, version, records[i]) {
				t.Fatalf("%s: %s is advised for %s", f.Rule, version, p.Version)
			}
		}
	}
	if advised < 100 {
		t.Errorf("only %d were advised", advised)
	}
}
