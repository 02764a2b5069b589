package advisory

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/priority"
)

// MatchOptions say how to judge what matches. The zero value is what a scan of
// an unknown place wants.
type MatchOptions struct {
	// Now is the moment against which the data's age is measured; the zero value
	// is the machine's clock.
	Now time.Time
	// MaxAge is how old the data may be; 0 is [DefaultMaxAge]. A larger one
	// hides no date, it only draws the line elsewhere.
	MaxAge time.Duration
	// Asset is where the packages are installed.
	Asset priority.Asset
	// EPSSThreshold replaces [priority.DefaultEPSS].
	EPSSThreshold float64
}

// Match says which packages have vulnerabilities that the database knows of. The
// findings are one per set of aliases and package, in the order of
// [priority.Order]; the gaps are everything that could not be asked, among them
// the database's age.
func (db *DB) Match(pkgs []scanning.Package, opt MatchOptions) ([]scanning.Finding, []scanning.Gap) {
	m := &matcher{db: db, opt: opt, cache: map[question]answer{}}
	m.gaps = db.Check(pkgs, opt.now(), opt.MaxAge)
	for i := range pkgs {
		m.one(&pkgs[i])
	}
	priority.Order(m.findings)
	return m.findings, m.gaps
}

func (o MatchOptions) now() time.Time {
	if o.Now.IsZero() {
		return core.SystemClock{}.Now()
	}
	return o.Now
}

// matcher is one call of Match with what it uses again and again.
type matcher struct {
	db       *DB
	opt      MatchOptions
	findings []scanning.Finding
	gaps     []scanning.Gap
	cache    map[question]answer
	page     page
}

type question struct{ key, ecosystem, version, module, stream string }

// answer is what the database says of one version of one package: it is the same
// in every lockfile that names it.
type answer struct {
	groups []group
	doubts []string
}

// group is the matched entries of one set of aliases.
type group struct {
	hits   []hit
	fixed  []string
	advice string
}

type hit struct {
	record record
	grade  grade
	pro    bool
	entry  packed
	onTop  bool // of a product that the package may not be from
}

func (m *matcher) one(p *scanning.Package) {
	seen := map[int]bool{}
	var own *scanning.Package // the findings' copy
	for _, s := range subjects(p) {
		q := question{key: s.key, ecosystem: p.Ecosystem, version: s.version}
		q.module, q.stream = moduleOf(p.PURL)
		a, ok := m.cache[q]
		if !ok {
			a = m.ask(q)
			m.cache[q] = a
		}
		for _, d := range a.doubts {
			m.gaps = append(m.gaps, scanning.Gap{What: describe(p), Why: d, Reason: scanning.ReasonMalformed})
		}
		if own == nil && len(a.groups) > 0 {
			c := *p
			own = &c
		}
		for i := range a.groups {
			if set := a.groups[i].hits[0].record.set; !seen[set] {
				seen[set] = true
				m.findings = append(m.findings, m.finding(own, &a.groups[i]))
			}
		}
	}
}

func describe(p *scanning.Package) string {
	s := p.Ecosystem + " " + p.Name
	if p.Version != "" {
		s += " " + p.Version
	}
	if p.File != "" {
		s += " in " + p.File
	}
	return s
}

// ask evaluates all that the database has under a key.
func (m *matcher) ask(q question) answer {
	b, i := m.db.packages.find(q.key)
	if i < 0 {
		return answer{}
	}
	base, release := split(q.ecosystem)
	g := &m.page
	if !g.read(b, base) {
		return answer{doubts: []string{"what the database has of it can't be read; import the advisories again"}}
	}
	at := g.stand(q.version)
	var a answer
	var hits []hit
	own := false // the release itself has the package, and not only what is on top
	for g.next() {
		if !sameRelease(base, string(g.releases[g.entry.release]), release) {
			continue
		}
		onTop := g.f == rpm && g.onTop(&g.entry)
		own = own || !onTop
		if v := g.verdict(at); v == affected {
			h := m.hit(base, release)
			h.onTop = onTop && len(buildMark([]byte(q.version))) == 0
			if g.f != rpm || !otherStream(h.record.title, q.module, q.stream) {
				hits = append(hits, h)
			}
		} else if v > affected {
			a.doubts = m.doubt(a.doubts, v, q, at)
		}
	}
	if g.s.bad {
		a.doubts = append(a.doubts, "what the database has of it can't be read; import the advisories again")
	}
	if own {
		hits = slices.DeleteFunc(hits, func(h hit) bool { return h.onTop })
	}
	a.groups = m.group(hits, at)
	return a
}

