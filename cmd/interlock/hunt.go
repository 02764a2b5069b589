package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/hunt"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

type huntCmd struct {
	Paths     []string `arg:"" name:"file" help:"Files and folders; - is the standard input." placeholder:"FILE|DIR"`
	Rules     []string `help:"Sigma rules: a file, a folder or a .tar.gz. Repeatable; without it, the shipped rules." sep:"none" placeholder:"DIR"`
	Values    string   `name:"placeholders" help:"Values of the %placeholders% of rules: a YAML map of names." placeholder:"FILE"`
	MinLevel  string   `help:"Only rules of this level and above: ${enum}." enum:"informational,low,medium,high,critical" default:"informational" placeholder:"LEVEL"`
	Rule      []string `help:"Only this rule, by id (or its beginning), name or title. Repeatable." sep:"none" placeholder:"ID|NAME"`
	Exclude   []string `help:"All but this rule. Repeatable." sep:"none" placeholder:"ID|NAME"`
	From      string   `help:"Only matches at or after this time: RFC 3339, or a day; UTC unless it says otherwise." placeholder:"TIME"`
	To        string   `help:"Only matches at or before this time; a day counts whole." placeholder:"TIME"`
	Logsource string   `help:"Take every event for this logsource: product/category/service, - where open." placeholder:"SOURCE"`
	Zone      string   `help:"Time zone of stamps that name none, such as those of auth.log." default:"UTC" placeholder:"NAME"`
	Strict    bool     `help:"Do not hunt with some of the rules: one that is broken ends it."`
	CSV       string   `name:"csv" help:"Write the timeline to this file as CSV, too." placeholder:"FILE"`
	HTML      string   `name:"html" help:"Write a report to this file: one page that needs nothing else." placeholder:"FILE"`
	Workers   int      `help:"Match on this many cores; 0 for all." default:"0" hidden:""`
}

// Help implements kong's long help.
func (huntCmd) Help() string {
	return `Runs Sigma rules, correlations too, over files and tells what they find as a timeline. What a file holds is told by its content: JSON
(one event a line, arrays, objects one after the other, exports of CloudTrail and the like), Windows event logs (.evtx), syslog and
auth.log, auditd, journalctl -o json; gzip and UTF-16 are taken off. Folders are searched whole. Events are numbered from 0 in their file.

With --json, one line a match: rule, event, file, title, level, author, link, time, host, tags, fields; events for a correlation.

Exit code 0 when nothing was found, 1 with matches, 2 when something could not be read (everything else was searched).

Example:
  interlock hunt --rules sigma/rules --min-level high evidence/
  journalctl -o json | interlock hunt --json -`
}

// Run hunts.
func (c *huntCmd) Run(e *env) error {
	config, err := c.question(e)
	if err != nil {
		return err
	}
	began := time.Now()
	loaded, err := c.load(e)
	if err != nil {
		return err
	}
	if config.Keep, err = c.choice(loaded.engine); err != nil {
		return err
	}
	config.Engine, config.Alone = loaded.engine, loaded.alone
	started := time.Now()
	bar := drawHunt(e, c.Paths, &config)
	res, err := hunt.Run(e.ctx, config)
	bar.done()
	if err != nil {
		return err
	}
	tellFaults(e.err, res)
	if err := c.tell(e, res, loaded); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(e.err, "%s; %d rules loaded in %s\n", speed(res, time.Since(started)), loaded.count, inSeconds(started.Sub(began)))
	return outcome(res)
}

// question is what was asked, but for the rules.
func (c *huntCmd) question(e *env) (hunt.Config, error) {
	config := hunt.Config{Paths: c.Paths, Stdin: e.in, Now: time.Now(), Workers: c.Workers, Progress: &hunt.Progress{}}
	var err error
	if config.Zone, err = time.LoadLocation(c.Zone); err != nil {
		return config, core.E(core.KindInvalid, "hunt", fmt.Sprintf("--zone %q is not a time zone", c.Zone)).WithHint("a name such as Europe/Berlin, UTC or Local")
	}
	if config.From, err = huntTime("--from", c.From, false); err != nil {
		return config, err
	}
	if config.To, err = huntTime("--to", c.To, true); err != nil {
		return config, err
	}
	if c.Logsource != "" {
		src, err := hunt.ParseLogsource(c.Logsource)
		if err != nil {
			return config, err
		}
		config.Force = &src
	}
	return config, nil
}

