package advisory

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning/priority"
)

// The flags of a packed entry.
const (
	flagBroken      = 1 << iota // a range of it can't be ordered
	flagGitOnly                 // commits are all it says
	flagSeverity                // has a severity of its own
	flagUnimportant             // no security problem, its distribution says
	flagEndOfLife               // its release has no support any more
)

// grade is the severity that was computed when it was packed.
type grade struct {
	vector   string
	score    float64
	severity core.Severity
	known    bool
}

// gradeOf picks the worst vector that can be read, one of version 2 only if there
// is no other; without one, the database's word; without that, medium and not
// known.
func gradeOf(all []Severity, word string) grade {
	g := grade{severity: core.SeverityMedium}
	old := false // what g holds is of version 2
	for _, s := range all {
		if w := strings.ToUpper(s.Score); known(w) { // Ubuntu's and Red Hat's own
			word = w
			continue
		}
		c, err := priority.ParseCVSS(s.Score)
		if err != nil {
			continue
		}
		v2 := c.Version == "2.0"
		if !g.known || old && !v2 || old == v2 && c.Score > g.score {
			g, old = grade{c.Vector, c.Score, c.Severity(), true}, v2
		}
	}
	if g.known {
		return g
	}
	if s, ok := words[word]; ok {
		g.severity, g.known = s, true
	}
	return g
}

func known(word string) bool { _, ok := words[word]; return ok }

// ratingFlags are the words that say more than a severity.
var ratingFlags = map[string]byte{ratingUnimportant: flagUnimportant, ratingEndOfLife: flagEndOfLife}

const ratingUnimportant, ratingEndOfLife = "UNIMPORTANT", "END-OF-LIFE"

var words = map[string]core.Severity{
	"CRITICAL": core.SeverityCritical, "HIGH": core.SeverityHigh, "IMPORTANT": core.SeverityHigh, "MODERATE": core.SeverityMedium,
	"MEDIUM": core.SeverityMedium, "LOW": core.SeverityLow, "NEGLIGIBLE": core.SeverityInfo, "UNIMPORTANT": core.SeverityInfo,
}

func (g grade) encode(w *wire) {
	w.str(g.vector)
	w.int(int(g.score*10 + .5))
	n := g.severity.Rank() << 1
	if g.known {
		n |= 1
	}
	w.int(n)
}

func decodeGrade(s *slit) grade {
	g := grade{vector: s.str(), score: float64(s.index(101)) / 10}
	n := s.index(len(core.Severities) << 1)
	g.severity, g.known = core.Severities[n>>1], n&1 == 1
	return g
}

// posting is an entry that waits to be packed under its key.
type posting struct {
	ordinal int
	entry   *Entry
}

// axis is a sorted line of the versions that events name.
type axis struct {
	versions []string
	group    []int // equal for versions that compare equal
	at       map[string]int
}

// place is one more than a version's index, 0 if it can't be ordered.
func (a *axis) place(v string) int { return a.at[v] }

// encode writes the line, and where a version is the same as the one before it
// in another spelling.
func (a *axis) encode(w *wire) {
	w.list(a.versions)
	var same []int
	for i := 1; i < len(a.group); i++ {
		if a.group[i] == a.group[i-1] {
			same = append(same, i)
		}
	}
	w.int(len(same))
	for _, i := range same {
		w.int(i)
	}
}

// newAxis sorts versions and leaves out those that can't be ordered.
func newAxis(f family, names []string) axis {
	type parsed struct {
		s string
		v version
	}
	slices.Sort(names)
	var all []parsed
	for _, s := range slices.Compact(names) {
		if v, err := parseVersion(f, s); err == nil {
			all = append(all, parsed{s, v})
		}
	}
	order := func(a, b parsed) int {
		n, err := a.v.compare(b.v)
		if err != nil {
			return cmp.Compare(a.s, b.s)
		}
		return n
	}
	slices.SortStableFunc(all, order)
	out := axis{at: map[string]int{}}
	for i, p := range all {
		g := 0
		if i > 0 {
			g = out.group[i-1]
			if order(all[i-1], p) != 0 {
				g++
			}
		}
		out.versions, out.group = append(out.versions, p.s), append(out.group, g)
		out.at[p.s] = i + 1
	}
	return out
}