// hit is the entry that was read last.
func (m *matcher) hit(base, release string) hit {
	e := &m.page.entry
	return hit{
		record: m.record(e.ordinal), grade: e.grade, entry: e.clone(),
		pro: base == "Ubuntu" && onlyPro(m.page.releases[e.release], release),
	}
}

func onlyPro(advisory []byte, pkg string) bool {
	return bytes.HasPrefix(advisory, []byte("Pro:")) && !strings.HasPrefix(pkg, "Pro:")
}

func (m *matcher) record(ordinal int) record {
	r, ok := decodeRecord(m.db.records.at(ordinal))
	if !ok {
		m.gaps = append(m.gaps, scanning.Gap{What: "advisory database", Why: fmt.Sprintf("record %d can't be read; import the advisories again", ordinal), Reason: scanning.ReasonMalformed})
	}
	return r
}

// doubt says why an advisory could not be evaluated. One sentence per kind is
// enough; a package of the kernel has thousands.
func (m *matcher) doubt(doubts []string, v verdict, q question, at stand) []string {
	id := m.record(m.page.entry.ordinal).id
	var why string
	switch v {
	case unorderable:
		why = fmt.Sprintf("%s has a range whose versions can't be ordered, so whether it affects this version is not known", id)
	case commitsOnly:
		why = fmt.Sprintf("%s names only commits, so whether it affects this version is not known", id)
	default:
		if q.version == "" {
			why = fmt.Sprintf("its version is not known, and %s may affect it; name the version", id)
		} else {
			why = fmt.Sprintf("%v, so whether %s affects it is not known", at.err, id)
		}
	}
	for _, d := range doubts {
		if strings.TrimPrefix(d, id) == strings.TrimPrefix(why, id) {
			return doubts
		}
	}
	if len(doubts) >= maxDoubts {
		return doubts
	}
	return append(doubts, why)
}

// maxDoubts is how many advisories are named that could not be evaluated for one
// package; the first is enough to make the scan incomplete.
const maxDoubts = 3

// group joins hits that are aliases of each other and works out the advice.
func (m *matcher) group(hits []hit, at stand) []group {
	var groups []group
	index := map[int]int{}
	for _, h := range hits {
		i, ok := index[h.record.set]
		if !ok {
			i = len(groups)
			index[h.record.set] = i
			groups = append(groups, group{})
		}
		groups[i].hits = append(groups[i].hits, h)
	}
	for i := range groups {
		m.advise(&groups[i], at)
	}
	return groups
}

// advise lists the fixed versions of all members, lowest first, and picks the
// smallest above the installed one that none of them affects: on a branch of its
// own a fix is older than the next branch's first bad version.
func (m *matcher) advise(g *group, at stand) {
	for n := range m.page.lines {
		l := &m.page.lines[n]
		for _, i := range g.fixes(n) {
			v := string(l.versions[i])
			if slices.Contains(g.fixed, v) {
				continue
			}
			g.fixed = append(g.fixed, v)
			if g.advice == "" && i >= at.spots[n].upper && at.err == nil && m.clean(g, m.page.on(n, i)) {
				g.advice = v
			}
		}
	}
}

