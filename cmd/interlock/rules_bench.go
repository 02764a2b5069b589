package main

import (
	"fmt"
	"io"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/hunt"
)

type rulesBenchCmd struct {
	Paths  []string      `arg:"" name:"file" help:"Files and folders with events; - is the standard input." placeholder:"FILE|DIR"`
	Rules  []string      `help:"Sigma rules: a file, a folder or a .tar.gz. Repeatable; without it, the shipped rules." sep:"none" placeholder:"DIR"`
	Values string        `name:"placeholders" help:"Values of the %placeholders% of rules: a YAML map of names." placeholder:"FILE"`
	Events int           `help:"Measure with the first so many events." default:"100000"`
	Time   time.Duration `help:"How long to measure." default:"5s"`
	Top    int           `help:"How many of the most expensive rules are told." default:"20"`
}

// Help implements kong's long help.
func (rulesBenchCmd) Help() string {
	return `Measures what your rules cost on your events: events per second of one core's time, by the engine that detects, beside what the same
engine's scanner takes to read the events and ask nothing. Both run in turns, so that a busy machine slows both; the ratio is what
counts. Events are read as interlock hunt reads them, and kept in memory; what reading files costs is not in it.

Then every rule is asked with a clock in hand: which took the most time, how often they were asked, how many regular expressions ran.
A rule is found by a text that it needs (text), by a field that is there (field), or by nothing: then it is asked about every event.

Exit code 0, or 2 when rules or events can't be read.

Example:
  interlock rules bench --rules /etc/interlock/rules events.ndjson.gz
  interlock rules bench --rules sigma/rules --top 5 --json evidence/`
}

// Run measures.
func (c *rulesBenchCmd) Run(e *env) error {
	if c.Events < 1 || c.Time < 0 || c.Top < 0 {
		return core.E(core.KindInvalid, "rules bench", "--events is at least 1, --time and --top are not negative")
	}
	engine, err := eventRules(e, c.Rules, c.Values)
	if err != nil {
		return err
	}
	b := &ruleBench{engine: engine, view: engine.NewView(), every: engine.Logsources()}
	if err := b.load(e, c.Paths, c.Events); err != nil {
		return err
	}
	say, done := ruleBenchProgress(e)
	report, err := b.measure(e.ctx, c.Time, c.Top, say)
	done()
	if err != nil {
		return err
	}
	return e.show(report, func(w io.Writer) { tellRuleBench(w, report) })
}

// ruleBenchProgress shows on a terminal how far it is.
func ruleBenchProgress(e *env) (say func(string), done func()) {
	if width, _ := screen(e.err); width == 0 {
		return func(string) {}, func() {}
	}
	return func(s string) { _, _ = fmt.Fprint(e.err, "\r\x1b[K"+s) }, func() { _, _ = fmt.Fprint(e.err, "\r\x1b[K") }
}

// benchReport is what was measured.
type benchReport struct {
	Events int   `json:"events"`
	Bytes  int64 `json:"bytes"`
	Files  int   `json:"files"`
	// Cut is set where there were more events than were measured with.
	Cut bool `json:"cut,omitempty"`
	// Unread counts what could not be read, Unrouted the events that nothing
	// knows the source of: they are asked every rule.
	Unread   int       `json:"unread,omitempty"`
	Unrouted int       `json:"unrouted,omitempty"`
	Rules    int       `json:"rules"`
	Rounds   int       `json:"rounds"`
	Parse    benchRate `json:"parse_only"`
	Match    benchRate `json:"parse_and_match"`
	// Ratio is the median of what the rounds gave, Match over Parse.
	Ratio       float64     `json:"ratio"`
	Allocations float64     `json:"allocations_per_event"`
	Asked       float64     `json:"rules_asked_per_event"`
	Fired       float64     `json:"rules_fired_per_event"`
	Costs       []benchCost `json:"most_expensive"`
	// Always are the rules that are asked about every event of their logsource.
	Always []benchRule `json:"asked_for_every_event"`
	// ByField counts the rules that are asked wherever a field is there.
	ByField int `json:"found_by_field"`
}

// benchRate is in events per second of processor time.
type benchRate struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

// benchRule names a rule.
type benchRule struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Author string `json:"author"`
	File   string `json:"file"`
	Line   int    `json:"line"`
}

// benchCost is what one rule cost in one pass over all events.
type benchCost struct {
	benchRule
	// Share is of the time that all conditions took.
	Share       float64 `json:"share"`
	Asked       uint64  `json:"asked"`
	Fired       uint64  `json:"fired"`
	Expressions uint64  `json:"expressions"`
	Found       string  `json:"found_by"`
}

