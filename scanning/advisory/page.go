package advisory

import (
	"slices"
	"sort"
	"strings"
)

// verdict is what an entry says of a version.
type verdict uint8

const (
	clean verdict = iota
	affected
	unknownVersion // the version can't be ordered
	unorderable    // the entry's versions can't be
	commitsOnly    // commits without their repository
)

// page is what the database has under one key, read without copying. It is used
// again for the next key.
type page struct {
	s        slit
	f        family
	lines    [2]line
	versions [][]byte
	releases [][]byte
	left     int
	entry    packed
}

// line is the sorted versions that events name.
type line struct {
	versions [][]byte
	same     []int // indexes of those that equal the one before
}

func (l *line) read(s *slit) {
	l.versions, l.same = s.views(l.versions), l.same[:0]
	for range s.count() {
		l.same = append(l.same, s.index(len(l.versions)))
	}
}

// end is the index behind all that equal version i.
func (l *line) end(i int) int {
	for i++; i < len(l.versions) && slices.Contains(l.same, i); i++ {
	}
	return i
}

// begin is the index of the first that equals version i.
func (l *line) begin(i int) int {
	for ; i > 0 && slices.Contains(l.same, i); i-- {
	}
	return i
}

// packed is one entry. Its lists are the page's and are written over by the next
// one; see clone.
type packed struct {
	ordinal, release int
	flags            byte
	grade            grade
	runs             [][2]int
	ranges           []packedRange
}

type packedRange struct {
	line   int
	events []placed
}

// clone makes an entry that stays.
func (e *packed) clone() packed {
	c := *e
	c.runs, c.ranges = slices.Clone(e.runs), slices.Clone(e.ranges)
	for i := range c.ranges {
		c.ranges[i].events = slices.Clone(c.ranges[i].events)
	}
	return c
}

// read opens the page of a key.
func (g *page) read(b []byte, base string) bool {
	g.s, g.f = slit{b: b}, families[base]
	g.s.bytes()
	g.lines[0].read(&g.s)
	g.lines[1].read(&g.s)
	g.versions = g.s.views(g.versions)
	g.releases = g.s.views(g.releases)
	g.left = g.s.count()
	return !g.s.bad
}

// views reads a list of strings without copying them.
func (s *slit) views(into [][]byte) [][]byte {
	into = into[:0]
	for range s.count() {
		into = append(into, s.bytes())
	}
	return into
}

// next reads the next entry.
func (g *page) next() bool {
	if g.left == 0 || g.s.bad {
		return false
	}
	g.left--
	s := &slit{b: g.s.bytes()}
	e := &g.entry
	e.ordinal, e.release, e.flags, e.grade = s.index(1<<31), s.index(len(g.releases)), s.byte(), grade{}
	if e.flags&flagSeverity != 0 {
		e.grade = decodeGrade(s)
	}
	e.readRuns(s, len(g.versions)+1)
	g.readRanges(s)
	if s.bad || g.s.bad {
		g.s.bad = true
		return false
	}
	return true
}

func (e *packed) readRuns(s *slit, limit int) {
	e.runs = e.runs[:0]
	last := 0
	for range s.count() {
		begin := last + s.index(limit)
		last = begin + s.index(limit)
		e.runs = append(e.runs, [2]int{begin, last})
	}
}

func (g *page) readRanges(s *slit) {
	e := &g.entry
	all := e.ranges[:0]
	for range s.count() {
		r := packedRange{line: s.index(len(g.lines))}
		if len(all) < cap(all) {
			r.events = all[:len(all)+1][len(all)].events[:0]
		}
		limit := (len(g.lines[r.line].versions) + 1) << 2
		for range s.count() {
			n := s.index(limit)
			r.events = append(r.events, placed{EventKind(n & 3), n >> 2})
		}
		all = append(all, r)
	}
	e.ranges = all
}

// stand is where a version stands on the lines of a page: at least as new as the
// first upper versions of a line, and newer than its first lower ones.
type stand struct {
	version string
	listed  int // index in the enumerated versions, -1 if it is not
	spots   [2]spot
	commit  bool
	err     error
}

type spot struct{ lower, upper int }

func (g *page) stand(v string) stand {
	at := stand{version: v, listed: g.listed(v)}
	if g.f == git {
		at.commit = isCommit(v)
		return at
	}
	for n, f := range [2]family{g.f, semverOrder} {
		l := &g.lines[n]
		if len(l.versions) == 0 && n == 1 {
			continue
		}
		if f == semverOrder && g.f == golang {
			f = golang
		}
		if at.spots[n], at.err = l.spot(f, v); at.err != nil {
			return at
		}
	}
	return at
}