// fixes are the places on a line at which members are fixed, in order.
func (g *group) fixes(line int) []int {
	var all []int
	for _, h := range g.hits {
		for _, r := range h.entry.ranges {
			for _, e := range r.events {
				if r.line == line && e.kind == Fixed && e.at > 0 {
					all = append(all, e.at-1)
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (m *matcher) clean(g *group, at stand) bool {
	if at.err != nil {
		return false
	}
	for i := range g.hits {
		if m.page.judge(&g.hits[i].entry, at) == affected {
			return false
		}
	}
	return true
}

// finding puts a group into the words that scanners share.
func (m *matcher) finding(p *scanning.Package, g *group) scanning.Finding {
	best := g.preferred(p.Ecosystem)
	f := scanning.Finding{
		Rule: best.record.id, Class: scanning.ClassVulnerability, Title: title(best.record, p),
		Location: scanning.Location{File: p.File, Layer: p.Layer}, Package: p,
		Aliases: g.aliases(best.record.id), Fixed: g.fixed, Advice: g.sentence(p),
		Links: []string{"https://osv.dev/vulnerability/" + best.record.id},
	}
	if up := g.upstream(); len(up) > 0 {
		f.Detail = "Covers " + strings.Join(up, ", ") + "."
	}
	f.Severity = g.severity(&f)
	f.Tags = g.tags(p)
	f.Risk = m.risk(&f, g)
	f.Fingerprint = scanning.Fingerprint(&f)
	return f
}

func title(r record, p *scanning.Package) string {
	if r.title != "" {
		return r.title
	}
	return r.id + " in " + p.Name
}

// preferred is the member by whose name people of that ecosystem know it.
func (g *group) preferred(ecosystem string) *hit {
	best := &g.hits[0]
	for i := range g.hits {
		h := &g.hits[i]
		if cmp.Or(cmp.Compare(homeRank(ecosystem, h.record.id), homeRank(ecosystem, best.record.id)), cmp.Compare(h.record.id, best.record.id)) < 0 {
			best = h
		}
	}
	return best
}

// homes are the databases that an ecosystem keeps itself.
var homes = map[string][]string{
	"Go": {"GO-"}, "crates.io": {"RUSTSEC-"}, "PyPI": {"GHSA-", "PYSEC-"}, "Debian": {"DSA-", "DLA-", "DEBIAN-"},
	"Ubuntu": {"USN-", "UBUNTU-"}, "Alpine": {"ALPINE-"}, "Red Hat": {"RHSA-"}, "Rocky Linux": {"RLSA-"}, "AlmaLinux": {"ALSA-"},
	"Hackage": {"HSEC-"}, "CRAN": {"RSEC-"}, "Bitnami": {"BIT-"},
}

func homeRank(ecosystem, id string) int {
	base, _ := split(ecosystem)
	own := homes[base]
	for i, prefix := range own {
		if strings.HasPrefix(id, prefix) {
			return i
		}
	}
	for i, prefix := range everywhere {
		if strings.HasPrefix(id, prefix) {
			return len(own) + i
		}
	}
	return len(own) + len(everywhere)
}

// everywhere are the databases that speak of every ecosystem.
var everywhere = []string{"MAL-", "GHSA-", "CVE-"}

func (g *group) aliases(own string) []string {
	if len(g.hits) == 1 {
		// The names of a set are sorted and hold its own.
		return slices.DeleteFunc(slices.Clone(g.hits[0].record.names), func(s string) bool { return s == own })
	}
	var all []string
	for _, h := range g.hits {
		all = append(all, h.record.id)
		all = append(all, h.record.names...)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return s == own })
}

// upstream are the vulnerabilities that a distribution's advisory is about. They
// are no aliases: there may be several, and other packages have them too.
func (g *group) upstream() []string {
	var all []string
	for _, h := range g.hits {
		all = append(all, h.record.upstream...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// severity takes the worst that any member says, and its vector.
func (g *group) severity(f *scanning.Finding) core.Severity {
	var worst grade
	for _, h := range g.hits {
		for _, one := range []grade{h.record.grade, h.grade} {
			if one.known && (!worst.known || one.severity.Rank() > worst.severity.Rank() || one.severity == worst.severity && one.score > worst.score) {
				worst = one
			}
		}
		if strings.HasPrefix(h.record.id, "MAL-") {
			return core.SeverityCritical
		}
	}
	f.Risk.CVSS, f.Risk.Score = worst.vector, worst.score
	if g.all(flagUnimportant) {
		return core.SeverityInfo
	}
	if !worst.known {
		return core.SeverityMedium
	}
	return worst.severity
}

// risk adds what is known of exploitation, of any of the names.
func (m *matcher) risk(f *scanning.Finding, g *group) scanning.Risk {
	facts := priority.Facts{Asset: m.opt.Asset, EPSSThreshold: m.opt.EPSSThreshold}
	for _, h := range g.hits {
		f.Risk.Published = priority.Earliest(f.Risk.Published, unixNano(h.record.published))
		if t := unixNano(h.record.modified); t.After(f.Risk.Modified) {
			f.Risk.Modified = t
		}
		facts.PublicExploit = facts.PublicExploit || h.record.evidence
	}
	exploited := func(name string) {
		if !strings.HasPrefix(name, "CVE-") {
			return
		}
		since, ransomware := m.db.Exploited(name)
		facts.KEV = priority.Earliest(facts.KEV, since)
		facts.Ransomware = facts.Ransomware || ransomware
		p, _ := m.db.Likelihood(name)
		facts.EPSS = max(facts.EPSS, p)
	}
	exploited(f.Rule)
	for _, name := range slices.Concat(f.Aliases, g.upstream()) {
		exploited(name)
	}
	return priority.Assess(f, facts)
}

func unixNano(n uint64) time.Time {
	if n == 0 || n > 1<<63-1 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}