// packPackage writes all that the database knows of one key.
func packPackage(w *wire, key string, postings []posting) {
	base, _, _ := strings.Cut(key, "\x00")
	f := families[base]
	lines := [2]axis{collect(f, postings, RangeEcosystem), collect(semverOrder, postings, RangeSemver)}
	if f == git {
		lines[0] = commits(postings)
	}
	versions := enumerated(f, postings)
	releases := releasesOf(base, postings)
	w.str(key)
	lines[0].encode(w)
	lines[1].encode(w)
	w.list(versions)
	w.list(releases)
	w.int(len(postings))
	var part wire
	for _, p := range postings {
		part.b = part.b[:0]
		packEntry(&part, f, p, lines, versions, releases)
		w.int(len(part.b))
		w.b = append(w.b, part.b...)
	}
}

func collect(f family, postings []posting, t RangeType) axis {
	var names []string
	for _, p := range postings {
		for _, r := range p.entry.Ranges {
			if r.Type != t {
				continue
			}
			for _, e := range r.Events {
				if !e.special() {
					names = append(names, e.Version)
				}
			}
		}
	}
	return newAxis(f, names)
}

// commits have no order that can be known without their repository: the line
// only names them.
func commits(postings []posting) axis {
	var names []string
	for _, p := range postings {
		for _, r := range p.entry.Ranges {
			for _, e := range r.Events {
				if r.Type == RangeGit && !e.special() {
					names = append(names, e.Version)
				}
			}
		}
	}
	slices.Sort(names)
	out := axis{versions: slices.Compact(names), at: map[string]int{}}
	for i, n := range out.versions {
		out.at[n] = i + 1
	}
	return out
}

// special events have a meaning of their own and stand on no line.
func (e Event) special() bool {
	return e.Kind == Introduced && e.Version == beforeAll || e.Kind == Limit && strings.Contains(e.Version, noLimit)
}

