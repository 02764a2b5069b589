package main

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/explain"
	"github.com/interlock-security/interlock/siem/hunt"
	"github.com/interlock-security/interlock/siem/sigma"
)

type rulesExplainCmd struct {
	Event     string   `arg:"" help:"A file with one event, FILE:N for its event N counted from zero, - for the standard input, or the id of an event that the server has."`
	Rules     []string `help:"Sigma rules: a file, a folder or a .tar.gz. Repeatable; without it, the shipped rules." sep:"none" placeholder:"DIR"`
	Values    string   `name:"placeholders" help:"Values of the %placeholders% of rules: a YAML map of names." placeholder:"FILE"`
	Rule      string   `help:"Only this rule, by id or name, with its whole condition." placeholder:"ID"`
	Near      int      `help:"How many rules that nearly fired are told." default:"5"`
	Logsource string   `help:"Take the event for this logsource, not for what it says itself: product/category/service, - where open." placeholder:"SOURCE"`
}

// Help implements kong's long help.
func (rulesExplainCmd) Help() string {
	return `Says which rules fire for an event and on which of its fields, which nearly fire and what is missing or which filter stopped them,
and which logsource the event is of. The engine is the one that detects. Files are read as interlock hunt reads them, and events have
the numbers that it tells. An event's id is looked up by the server, which answers with the rules that are in force there.

A rule nearly fires if one or two answers are missing and something that it looks for is there. An event that nothing knows the source
of is asked every rule.

Exit code 0 when no rule fires, 1 when one does, 2 when the event or the rules can't be read.

Example:
  interlock rules explain event.json --rules /etc/interlock/rules
  interlock rules explain export.ndjson:41 --rules sigma/rules --near 10
  interlock rules explain Security.evtx:7 --rules sigma/rules --rule 5af54681-df95-4c26-854f-2565e13cfab0
  interlock rules explain 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55`
}

// Run explains.
func (c *rulesExplainCmd) Run(e *env) error {
	if c.Near < 0 {
		return core.E(core.KindInvalid, "rules explain", "--near cannot be negative")
	}
	report, err := c.report(e)
	if err != nil {
		return err
	}
	t := explainText{rule: c.Rule, colour: bool(colourOn(e.out))}
	if err := e.show(report, func(w io.Writer) { t.report(w, report) }); err != nil {
		return err
	}
	if len(report.Fired) > 0 {
		return errFindings
	}
	return nil
}

func (c *rulesExplainCmd) report(e *env) (explain.Report, error) {
	if _, err := core.ParseUUID(c.Event); err == nil {
		return c.remote(e)
	}
	var forced *sigma.Logsource
	if c.Logsource != "" {
		src, err := hunt.ParseLogsource(c.Logsource)
		if err != nil {
			return explain.Report{}, err
		}
		forced = &src
	}
	event := numberedFile(c.Event)
	if err := event.isFile(); err != nil {
		return explain.Report{}, err
	}
	engine, err := eventRules(e, c.Rules, c.Values)
	if err != nil {
		return explain.Report{}, err
	}
	if c.Rule != "" && !slices.ContainsFunc(engine.Rules(), func(r *sigma.Rule) bool { return r.Names(c.Rule) }) {
		return explain.Report{}, core.E(core.KindNotFound, "rules explain", fmt.Sprintf("there is no detection with the id or name %q", c.Rule)).
			WithHint("name the folder that it stands in with --rules")
	}
	var r explain.Report
	o := explain.Options{Event: c.Event, Rule: c.Rule, Near: c.Near, Every: true}
	err = event.find(e, engine, forced, func(ev hunt.Event) {
		if received, ok := explain.Exported(ev.JSON); ok && forced == nil {
			r = explain.Received(engine, received, o)
		} else {
			r = explain.View(engine, ev.View, ev.Sources, o)
		}
	})
	return r, err
}

// remote asks the server, which knows the event and the rules in force.
func (c *rulesExplainCmd) remote(e *env) (r explain.Report, err error) {
	if len(c.Rules) > 0 || c.Values != "" || c.Logsource != "" {
		return r, core.E(core.KindInvalid, "rules explain", "the server answers about an event's id with its own rules: leave --rules, --placeholders and --logsource out")
	}
	q := filter("rule", c.Rule)
	q.Set("near", strconv.Itoa(c.Near))
	err = e.client().Get(e.ctx, "/v1/events/"+url.PathEscape(c.Event)+"/explain", q, &r)
	return r, err
}

// explainText prints a report for people.
type explainText struct {
	rule   string
	colour bool
}

// The colours of verdicts and levels.
var explainColours = map[string]string{
	"FIRED": "\x1b[1;31m", "NEARLY": "\x1b[1;33m", "NOT ASKED": "\x1b[1m", "NO": "\x1b[1m",
	"critical": "\x1b[31m", "high": "\x1b[31m", "medium": "\x1b[33m",
}

func (t explainText) paint(word, text string) string {
	if code := explainColours[word]; t.colour && code != "" {
		return code + text + "\x1b[0m"
	}
	return text
}

