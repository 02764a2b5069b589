package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/siem/hunt"
	"github.com/interlock-security/interlock/siem/sigma"
)

// huntLine is one match for a machine.
type huntLine struct {
	Rule   string            `json:"rule"`
	Event  *int              `json:"event,omitempty"`
	File   string            `json:"file,omitempty"`
	Title  string            `json:"title"`
	Level  sigma.Level       `json:"level"`
	Author string            `json:"author"`
	Link   string            `json:"link"`
	Time   string            `json:"time,omitempty"`
	Host   string            `json:"host,omitempty"`
	Tags   []string          `json:"tags"`
	Fields map[string]string `json:"fields"`
	// Events are a correlation's; Total tells of those that are not listed.
	Events []hunt.EventRef `json:"events,omitempty"`
	Total  int             `json:"total,omitempty"`
	// Until is when a correlation that went on held for the last time.
	Until string `json:"until,omitempty"`
}

func huntLines(w io.Writer, res *hunt.Result) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for i := range res.Matches {
		if err := enc.Encode(huntLineOf(&res.Matches[i])); err != nil {
			return err
		}
	}
	return nil
}

func huntLineOf(m *hunt.Match) huntLine {
	l := huntLine{
		Rule: m.Rule.ID, Title: m.Rule.Title, Level: m.Rule.Level, Author: m.Rule.Author, Link: ruleLink(m.Rule),
		Host: m.Host, Tags: m.Rule.Tags, Fields: make(map[string]string, len(m.Fields)), Events: m.Events, Total: m.Total,
	}
	if l.Tags == nil {
		l.Tags = []string{}
	}
	if m.Rule.Correlation == nil {
		l.Event, l.File = &m.Event, m.File
	}
	if !m.Time.IsZero() {
		l.Time = m.Time.Format(time.RFC3339Nano)
	}
	if m.Last.After(m.Time) {
		l.Until = m.Last.Format(time.RFC3339Nano)
	}
	for _, f := range m.Fields {
		l.Fields[f.Name] = f.Value
	}
	return l
}

// ruleLink is where a rule can be read; every message that comes of it says so.
func ruleLink(r *sigma.Rule) string {
	return cmp.Or(r.Link, "urn:uuid:"+r.ID)
}

// screen tells how wide a terminal is, 0 for anything else, and whether it
// wants colours.
func screen(w io.Writer) (width int, colour bool) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, false
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	return max(60, int(size.Col)), os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// colours of levels: bold red, red, yellow, green, none.
var levelColour = map[sigma.Level]string{
	sigma.LevelCritical: "1;31", sigma.LevelHigh: "31", sigma.LevelMedium: "33", sigma.LevelLow: "32", sigma.LevelInformational: "0",
}

