package advisory

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/scanning"
)

// DefaultMaxAge is how old advisories may be before a scan is incomplete.
const DefaultMaxAge = 7 * 24 * time.Hour

// Status is what a database is and how old.
type Status struct {
	Built      time.Time          `json:"built"`
	Advisories int                `json:"advisories"`
	Withdrawn  int                `json:"withdrawn"`
	Content    string             `json:"content"`
	Bytes      int64              `json:"bytes"`
	Ecosystems map[string]Ecology `json:"ecosystems"`
	// KEV and EPSS are nil where the list was never imported.
	KEV  *FeedState `json:"kev,omitempty"`
	EPSS *FeedState `json:"epss,omitempty"`
	// Problems are advisories that could not be read; every scan is incomplete
	// until they can.
	Problems []Problem `json:"problems,omitempty"`
	Unnamed  int       `json:"unnamed_problems,omitempty"`
}

// Status says what the database holds.
func (db *DB) Status() Status {
	m := &db.c.Manifest
	s := Status{
		Built: m.Built, Advisories: m.Advisories, Withdrawn: m.Withdrawn, Content: m.Content, Bytes: db.c.size,
		Ecosystems: map[string]Ecology{}, Problems: m.Problems, Unnamed: m.Unnamed,
	}
	for name, e := range m.Ecosystems {
		s.Ecosystems[name] = *e
	}
	if db.kev != nil {
		s.KEV = &db.kev.state
	}
	if db.epss != nil {
		s.EPSS = &db.epss.state
	}
	return s
}

// Check says what the database can't answer about packages: those of ecosystems
// that it has no advisories for, data older than maxAge (0 is [DefaultMaxAge]),
// and advisories that could not be read when it was made. With no packages it
// checks the age of everything that it holds. What it knows of exploitation
// hides no match and is no gap: see [DB.Lacks].
func (db *DB) Check(pkgs []scanning.Package, now time.Time, maxAge time.Duration) []scanning.Gap {
	if maxAge <= 0 {
		maxAge = DefaultMaxAge
	}
	var gaps []scanning.Gap
	var absent []string
	for _, full := range db.asked(pkgs) {
		name, release := split(full)
		e := db.c.Manifest.Ecosystems[name]
		switch {
		case name == "":
			gaps = append(gaps, scanning.Gap{What: "packages without an ecosystem", Why: "an inventory named packages and not where they come from, so no advisory could be looked up", Reason: scanning.ReasonUnsupported})
		case e == nil || !e.Whole:
			absent = append(absent, name)
		case !e.covers(name, release):
			absent = append(absent, full)
		case now.Sub(e.AsOf) > maxAge:
			gaps = append(gaps, scanning.Gap{What: name + " advisories", Why: stale(e, now, maxAge), Reason: scanning.ReasonStale})
		}
	}
	gaps = append(gaps, missing(slices.Compact(absent))...)
	gaps = slices.CompactFunc(gaps, func(a, b scanning.Gap) bool { return a == b })
	return append(gaps, db.incomplete()...)
}

// maxFeedAge is how old a list of what is exploited may be at least: it is dated
// by its publishers, who don't publish each day.
const maxFeedAge = 30 * 24 * time.Hour

// ranking are the lists that priorities are made of: by what counts in a report are
// named one that is not there and how old one is, and what is wrong then.
var ranking = []struct{ name, absent, days, without, since string }{
	{
		"KEV list", "missing KEV lists", "days since the KEV list",
		"what is known to be exploited counts as not exploited", "what has been exploited since then counts as not exploited",
	},
	{
		"EPSS list", "missing EPSS lists", "days since the EPSS list",
		"how likely exploitation is counts as not known", "how likely exploitation is has changed since then",
	},
}

// Lacks says what priorities made with this database are not made of, as what a
// report counts: lists of what is exploited that were never imported, and the
// days of those that are older than a month and than maxAge.
func (db *DB) Lacks(now time.Time, maxAge time.Duration) map[string]int64 {
	maxAge = max(maxAge, maxFeedAge)
	lacks := map[string]int64{}
	for i, f := range []*feed{db.kev, db.epss} {
		switch {
		case f == nil:
			lacks[ranking[i].absent] = 1
		case now.Sub(f.state.AsOf) > maxAge:
			lacks[ranking[i].days] = int64(now.Sub(f.state.AsOf).Hours() / 24)
		}
	}
	return lacks
}