func (t explainText) report(w io.Writer, r explain.Report) {
	t.event(w, r)
	if t.rule != "" {
		t.chosen(w, r.Chosen)
		return
	}
	for _, rule := range r.Fired {
		t.fired(w, rule)
	}
	for _, rule := range r.Near {
		t.near(w, rule)
	}
	if more := r.NearCount - len(r.Near); more > 0 {
		_, _ = fmt.Fprintf(w, "\n%d more nearly fired; see them with --near %d\n", more, r.NearCount)
	}
}

// event says what the event is and how many rules were asked.
func (t explainText) event(w io.Writer, r explain.Report) {
	_, _ = fmt.Fprintf(w, "Event %s", oneLineOf(r.Event))
	switch {
	case r.Everything:
		_, _ = fmt.Fprint(w, ": nothing in it says what it is of, so every rule was asked.\n")
	case len(r.Sources) == 0:
		_, _ = fmt.Fprint(w, ": nothing in it says what it is of, so no rule is asked.\n")
	default:
		_, _ = fmt.Fprintf(w, " is of %s", oneLineOf(strings.Join(narrow(r.Sources), ", ")))
		if len(r.Reasons) > 0 {
			_, _ = fmt.Fprintf(w, ", because %s", oneLineOf(clip(r.Reasons[len(r.Reasons)-1].Because)))
		}
		_, _ = fmt.Fprint(w, ".\n")
	}
	_, _ = fmt.Fprintf(w, "%d of %d rules were asked", r.Asked, r.Rules)
	if t.rule == "" {
		_, _ = fmt.Fprintf(w, ": %d fired, %d nearly fired", len(r.Fired), r.NearCount)
	}
	_, _ = fmt.Fprint(w, ".\n")
	if r.Long {
		_, _ = fmt.Fprint(w, "It is so long that of those which did not fire only some were looked at; --rule looks at one.\n")
	}
	if r.Fault != "" {
		_, _ = fmt.Fprintf(w, "Not all of it could be read: %s.\n", oneLineOf(r.Fault))
	}
}

// narrow leaves out what another source says more closely: windows/-/- beside
// windows/-/sysmon.
func narrow(sources []string) (out []string) {
	for _, s := range sources {
		wide, err := hunt.ParseLogsource(s)
		closer := func(other string) bool {
			src, err := hunt.ParseLogsource(other)
			return err == nil && src != wide && wide.Covers(src)
		}
		if err != nil || !slices.ContainsFunc(sources, closer) {
			out = append(out, s)
		}
	}
	return out
}

// head names a rule: whose it is must stand beside what it says.
func (t explainText) head(w io.Writer, verdict string, r explain.Verdict, more string) {
	_, _ = fmt.Fprintf(w, "\n%s %s %s", t.paint(verdict, fmt.Sprintf("%-7s", verdict)), t.paint(r.Level, fmt.Sprintf("%-8s", shortLevel(r.Level))), oneLineOf(r.Title))
	if more != "" {
		_, _ = fmt.Fprintf(w, "   %s", more)
	}
	_, _ = fmt.Fprintf(w, "\n        %s by %s, %s:%d\n", oneLineOf(r.ID), oneLineOf(r.Author), oneLineOf(r.File), r.Line)
}

func shortLevel(level string) string {
	if level == string(sigma.LevelInformational) {
		return "info"
	}
	return level
}

func (t explainText) fired(w io.Writer, r explain.Verdict) {
	t.head(w, "FIRED", r, "")
	t.items(w, "because", r.Holds, make(map[string]bool))
	word := "and not"
	if len(r.Holds) == 0 {
		word = "because" // what fires for want of something
	}
	t.passed(w, word, r)
	t.counts(w, r)
}

func (t explainText) near(w io.Writer, r explain.Verdict) {
	t.head(w, "NEARLY", r, distanceText(r))
	told := make(map[string]bool)
	t.items(w, "stopped", r.Stopped, told)
	t.items(w, "missing", r.Missing, told)
	t.items(w, "holds", r.Holds, told)
	t.counts(w, r)
}

func distanceText(r explain.Verdict) string {
	text := ""
	switch {
	case r.Distance == 1 && len(r.Missing) == 1:
		text = "one thing is missing"
	case len(r.Missing) > 0:
		text = "two things are missing"
		if len(r.Stopped) > 0 {
			text = "one thing is missing"
		}
	}
	if len(r.Stopped) > 0 {
		text = strings.TrimPrefix(text+", and it is stopped by "+stopper(r.Stopped[0]), ", and it is ")
	}
	return text + ":"
}

// stopper names what stopped a rule: its own filter, or one that stands beside it.
func stopper(a explain.Answer) string {
	if a.Filter != "" {
		return fmt.Sprintf("the filter %q", oneLineOf(clip(a.Filter)))
	}
	return oneLineOf(a.Selection)
}

