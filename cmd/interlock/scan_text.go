package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
	"github.com/interlock-security/interlock/scanning/priority"
	"github.com/interlock-security/interlock/scanning/vex"
)

// scanText is for people: the findings of all scanners in one list, by the files
// they are in, what to fix first first; then what was scanned and what came of
// it, which is what stands on the screen at the end of a long list.
func scanText(w io.Writer, reports []*scanning.Report) error {
	t := scanTeller{w: w}
	t.width, t.colour = screen(w)
	list := byPriority(reports)
	at, places := byPlace(list)
	for _, place := range places {
		_, _ = fmt.Fprintf(w, "%s\n", paint(onOneLine(place), "1", t.colour))
		for _, f := range at[place] {
			t.finding(f.Finding)
		}
	}
	for _, r := range reports {
		_, _ = fmt.Fprintf(w, "%s\n", scanSummary(r))
	}
	t.first(list)
	return nil
}

// placed is a finding and the file or thing under which it is told.
type placed struct {
	*scanning.Finding
	place string
}

// byPriority puts what asks for something before what asks for nothing, and what
// to fix first first.
func byPriority(reports []*scanning.Report) []placed {
	var list []placed
	for _, r := range reports {
		for i := range r.Findings {
			f := &r.Findings[i]
			list = append(list, placed{f, cmp.Or(f.Location.File, r.Scope.Name)})
		}
	}
	slices.SortStableFunc(list, func(a, b placed) int {
		return cmp.Or(boolFirst(wanting(a.Finding), wanting(b.Finding)), priority.Compare(a.Finding, b.Finding))
	})
	return list
}

func boolFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// byPlace keeps the order of the list, of places by their first finding.
func byPlace(list []placed) (at map[string][]placed, places []string) {
	at = map[string][]placed{}
	for _, f := range list {
		if len(at[f.place]) == 0 {
			places = append(places, f.place)
		}
		at[f.place] = append(at[f.place], f)
	}
	return at, places
}

// scanTeller tells findings: on a terminal in its width and with colour, in a
// pipe in whole lines.
type scanTeller struct {
	w      io.Writer
	width  int
	colour bool
}

// severityColour is how loud a severity is told.
var severityColour = map[core.Severity]string{core.SeverityCritical: "1;31", core.SeverityHigh: "31", core.SeverityMedium: "33", core.SeverityLow: "32"}

// scanIndent is below what the details of a finding stand.
const scanIndent = "           "

func (t scanTeller) finding(f *scanning.Finding) {
	what := f.Title
	if f.Package != nil {
		what = strings.TrimSpace(f.Package.Name+" "+f.Package.Version) + ": " + f.Title
	}
	head := t.wrap(onOneLine(f.Rule) + "  " + onOneLine(what))
	_, _ = fmt.Fprintf(t.w, "  %s %s\n", paint(fmt.Sprintf("%-8s", f.Severity), severityColour[f.Severity], t.colour), head)
	for _, detail := range []string{whereInside(f), whyNot(f), cmp.Or(f.Location.Context, f.Redacted), f.Advice} {
		if detail != "" {
			_, _ = fmt.Fprintf(t.w, "%s%s\n", scanIndent, t.wrap(onOneLine(detail)))
		}
	}
}

// wrap breaks a text between words where it would not fit behind the indent.
// What has no room for breaking stays whole: a path that was cut can't be copied.
func (t scanTeller) wrap(s string) string {
	room := t.width - len(scanIndent) - 1
	if t.width == 0 || cells(s) <= room {
		return s
	}
	var b strings.Builder
	at := 0
	for i, word := range strings.Split(s, " ") {
		switch n := cells(word); {
		case i == 0:
			at = n
		case at+1+n > room:
			b.WriteString("\n" + scanIndent)
			at = n
		default:
			b.WriteByte(' ')
			at += 1 + n
		}
		b.WriteString(word)
	}
	return b.String()
}