// huntTime reads a time or a day.
func huntTime(flag, s string, end bool) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return t, core.E(core.KindInvalid, "hunt", fmt.Sprintf("%s %q is not a time", flag, s)).WithHint("2026-03-01, or 2026-03-01T14:00:00Z")
	}
	if end {
		t = t.Add(24*time.Hour - time.Nanosecond)
	}
	return t, nil
}

// huntRules are the rules of a hunt.
type huntRules struct {
	engine  *sigma.Engine
	options sigma.Options
	count   int
	faults  []hunt.RuleFault
}

// load reads and compiles the rules. Broken ones are told and left out, or end
// it.
func (c *huntCmd) load(e *env) (*huntRules, error) {
	files, err := c.ruleFiles()
	if err != nil {
		return nil, err
	}
	parsed, faults := hunt.Parse(files)
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	engine, more, err := hunt.Compile(parsed, o)
	faults = append(faults, more...)
	for _, f := range faults {
		_, _ = fmt.Fprintf(e.err, "rule left out: %s\n", onOneLine(f.String()))
	}
	switch {
	case err != nil:
		return nil, err
	case c.Strict && len(faults) > 0:
		return nil, core.E(core.KindInvalid, "hunt", count(len(faults), "rule")+" broken, see above").WithHint("mend them, or leave --strict out")
	case len(engine.Rules()) == 0:
		return nil, core.E(core.KindInvalid, "hunt", "none of the rules can be used").WithHint("interlock rules check " + strings.Join(c.Rules, " "))
	}
	tellWaiting(e.err, engine, o.Placeholders)
	return &huntRules{engine, o, len(engine.Rules()) + len(engine.Correlations()), faults}, nil
}

// options are what rules are compiled with.
func (c *huntCmd) options() (sigma.Options, error) {
	o := sigma.Options{Aliases: huntAliases, Routes: taxonomy.Routes(), Now: time.Now()}
	if c.Values == "" {
		return o, nil
	}
	text, err := readLimited(c.Values, sigma.MaxFile)
	if err == nil {
		o.Placeholders, err = sigma.ParsePlaceholders(c.Values, text)
	}
	return o, err
}

// tellWaiting names placeholders that nobody has given values: what rules ask
// of them holds for no event.
func tellWaiting(w io.Writer, engine *sigma.Engine, values map[string][]string) {
	n, names := 0, make(map[string]bool)
	for _, r := range engine.Rules() {
		waits := false
		for _, name := range r.Placeholders() {
			if len(values[name]) == 0 {
				names["%"+name+"%"], waits = true, true
			}
		}
		if waits {
			n++
		}
	}
	if n > 0 {
		_, _ = fmt.Fprintf(w, "%s wait for values of %s (--placeholders)\n", count(n, "rule"), onOneLine(strings.Join(slices.Sorted(maps.Keys(names)), " ")))
	}
}

// alone compiles a rule by itself, to tell why it fired.
func (l *huntRules) alone(r *sigma.Rule) *sigma.Engine {
	o := l.options
	o.Routes = nil
	e, err := sigma.Compile([]*sigma.Rule{r}, o)
	if err != nil {
		return nil // it fired, and nothing else depends on telling why
	}
	return e
}

// huntAliases joins the names of others with those that the normaliser gives
// to lines of logs.
func huntAliases(src sigma.Logsource, field string) []string {
	out := slices.Clone(taxonomy.Aliases(src, field))
	for _, name := range normalise.Aliases(src, field) {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

func (c *huntCmd) ruleFiles() ([]hunt.RuleFile, error) {
	if len(c.Rules) > 0 {
		return hunt.ReadRules(c.Rules)
	}
	shipped, err := rules.Shipped()
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "hunt", err)
	}
	out := make([]hunt.RuleFile, len(shipped))
	for i, f := range shipped {
		out[i] = hunt.RuleFile{Name: f.Name, Text: []byte(f.Text)}
	}
	return out, nil
}

