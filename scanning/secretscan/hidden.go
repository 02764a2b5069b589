package secretscan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/source"
)

// Who else than a mark in the line or a .gitleaks.toml keeps a leak out of the report.
const (
	byIgnoreFile = ignoreName
	byBaseline   = "baseline"
	bySample     = "made up to show or to test something"
)

// What is counted of it, beside what is "allowed" by somebody.
const (
	unitSamples = "samples"
	unitKnown   = "known leaks"
	unitListed  = "listed in "
	unitTexts   = "texts left out by "
)

// Limits of what is named of what is hidden.
const (
	// mostTold is how many leaks are told one by one.
	mostTold = 1000
	// mostQuiet is how many places are named as left out; mostKept how many are
	// remembered before those of a folder become the folder.
	mostQuiet = 200
	mostKept  = 20_000
)

// unnamed counts what is hidden and not told one by one.
const unnamed = "unnamed hidden leaks"

// Hidden says how much of what a scan found its report keeps to itself, and why, for
// those who look at its findings alone; "" where that is nothing.
func Hidden(r *scanning.Report) string {
	var parts []string
	for _, unit := range slices.Sorted(maps.Keys(r.Scanned)) {
		n := r.Scanned[unit]
		if !hides(unit) {
			continue
		}
		if n == 1 {
			unit = strings.TrimSuffix(unit, "s")
		}
		parts = append(parts, fmt.Sprintf("%d %s", n, unit))
	}
	return strings.Join(parts, ", ")
}

func hides(unit string) bool {
	return unit == unitSamples || unit == unitKnown || strings.HasPrefix(unit, "allowed ") || strings.HasPrefix(unit, unitListed) || strings.HasPrefix(unit, unitTexts)
}

// hidden is what was found, or not even looked at, because somebody says so. It is
// filled from many goroutines.
type hidden struct {
	mu     sync.Mutex
	counts map[string]int64
	list   []scanning.Suppressed
	seen   map[string]bool
	// quiet are the files that silence proves nothing about, deep is how many
	// folders deep they are named.
	quiet map[string]bool
	deep  int
}

func newHidden() *hidden {
	return &hidden{counts: map[string]int64{}, seen: map[string]bool{}, quiet: map[string]bool{}, deep: 1 << 10}
}

// keep passes over what is allowed, listed or known, and notes who says so.
func (r *run) keep(l *detect.Leak) bool {
	by, unit := l.Allowed, "allowed by "+l.Allowed
	switch {
	case l.Allowed == detect.AllowedInLine:
		unit = "allowed " + l.Allowed
	case l.Allowed != "" && l.Rule == "":
		unit = unitTexts + l.Allowed
	case l.Allowed != "":
	case r.rules.ignore.Has(l):
		by, unit = byIgnoreFile, unitListed+ignoreName
	case r.Baseline.Has(l.Fingerprint):
		by, unit = byBaseline, unitKnown
	case l.Sample && !r.Samples:
		by, unit = bySample, unitSamples
	default:
		return true
	}
	r.hidden.note(l, by, unit)
	return false
}

func (h *hidden) note(l *detect.Leak, by, unit string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silence(l.Path)
	// History and today's files have the same leak.
	key := strings.Join(append([]string{unit, l.Fingerprint, l.Path}, l.Inner...), "\x00")
	if h.seen[key] {
		return
	}
	if len(h.seen) < mostKept {
		h.seen[key] = true
	}
	h.counts[unit]++
	if l.Rule == "" {
		return
	}
	if len(h.list) >= mostTold {
		h.counts[unnamed]++
		return
	}
	f := finding(&source.Found{Leak: l})
	f.Location.File = source.Shown(f.Location.File)
	for i, inner := range f.Location.Inner {
		f.Location.Inner[i] = source.Shown(inner)
	}
	h.list = append(h.list, scanning.Suppressed{Finding: f, By: by, InSource: l.Allowed == detect.AllowedInLine, Guessed: by == bySample})
}

// silence notes a file. Where there are too many, those far down become the folder
// that they are in.
func (h *hidden) silence(path string) {
	h.quiet[upTo(source.Shown(path), h.deep)] = true
	if len(h.quiet) > mostKept {
		h.lift(mostQuiet)
	}
}

// lift names places higher up until there are no more than most, or all is one.
func (h *hidden) lift(most int) {
	if len(h.quiet) <= most {
		return
	}
	h.deep = 0
	for path := range h.quiet {
		h.deep = max(h.deep, 1+strings.Count(path, "/"))
	}
	for len(h.quiet) > most && h.deep > 0 {
		h.deep--
		lifted := map[string]bool{}
		for path := range h.quiet {
			lifted[upTo(path, h.deep)] = true
		}
		h.quiet = lifted
	}
}

// upTo is the beginning of a path, so many names long; "*" is all that there is.
func upTo(path string, deep int) string {
	if deep <= 0 {
		return "*"
	}
	for i := range len(path) {
		if path[i] != '/' {
			continue
		}
		if deep--; deep == 0 {
			return path[:i]
		}
	}
	return path
}

func (h *hidden) where() []string {
	h.lift(mostQuiet)
	return slices.Sorted(maps.Keys(h.quiet))
}

// told is what is hidden, in the order of its places.
func (h *hidden) told() []scanning.Suppressed {
	slices.SortStableFunc(h.list, func(a, b scanning.Suppressed) int {
		x, y := &a.Finding, &b.Finding
		return cmp.Or(strings.Compare(x.Location.File, y.Location.File), slices.Compare(x.Location.Inner, y.Location.Inner),
			cmp.Compare(x.Location.Line, y.Location.Line), strings.Compare(x.Fingerprint, y.Fingerprint), strings.Compare(x.Location.Commit, y.Location.Commit))
	})
	return h.list
}