func enumerated(f family, postings []posting) []string {
	var all []string
	for _, p := range postings {
		for _, v := range p.entry.Versions {
			all = append(all, fold(f, v))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func releasesOf(base string, postings []posting) []string {
	var all []string
	for _, p := range postings {
		if b, release := split(p.entry.Ecosystem); b == base {
			all = append(all, release)
		} else {
			all = append(all, "")
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func packEntry(w *wire, f family, p posting, lines [2]axis, versions, releases []string) {
	e := p.entry
	_, release := split(e.Ecosystem)
	at, ok := slices.BinarySearch(releases, release)
	if !ok {
		at, _ = slices.BinarySearch(releases, "")
	}
	ranges, broken := packRanges(f, e, lines)
	flags := byte(0)
	if broken {
		flags |= flagBroken
	}
	if f != git && len(e.Versions) == 0 && len(e.Ranges) > 0 && !slices.ContainsFunc(e.Ranges, func(r Range) bool { return r.Type != RangeGit }) {
		flags |= flagGitOnly
	}
	flags |= ratingFlags[e.Rating]
	own := len(e.Severity) > 0 || e.Rating != ""
	if own {
		flags |= flagSeverity
	}
	w.int(p.ordinal)
	w.int(at)
	w.byte(flags)
	if own {
		gradeOf(e.Severity, e.Rating).encode(w)
	}
	packRuns(w, f, e.Versions, versions)
	w.b = append(w.b, ranges...)
}

// packRuns writes the enumerated versions as runs of the key's list of them:
// advisories of one package name much the same versions.
func packRuns(w *wire, f family, own, all []string) {
	var at []int
	for _, v := range own {
		i, _ := slices.BinarySearch(all, fold(f, v))
		at = append(at, i)
	}
	slices.Sort(at)
	at = slices.Compact(at)
	var runs [][2]int
	for _, i := range at {
		if n := len(runs); n > 0 && runs[n-1][1] == i {
			runs[n-1][1]++
			continue
		}
		runs = append(runs, [2]int{i, i + 1})
	}
	w.int(len(runs))
	last := 0
	for _, r := range runs {
		w.int(r[0] - last)
		w.int(r[1] - r[0])
		last = r[1]
	}
}

// packRanges writes the ranges with their events in order: ties stay as the
// advisory wrote them.
func packRanges(f family, e *Entry, lines [2]axis) (packed []byte, broken bool) {
	var w wire
	n := 0
	for i := range e.Ranges {
		r := &e.Ranges[i]
		line := 0
		switch {
		case r.Type == RangeGit && f != git, f == git && r.Type != RangeGit:
			continue
		case r.Type == RangeSemver:
			line = 1
		}
		events, ok := place(r.Events, &lines[line])
		if !ok {
			broken = true
			continue
		}
		n++
		w.byte(byte(line))
		w.int(len(events))
		for _, ev := range events {
			w.int(ev.at<<2 | int(ev.kind))
		}
	}
	var out wire
	out.int(n)
	return append(out.b, w.b...), broken
}

// placed is an event on its line; at is 0 for a special one, else one more than
// its index.
type placed struct {
	kind EventKind
	at   int
}

func place(events []Event, line *axis) ([]placed, bool) {
	var out []placed
	for _, e := range events {
		at := 0
		if !e.special() {
			if at = line.place(e.Version); at == 0 {
				return nil, false
			}
		}
		out = append(out, placed{e.Kind, at})
	}
	group := func(p placed) int {
		if p.at == 0 || line.group == nil {
			return p.at - 1
		}
		return line.group[p.at-1]
	}
	sort.SliceStable(out, func(i, j int) bool { return group(out[i]) < group(out[j]) })
	return out, true
}

// packRecord writes what a finding needs of an advisory.
func packRecord(w *wire, a *Advisory, set int, names []string, i *item) {
	w.str(a.ID)
	w.time(a.Modified)
	w.time(a.Published)
	w.time(a.Withdrawn)
	w.str(a.title())
	gradeOf(a.Severity, a.Rating).encode(w)
	exploited := byte(0)
	for _, r := range a.References {
		if r.Type == "EVIDENCE" {
			exploited = 1
		}
	}
	w.byte(exploited)
	w.int(set)
	w.list(names)
	w.list(a.Upstream)
	w.int(i.text.block)
	w.int(i.text.begin)
	w.int(i.text.length)
	w.str(string(i.sum[:8]))
}

// title is the summary, or the first line of the details.
func (a *Advisory) title() string {
	t := a.Summary
	if t == "" {
		t, _, _ = strings.Cut(strings.TrimSpace(a.Details), "\n")
	}
	if len(t) > 300 {
		t = strings.ToValidUTF8(t[:300], "") + "…"
	}
	return t
}

type record struct {
	id                             string
	modified, published, withdrawn uint64
	title                          string
	grade                          grade
	evidence                       bool
	set                            int
	names                          []string
	upstream                       []string // what a distribution\'s advisory is about
	text                           textPlace
	sum                            string // of the advisory's bytes
}

func decodeRecord(b []byte) (r record, ok bool) {
	s := &slit{b: b, whole: string(b)}
	r.id, r.modified, r.published, r.withdrawn = s.str(), s.num(), s.num(), s.num()
	r.title, r.grade = s.str(), decodeGrade(s)
	r.evidence = s.byte() == 1
	r.set, r.names, r.upstream = s.index(1<<31), s.list(), s.list()
	r.text = textPlace{s.index(1 << 31), s.index(1 << 31), s.index(1 << 31)}
	r.sum = s.str()
	return r, !s.bad && len(s.b) == 0
}

// recordID reads only the name, for the search.
func recordID(b []byte) []byte {
	s := &slit{b: b}
	return s.bytes()
}