// levelRank orders levels.
var levelRank = map[sigma.Level]int{
	sigma.LevelInformational: 0, sigma.LevelLow: 1, sigma.LevelMedium: 2, sigma.LevelHigh: 3, sigma.LevelCritical: 4,
}

// choice says whose matches are wanted. A name that no rule has is an error: a
// typing error must not look like a clean machine.
func (c *huntCmd) choice(engine *sigma.Engine) (func(*sigma.Rule) bool, error) {
	all := slices.Clone(engine.Rules())
	for _, corr := range engine.Correlations() {
		all = append(all, corr.Rule)
	}
	for _, name := range slices.Concat(c.Rule, c.Exclude) {
		if !slices.ContainsFunc(all, func(r *sigma.Rule) bool { return called(r, name) }) {
			return nil, core.E(core.KindNotFound, "hunt", fmt.Sprintf("no rule is called %q", name)).WithHint("its id, name or whole title")
		}
	}
	least := levelRank[sigma.Level(c.MinLevel)]
	wanted := make(map[*sigma.Rule]bool, len(all))
	for _, r := range all {
		is := func(name string) bool { return called(r, name) }
		wanted[r] = levelRank[r.Level] >= least && (len(c.Rule) == 0 || slices.ContainsFunc(c.Rule, is)) && !slices.ContainsFunc(c.Exclude, is)
	}
	return func(r *sigma.Rule) bool { return wanted[r] }, nil
}

// called reports whether a user may mean the rule by name.
func called(r *sigma.Rule, name string) bool {
	return r.Names(name) || strings.EqualFold(r.Title, name) || len(name) >= 8 && strings.HasPrefix(r.ID, strings.ToLower(name))
}

// tell gives the result: to the terminal or as lines of JSON, and to files.
func (c *huntCmd) tell(e *env, res *hunt.Result, loaded *huntRules) error {
	if c.CSV != "" {
		if err := writeHuntCSV(c.CSV, res); err != nil {
			return err
		}
	}
	if c.HTML != "" {
		if err := writeHuntHTML(c.HTML, res, loaded.count); err != nil {
			return err
		}
	}
	if e.global.JSON {
		return huntLines(e.out, res)
	}
	width, colour := screen(e.out)
	huntTable(e.out, res, width, colour)
	huntSummary(e.out, res, loaded.count, colour)
	return nil
}

// outcome is the exit code.
func outcome(res *hunt.Result) error {
	switch {
	case res.Incomplete != "":
		return core.E(core.KindUnavailable, "hunt", "incomplete: "+res.Incomplete)
	case res.FaultCount > 0:
		return core.E(core.KindInvalid, "hunt", count(res.FaultCount, "place")+" could not be read, see above; everything else was searched")
	case len(res.Matches) > 0:
		return errFindings
	}
	return nil
}

// shownFaults is how many places are told one by one.
const shownFaults = 25

func tellFaults(w io.Writer, res *hunt.Result) {
	for i, f := range res.Faults {
		if i == shownFaults {
			_, _ = fmt.Fprintf(w, "not read: %d more places\n", res.FaultCount-shownFaults)
			return
		}
		place := f.File
		if f.Line > 0 {
			place = fmt.Sprintf("%s:%d", place, f.Line)
		}
		number := ""
		if f.Event >= 0 {
			number = fmt.Sprintf(" (event %d)", f.Event)
		}
		_, _ = fmt.Fprintf(w, "not read: %s%s: %s\n", onOneLine(place), number, onOneLine(f.Why))
	}
}

// speed tells how fast it went, on the side: it differs each time.
func speed(res *hunt.Result, took time.Duration) string {
	rate := float64(res.Events) / max(took.Seconds(), 1e-3)
	return fmt.Sprintf("searched %s events in %s, %s events/s", grouped(res.Events), inSeconds(took), grouped(int(rate)))
}

func inSeconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