func tellRuleBench(w io.Writer, r benchReport) {
	_, _ = fmt.Fprintf(w, "%s of %s on average from %s; %s\n", count(r.Events, "event"), size(r.Bytes/int64(max(r.Events, 1))), count(r.Files, "file"), count(r.Rules, "rule"))
	if r.Cut {
		_, _ = fmt.Fprintf(w, "There are more events; measured with the first %d (--events).\n", r.Events)
	}
	if r.Unread > 0 {
		_, _ = fmt.Fprintf(w, "Could not be read: %s.\n", count(r.Unread, "place"))
	}
	if r.Unrouted > 0 {
		_, _ = fmt.Fprintf(w, "Of no source that is known, so asked every rule: %s.\n", count(r.Unrouted, "event"))
	}
	_, _ = fmt.Fprintln(w)
	row := func(name string, b benchRate) []string {
		return []string{name, whole(b.Median), whole(b.Least) + " to " + whole(b.Most), fmt.Sprintf("%.2f µs", 1e6/max(b.Median, 1e-6))}
	}
	table(w, "MEASURED EVENTS/CPU-SECOND ROUNDS PER-EVENT", [][]string{row("parse only (our scanner)", r.Parse), row("parse and match", r.Match)})
	_, _ = fmt.Fprintf(w, "ratio %.2f; %.2f allocations, %.2f rules asked, %.3f fired per event\n", r.Ratio, r.Allocations, r.Asked, r.Fired)
	tellCosts(w, r)
	tellAlways(w, r)
}

func tellCosts(w io.Writer, r benchReport) {
	if len(r.Costs) == 0 {
		return
	}
	_, _ = fmt.Fprint(w, "\nThe most expensive rules, by their share of the time that conditions took:\n\n")
	rows := make([][]string, 0, len(r.Costs))
	for _, c := range r.Costs {
		rows = append(rows, []string{fmt.Sprintf("%.1f%%", 100*c.Share), whole(float64(c.Asked)), whole(float64(c.Fired)), whole(float64(c.Expressions)), c.Found, c.ID, oneLineOf(c.Title)})
	}
	table(w, "SHARE ASKED FIRED REGEX FOUND-BY ID TITLE", rows)
}

// maxAlways is how many rules that nothing finds are named.
const maxAlways = 20

func tellAlways(w io.Writer, r benchReport) {
	_, _ = fmt.Fprintln(w)
	if len(r.Always) == 0 {
		_, _ = fmt.Fprintf(w, "No rule is asked about every event. Asked wherever a field is there: %s.\n", count(r.ByField, "rule"))
		return
	}
	_, _ = fmt.Fprintf(w, "Asked about every event of their logsource, because nothing in them must be there: %s. Give them an item\nwith a text that must be there (a value, startswith, endswith, or contains with four letters and more):\n", count(len(r.Always), "rule"))
	for i, a := range r.Always {
		if i == maxAlways {
			_, _ = fmt.Fprintf(w, "  and %d more; --json names all\n", len(r.Always)-i)
			break
		}
		_, _ = fmt.Fprintf(w, "  %s:%d  %s\n", oneLineOf(a.File), a.Line, oneLineOf(a.Title))
	}
}

func whole(f float64) string {
	if f < 10 && f != float64(int(f)) {
		return fmt.Sprintf("%.2f", f)
	}
	return grouped(int(f))
}

// load keeps events in memory, as a hunt reads them.
func (b *ruleBench) load(e *env, paths []string, most int) error {
	c := hunt.Config{Engine: b.engine, Paths: paths, Stdin: e.in, Now: time.Now()}
	res, err := hunt.Each(e.ctx, c, func(ev hunt.Event) bool {
		if len(b.events) == most || b.bytes+int64(len(ev.JSON)) > maxBenchBytes {
			b.cut = true
			return false
		}
		b.keep(ev)
		return true
	})
	if err != nil {
		return err
	}
	if e.ctx.Err() != nil {
		return core.Wrap(core.KindUnavailable, "rules bench", e.ctx.Err())
	}
	tellFaults(e.err, res)
	b.files, b.unread = res.Files, res.FaultCount
	if b.cut {
		b.files = len(b.named)
	}
	if len(b.events) == 0 {
		return core.E(core.KindInvalid, "rules bench", "there is no event to measure with").WithHint("events are JSON objects, lines of logs, records of EVTX files")
	}
	return nil
}