func paint(s, code string, colour bool) string {
	if !colour || code == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// shortLevels keep the column narrow.
var shortLevels = map[sigma.Level]string{
	sigma.LevelInformational: "info", sigma.LevelLow: "low", sigma.LevelMedium: "med", sigma.LevelHigh: "high", sigma.LevelCritical: "crit",
}

// Widths of what a line of the timeline shows.
const (
	wideTitle, wideHost, wideWhere, wideField = 52, 24, 40, 64
	shownFields                               = 4
)

// huntTable prints the timeline. Each line stands for itself, so that it can be
// searched with grep.
func huntTable(w io.Writer, res *hunt.Result, width int, colour bool) {
	if len(res.Matches) == 0 {
		_, _ = fmt.Fprintln(w, "no matches")
		return
	}
	title, host, where := 5, 4, 5
	for i := range res.Matches {
		m := &res.Matches[i]
		title = max(title, min(wideTitle, cells(onOneLine(m.Rule.Title))))
		host = max(host, min(wideHost, cells(onOneLine(m.Host))))
		where = max(where, min(wideWhere, cells(whereOf(m))))
	}
	_, _ = fmt.Fprintf(w, "%-23s  %-5s  %s  %s  %s  FIELDS\n", "TIME (UTC)", "LEVEL", pad("TITLE", title), pad("HOST", host), pad("EVENT", where))
	for i := range res.Matches {
		m := &res.Matches[i]
		stamp := "-"
		if !m.Time.IsZero() {
			stamp = m.Time.UTC().Format("2006-01-02 15:04:05.000")
		}
		level := paint(pad(shortLevels[m.Rule.Level], 5), levelColour[m.Rule.Level], colour)
		rest := fmt.Sprintf("%s  %s  %s  %s", pad(onOneLine(m.Rule.Title), title), pad(onOneLine(m.Host), host), pad(whereOf(m), where), fieldsOf(m))
		if width > 0 {
			rest = fit(rest, width-32)
		}
		_, _ = fmt.Fprintf(w, "%-23s  %s  %s\n", stamp, level, strings.TrimRight(rest, " "))
	}
}

// whereOf names an event as a user can find it again, the end of a long path.
func whereOf(m *hunt.Match) string {
	if m.Rule.Correlation != nil {
		return count(m.Total, "event")
	}
	s := onOneLine(m.File)
	number := ":" + strconv.Itoa(m.Event)
	if n := cells(s) + len(number); n > wideWhere {
		runes := []rune(s)
		s = "…" + string(runes[len(runes)-(wideWhere-len(number)-1):])
	}
	return s + number
}

func fieldsOf(m *hunt.Match) string {
	var parts []string
	fields := m.Why
	if len(fields) == 0 {
		fields = m.Fields
	}
	for _, f := range fields {
		if len(parts) == shownFields {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, strings.TrimPrefix(onOneLine(f.Name)+"=", "=")+fit(onOneLine(strings.TrimSpace(f.Value)), wideField))
	}
	for i, ev := range m.Events {
		if i == shownFields {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, fit(onOneLine(ev.File), wideWhere)+":"+strconv.Itoa(ev.Event))
	}
	return strings.Join(parts, " ")
}

var (
	bareReturns = strings.NewReplacer("\r\n", "\n", "\r", "\n")
	brokenLines = strings.NewReplacer("\n", "⏎", "\t", " ")
)

// onOneLine makes text harmless and keeps it on its line.
func onOneLine(s string) string { return brokenLines.Replace(printable(bareReturns.Replace(s))) }

func cells(s string) int { return utf8.RuneCountInString(s) }

// fit cuts a text that is too long.
func fit(s string, n int) string {
	if cells(s) <= n {
		return s
	}
	return string([]rune(s)[:max(0, n-1)]) + "…"
}

func pad(s string, n int) string {
	s = fit(s, n)
	return s + strings.Repeat(" ", n-cells(s))
}

// fired is how often one rule did.
type fired struct {
	rule *sigma.Rule
	n    int
}

// firedRules lists the rules that fired, the worst and most frequent first.
func firedRules(res *hunt.Result) []fired {
	count := make(map[*sigma.Rule]int)
	for i := range res.Matches {
		count[res.Matches[i].Rule]++
	}
	out := make([]fired, 0, len(count))
	for r, n := range count {
		out = append(out, fired{r, n})
	}
	slices.SortFunc(out, func(a, b fired) int {
		return cmp.Or(cmp.Compare(levelRank[b.rule.Level], levelRank[a.rule.Level]), cmp.Compare(b.n, a.n), cmp.Compare(a.rule.Title, b.rule.Title), cmp.Compare(a.rule.ID, b.rule.ID))
	})
	return out
}

// levelsFromTop lists the levels, worst first.
var levelsFromTop = []sigma.Level{sigma.LevelCritical, sigma.LevelHigh, sigma.LevelMedium, sigma.LevelLow, sigma.LevelInformational}

// huntSummary tells what was found by rule, with its author, and what the hunt
// could not do.
func huntSummary(w io.Writer, res *hunt.Result, rules int, colour bool) {
	all := firedRules(res)
	if len(all) > 0 {
		_, _ = fmt.Fprintln(w, "\nCOUNT  LEVEL  RULE")
		for _, f := range all {
			_, _ = fmt.Fprintf(w, "%5d  %s  %s (%s) by %s\n", f.n, paint(pad(shortLevels[f.rule.Level], 5), levelColour[f.rule.Level], colour),
				onOneLine(f.rule.Title), f.rule.ID, onOneLine(f.rule.Author))
		}
	}
	_, _ = fmt.Fprintf(w, "\n%s in %s (%s): %s of %s\n",
		count(res.Events, "event"), count(res.Files, "file"), size(res.Bytes), count(len(res.Matches), "match"), count(len(all), "rule"))
	_, _ = fmt.Fprintf(w, "levels: %s; %s asked\n", levelCounts(res), count(rules, "rule"))
	for _, n := range huntNotes(res) {
		_, _ = fmt.Fprintln(w, n)
	}
}

func levelCounts(res *hunt.Result) string {
	n := make(map[sigma.Level]int)
	for i := range res.Matches {
		n[res.Matches[i].Rule.Level]++
	}
	parts := make([]string, len(levelsFromTop))
	for i, l := range levelsFromTop {
		parts[i] = fmt.Sprintf("%s %d", l, n[l])
	}
	return strings.Join(parts, ", ")
}

// huntNotes say what a reader must know before trusting the result.
func huntNotes(res *hunt.Result) []string {
	var out []string
	note := func(n int, what string) {
		if n > 0 {
			out = append(out, fmt.Sprintf("note: "+what, grouped(n)))
		}
	}
	note(res.Unrouted, "%s events do not say where they come from; every rule was asked (--logsource tells it)")
	note(res.Untimed, "%s matches have no time and stand last")
	note(res.Outside, "%s matches lie outside of --from and --to, or have no time")
	note(res.Uncorrelated, "%s matches have no time, so correlations did not count them")
	note(res.Links, "%s symbolic links were not followed")
	note(res.FaultCount, "%s places could not be read")
	if res.Incomplete != "" {
		out = append(out, "INCOMPLETE: "+res.Incomplete)
	}
	return out
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "ch") {
		what += "e"
	}
	return grouped(n) + " " + what + "s"
}

// grouped writes 10 044.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

func size(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d B", n)
	case n < 10<<20:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 10<<30:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