// Warning is what [DB.Lacks] says in one line, and what to do; "" if it lacks
// nothing.
func Warning(lacks map[string]int64) string {
	var parts []string
	for _, l := range ranking {
		if lacks[l.absent] > 0 {
			parts = append(parts, fmt.Sprintf("%s was never imported, %s", l.name, l.without))
		}
		if days := lacks[l.days]; days > 0 {
			parts = append(parts, fmt.Sprintf("%s is %d days old, %s", l.name, days, l.since))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, "; ") + "; get what is new with: interlock scan db update"
}

// unpublished are ecosystems of which inventories tell and nobody has advisories.
var unpublished = map[string]bool{"conda": true, "CocoaPods": true, "JSR": true}

// elsewhere are ecosystems that are matched and of which OSV has no archive.
var elsewhere = map[string]bool{
	"Amazon Linux": true, "Azure Linux": true, "Bioconductor": true, "CentOS": true, "ConanCenter": true, "Docker Hardened Images": true,
	"Fedora": true, "Kubernetes": true, "Photon OS": true,
}

// Fetchable are those of some ecosystems that [Update] can get, sorted and
// without their releases.
func Fetchable(ecosystems []string) []string {
	var names []string
	for _, full := range ecosystems {
		if name, _ := split(full); families[name] != orderless && !elsewhere[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// fetching is the command that gets all of some ecosystems, as a shell takes it.
func fetching(names []string) string {
	var b strings.Builder
	b.WriteString("interlock scan db update")
	for _, name := range names {
		if strings.Contains(name, " ") {
			name = `"` + name + `"`
		}
		b.WriteString(" --ecosystem " + name)
	}
	return b.String()
}

// missing is a gap for each ecosystem, since each hides only its own packages.
// All of them name the one command that closes all that it can. Advisories that are
// not there are no old ones: old ones still say whether what they found is there.
func missing(ecosystems []string) (gaps []scanning.Gap) {
	command := fetching(Fetchable(ecosystems))
	for _, name := range ecosystems {
		g := scanning.Gap{What: name + " packages", Reason: scanning.ReasonMissingTool}
		switch {
		case unpublished[name]:
			g.Why, g.Reason = "nobody publishes advisories of "+name+" that could be matched; its packages are only listed", scanning.ReasonUnsupported
		case len(Fetchable([]string{name})) > 0:
			g.Why = "no advisories for " + name + " in this database; get them with: " + command
		default:
			g.Why = "no advisories for " + name + " in this database, and OSV has no archive of them; import them with: interlock scan db import FILE"
		}
		gaps = append(gaps, g)
	}
	return gaps
}

// covers says whether the database has advisories of a distribution's release: a
// new one, of which it knows nothing, is not clean.
func (e *Ecology) covers(name, release string) bool {
	if len(e.Releases) == 0 || release == "" {
		return true
	}
	return slices.ContainsFunc(e.Releases, func(r string) bool { return sameRelease(name, r, release) })
}

// whole lists the ecosystems of which a source of their own was imported.
func (db *DB) whole() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(db.c.Manifest.Ecosystems)) {
		if db.c.Manifest.Ecosystems[name].Whole {
			names = append(names, name)
		}
	}
	return names
}

func stale(e *Ecology, now time.Time, maxAge time.Duration) string {
	return fmt.Sprintf("are of %s, %d days old; %d days are allowed. Update with: interlock scan db update",
		e.AsOf.UTC().Format(time.DateOnly), int(now.Sub(e.AsOf).Hours()/24), int(maxAge.Hours()/24))
}

// asked are the ecosystems of packages with their releases, or all that the
// database is about.
func (db *DB) asked(pkgs []scanning.Package) []string {
	if len(pkgs) == 0 {
		return db.whole()
	}
	names := map[string]bool{}
	for i := range pkgs {
		names[pkgs[i].Ecosystem] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// incomplete is the gap of an import that could not read everything.
func (db *DB) incomplete() []scanning.Gap {
	m := &db.c.Manifest
	n := len(m.Problems) + m.Unnamed
	if n == 0 {
		return nil
	}
	var named []string
	for _, p := range m.Problems[:min(3, len(m.Problems))] {
		named = append(named, p.String())
	}
	return []scanning.Gap{{
		What:   "advisory database",
		Why:    fmt.Sprintf("%d advisories could not be read when it was made: %s; see: interlock scan db status", n, strings.Join(named, "; ")),
		Reason: scanning.ReasonMalformed,
	}}
}