// items tells what the rule asks and, below, what the event has, each value
// once.
func (t explainText) items(w io.Writer, word string, items []explain.Answer, told map[string]bool) {
	for i, it := range items {
		line, lead := it.Says, word
		if i > 0 {
			lead = ""
		}
		if it.Selection != "" {
			line = it.Selection + ": " + line
		}
		if word == "missing" && it.All && len(it.Values) < it.Wanted {
			line += `, without "` + clip(strings.Join(it.Values, `", "`)) + `"`
		}
		if it.Line > 0 && (word == "missing" || word == "stopped") {
			line += fmt.Sprintf("  (line %d)", it.Line)
		}
		_, _ = fmt.Fprintf(w, "        %-8s %s\n", lead, oneLineOf(line))
		for _, line := range haveLines(it) {
			if !told[line] {
				_, _ = fmt.Fprintf(w, "                     %s\n", oneLineOf(line))
			}
			told[line] = true
		}
	}
}

// haveLines say what the event has of an item's field.
func haveLines(it explain.Answer) (out []string) {
	for i, have := range it.Have {
		name := it.Field + " ="
		switch {
		case i < len(it.Names) && it.Names[i] != it.Field && it.Names[i] != "":
			name = strings.TrimSpace(fmt.Sprintf("%s (%s) =", it.Field, it.Names[i]))
		case it.Field == "":
			name = "in:"
		}
		out = append(out, name+" "+around(have, it.Values))
	}
	switch {
	case len(it.Have) == 0 && it.Null:
		out = append(out, it.Field+" = null")
	case len(it.Have) == 0 && it.Field != "" && !it.Unread:
		out = append(out, "the event has no "+it.Field)
	}
	if n := it.Nearest; n != nil {
		out = append(out, fmt.Sprintf(`nearest: "%s" shares "%s"`, clip(n.Value), clip(n.Common)))
	}
	return out
}

func (explainText) passed(w io.Writer, word string, r explain.Verdict) {
	if len(r.Filters) > 0 {
		none := strings.Join(r.Filters, ", ")
		if word == "because" {
			none = "none of these holds: " + none
		}
		_, _ = fmt.Fprintf(w, "        %-8s %s\n", word, oneLineOf(none))
	}
}

func (explainText) counts(w io.Writer, r explain.Verdict) {
	for _, c := range r.Counts {
		_, _ = fmt.Fprintf(w, "        %-8s %s: %s\n", "counts", oneLineOf(c.Title), oneLineOf(c.Says))
		for _, name := range slices.Sorted(maps.Keys(c.Group)) {
			_, _ = fmt.Fprintf(w, "                     %s = %s\n", oneLineOf(name), oneLineOf(clip(c.Group[name])))
		}
		if len(c.Absent) > 0 {
			_, _ = fmt.Fprintf(w, "                     the event has no %s\n", oneLineOf(strings.Join(c.Absent, ", ")))
		}
	}
}

// chosen tells one rule whole.
func (t explainText) chosen(w io.Writer, r *explain.Verdict) {
	if r == nil {
		return
	}
	verdict, more := "NO", ""
	switch r.Verdict {
	case string(sigma.Fired):
		verdict = "FIRED"
	case string(sigma.Near):
		verdict, more = "NEARLY", distanceText(*r)
	case string(sigma.NotAsked):
		verdict, more = "NOT ASKED", "the rule is for "+r.Logsource
	}
	t.head(w, verdict, *r, oneLineOf(more))
	t.part(w, r.Condition, "        ", make(map[string]bool))
	t.counts(w, *r)
}

var joins = map[string]string{"all": "all of:", "any": "any of:", "not": "not:"}

func (t explainText) part(w io.Writer, p *explain.Branch, indent string, told map[string]bool) {
	mark := "no "
	if p.Holds {
		mark = "yes"
	}
	label := joins[p.Join]
	if p.Item != nil {
		label = p.Item.Says
	}
	for _, name := range []string{p.Name, p.Filter} {
		if name != "" {
			label = name + ": " + label
		}
	}
	_, _ = fmt.Fprintf(w, "%s%s %s\n", indent, mark, oneLineOf(label))
	if p.Item != nil {
		for _, line := range haveLines(*p.Item) {
			if !told[line] {
				_, _ = fmt.Fprintf(w, "%s        %s\n", indent, oneLineOf(line))
			}
			told[line] = true
		}
	}
	for _, k := range p.Parts {
		t.part(w, k, indent+"    ", told)
	}
}

// maxShown is how much of a value is shown, in characters.
const maxShown = 160

func clip(s string) string {
	if r := []rune(s); len(r) > maxShown {
		return string(r[:maxShown]) + "…"
	}
	return s
}

// around shows a value, or of a long one the stretch in which the first of the
// texts stands.
func around(have string, texts []string) string {
	at := 0
	for _, text := range texts {
		if i := strings.Index(strings.ToLower(have), strings.ToLower(strings.Trim(text, "*"))); i > 0 {
			at = i
			break
		}
	}
	r := []rune(have)
	if len(r) <= maxShown {
		return have
	}
	from := 0
	if at > maxShown/2 && at <= len(have) {
		from = min(len([]rune(have[:at]))-maxShown/4, len(r)-maxShown)
	}
	from = max(from, 0)
	s := string(r[from:min(from+maxShown, len(r))])
	if from > 0 {
		s = "…" + s
	}
	if from+maxShown < len(r) {
		s += "…"
	}
	return s
}