// shownFirst is how much of what to fix first is said again at the end.
const shownFirst = 3

// first says what to begin with, where that is a question.
func (t scanTeller) first(list []placed) {
	label := "fix first:"
	if len(list) < 2 {
		return
	}
	for _, f := range list[:min(len(list), shownFirst)] {
		if !wanting(f.Finding) {
			return
		}
		line := fmt.Sprintf("%s %s in %s: %s", f.Severity, onOneLine(f.Rule), onOneLine(f.place), onOneLine(cmp.Or(f.Advice, f.Title)))
		_, _ = fmt.Fprintf(t.w, "%s %s\n", label, t.wrap(line))
		label = "      then:"
	}
}

// whyNot says why nothing is to be done.
func whyNot(f *scanning.Finding) string {
	switch {
	case f.Reach == scanning.ReachNotImported:
		return "not imported here: nothing to be done"
	case vex.Silenced(f):
		return f.VEX.Status + " by " + f.VEX.Source + ": " + f.VEX.Statement
	}
	return ""
}

// whereInside says where in its file a finding is.
func whereInside(f *scanning.Finding) string {
	var parts []string
	if f.Location.Line > 0 {
		parts = append(parts, fmt.Sprintf("line %d", f.Location.Line))
	}
	parts = append(parts, f.Location.Inner...)
	if c := f.Location.Commit; c != "" {
		parts = append(parts, fmt.Sprintf("commit %.12s by %s on %s", c, f.Location.Author, f.Location.Date.Format("2006-01-02")))
	}
	return strings.Join(parts, ", ")
}

// scanSummary is one line: what was scanned and what came of it.
func scanSummary(r *scanning.Report) string {
	return fmt.Sprintf("%s of %s: %s (%s)", r.Tool.Name, onOneLine(r.Scope.Name), outcomeWord(r), scannedWord(r))
}

func outcomeWord(r *scanning.Report) string {
	parts := []string{count(len(r.Findings), "finding")}
	by, silent := map[core.Severity]int{}, 0
	for i := range r.Findings {
		by[r.Findings[i].Severity]++
		if !wanting(&r.Findings[i]) {
			silent++
		}
	}
	for _, s := range slices.Backward(core.Severities) {
		if by[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", by[s], s))
		}
	}
	switch {
	case silent == 1:
		parts = append(parts, "1 of them asks for nothing")
	case silent > 1:
		parts = append(parts, fmt.Sprintf("%s of them ask for nothing", grouped(silent)))
	}
	switch r.Outcome() {
	case scanning.OutcomeClean:
		return "clean"
	case scanning.OutcomeFindings:
		return strings.Join(parts, ", ")
	}
	return "incomplete, " + strings.Join(append(parts, count(len(r.Gaps), "gap")), ", ")
}

// scannedUnits is the order in which is said what was scanned; what is not among
// them comes behind.
var scannedUnits = []string{"packages", "files", "unchanged files", "versions", "commits", "bytes"}

func scannedWord(r *scanning.Report) string {
	counts := maps.Clone(r.Scanned)
	maps.DeleteFunc(counts, func(unit string, n int64) bool { return advisory.Warning(map[string]int64{unit: n}) != "" }) // a line of its own
	units := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		place := func(unit string) int {
			if i := slices.Index(scannedUnits, unit); i >= 0 {
				return i
			}
			return len(scannedUnits)
		}
		return cmp.Or(place(a)-place(b), strings.Compare(a, b))
	})
	parts := make([]string, 0, len(units))
	for _, unit := range units {
		n := r.Scanned[unit]
		switch {
		case unit == "bytes":
			parts = append(parts, size(n))
		case n == 1:
			parts = append(parts, "1 "+strings.TrimSuffix(unit, "s"))
		default:
			parts = append(parts, grouped(int(n))+" "+unit)
		}
	}
	return strings.Join(parts, ", ")
}