// on is where the i-th version of a line stands. Only if entries speak of both
// lines has it to be looked for.
func (g *page) on(n, i int) stand {
	l, other := &g.lines[n], &g.lines[1-n]
	version := string(l.versions[i])
	if len(other.versions) > 0 {
		return g.stand(version)
	}
	at := stand{version: version, listed: g.listed(version)}
	at.spots[n] = spot{l.begin(i), l.end(i)}
	return at
}

// listed finds a version among the enumerated ones.
func (g *page) listed(v string) int {
	if v == "" {
		return -1
	}
	name := fold(g.f, trimVersion(g.f, v))
	i, found := sort.Find(len(g.versions), func(i int) int { return strings.Compare(name, string(g.versions[i])) })
	if !found {
		return -1
	}
	return i
}

// spot searches a line for a version.
func (l *line) spot(f family, s string) (spot, error) {
	v, err := parseVersion(f, s)
	if err != nil {
		return spot{}, err
	}
	if rebuilt(f, s) {
		return l.spotRebuilt(s)
	}
	var bad error
	compare := func(i int) int {
		w, err := parseVersion(f, string(l.versions[i]))
		if err != nil {
			bad = err
			return 0
		}
		n, err := v.compare(w)
		if err != nil {
			bad = err
		}
		return n
	}
	i, found := sort.Find(len(l.versions), compare)
	if !found {
		return spot{i, i}, bad
	}
	return spot{i, l.end(i)}, bad
}

// verdict judges the entry that was read last.
func (g *page) verdict(at stand) verdict { return g.judge(&g.entry, at) }

func (g *page) judge(e *packed, at stand) verdict {
	for _, r := range e.runs {
		if r[0] <= at.listed && at.listed < r[1] {
			return affected
		}
	}
	if g.f == git {
		return g.judgeCommit(e, at)
	}
	if g.f == rpm && (g.otherModule(e, at) || g.onTop(e) && g.elsewhere(e, at)) {
		return clean
	}
	if at.err != nil {
		return e.blind(at.version)
	}
	for _, r := range e.ranges {
		if r.contains(at.spots[r.line]) {
			return affected
		}
	}
	switch {
	case e.flags&flagBroken != 0:
		return unorderable
	case e.flags&flagGitOnly != 0:
		return commitsOnly
	}
	return clean
}

// onTop reports whether an entry is of a product on top of Enterprise Linux.
func (g *page) onTop(e *packed) bool {
	return e.release < len(g.releases) && layered(string(g.releases[e.release])) != ""
}

// blind judges a version that can't be ordered: it is affected if every version
// is, clean if only listed ones are and it is none of them, and otherwise nobody
// knows.
func (e *packed) blind(version string) verdict {
	for _, r := range e.ranges {
		if len(r.events) == 1 && r.events[0] == (placed{Introduced, 0}) {
			return affected
		}
	}
	onlyListed := len(e.ranges) == 0 && e.flags&(flagBroken|flagGitOnly) == 0
	if onlyListed && (version != "" || len(e.runs) == 0) {
		return clean
	}
	return unknownVersion
}

// contains is OSV's evaluation: before a limit, the last event at or below the
// version decides.
func (r *packedRange) contains(at spot) bool {
	return r.beforeLimits(at) && r.vulnerable(at)
}

func (r *packedRange) vulnerable(at spot) bool {
	vulnerable := false
	for _, e := range r.events {
		i := e.at - 1
		switch e.kind {
		case Introduced:
			vulnerable = vulnerable || i < at.upper
		case Fixed:
			vulnerable = vulnerable && i >= at.upper
		case LastAffected:
			vulnerable = vulnerable && i >= at.lower
		}
	}
	return vulnerable
}

func (r *packedRange) beforeLimits(at spot) bool {
	limited := false
	for _, e := range r.events {
		if e.kind != Limit {
			continue
		}
		if e.at == 0 || e.at-1 >= at.upper {
			return true
		}
		limited = true
	}
	return !limited
}

// judgeCommit knows only the commits that events name: what stands between them
// is in the repository.
func (g *page) judgeCommit(e *packed, at stand) verdict {
	if !at.commit {
		if len(e.runs) > 0 {
			return clean
		}
		return commitsOnly
	}
	known := false
	for _, r := range e.ranges {
		for _, ev := range r.events {
			if ev.at == 0 || !strings.EqualFold(string(g.lines[r.line].versions[ev.at-1]), at.version) {
				continue
			}
			if ev.kind == Introduced || ev.kind == LastAffected {
				return affected
			}
			known = true
		}
	}
	if known {
		return clean
	}
	return commitsOnly
}

func isCommit(v string) bool {
	return (len(v) == 40 || len(v) == 64) && strings.Trim(strings.ToLower(v), "0123456789abcdef") == ""
}
