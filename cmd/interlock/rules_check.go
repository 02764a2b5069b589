package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

type rulesCheckCmd struct {
	Paths  []string `arg:"" name:"path" help:"Rule files, or folders with rules (*.yml, *.yaml)." type:"existingpath"`
	Strict bool     `help:"Warnings count as errors."`

	Placeholders string `help:"A YAML file with the values of placeholders: a map from names to lists." placeholder:"FILE"`
}

// Help implements kong's long help.
func (rulesCheckCmd) Help() string {
	return `Says everything that is wrong with the files, each with its line and with what to write instead: errors, which keep a rule from
being taken or from ever finding anything; warnings, which most likely are mistakes; notes, like placeholders that have no values.

The rules are compiled together with the shipped ones, as the server does it; one with the id or name of a shipped rule
takes its place.

Exit code 0 when there is no error, 1 when there is one, 2 when the files can't be read.

Example:
  interlock rules check /etc/interlock/rules
  interlock rules check sigma/rules sigma/rules-emerging-threats
  interlock rules check new.yml --strict
  interlock rules check sigma/rules-placeholder --placeholders site.yml`
}

// ruleProblem is one finding about a rule file.
type ruleProblem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	// Instead is what could stand there, where that takes several lines.
	Instead string `json:"instead,omitempty"`

	severity sigma.Severity
	source   string // the line itself
}

// ruleCheck is what a check found.
type ruleCheck struct {
	Files        int `json:"files"`
	Rules        int `json:"rules"`
	Correlations int `json:"correlations"`
	Filters      int `json:"filters"`

	Faults   []ruleProblem `json:"faults"`
	Warnings []ruleProblem `json:"warnings"`
	Notes    []ruleProblem `json:"notes"`
	// Replaces names the shipped rules that these take the place of.
	Replaces []string `json:"replaces,omitempty"`
	// Seconds is how long reading and compiling took, Bytes the memory that
	// the compiled rules keep.
	Seconds float64 `json:"seconds"`
	Bytes   uint64  `json:"bytes"`

	parsed       []*sigma.Rule
	texts        map[string]string
	placeholders map[string][]string
}

// Run checks each file by itself, then all together.
func (c *rulesCheckCmd) Run(e *env) error {
	var files []rules.File
	for _, path := range c.Paths {
		more, err := ruleFiles(path)
		if err != nil {
			return err
		}
		files = append(files, more...)
	}
	values, err := readPlaceholders(c.Placeholders)
	if err != nil {
		return err
	}
	check, err := checkRules(files, values)
	if err != nil {
		return err
	}
	if err := e.show(check, func(w io.Writer) { check.tell(w) }); err != nil {
		return err
	}
	if len(check.Faults) > 0 || c.Strict && len(check.Warnings) > 0 {
		return errFindings
	}
	return nil
}

func readPlaceholders(path string) (map[string][]string, error) {
	if path == "" {
		return nil, nil
	}
	f, err := ruleFile(path)
	if err != nil {
		return nil, err
	}
	return sigma.ParsePlaceholders(path, []byte(f.Text))
}

func checkRules(files []rules.File, placeholders map[string][]string) (*ruleCheck, error) {
	check := &ruleCheck{placeholders: placeholders, Files: len(files), Faults: []ruleProblem{}, Warnings: []ruleProblem{}, Notes: []ruleProblem{}, texts: make(map[string]string)}
	before, start := heapInUse(), time.Now()
	for i, found := range parseAll(files) {
		check.parsed = append(check.parsed, found.rules...)
		for _, p := range found.problems {
			check.keep(p, files[i].Text)
		}
		check.texts[files[i].Name] = files[i].Text
	}
	check.count()
	engine, err := check.compile(files)
	check.Seconds = time.Since(start).Seconds()
	if after := heapInUse(); after > before {
		check.Bytes = after - before
	}
	runtime.KeepAlive(engine)
	return check, err
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// parsedFile is what one file gave.
type parsedFile struct {
	rules    []*sigma.Rule
	problems []sigma.Problem
}

// parseAll reads the files on all cores.
func parseAll(files []rules.File) []parsedFile {
	out := make([]parsedFile, len(files))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(files)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(files); i = next.Add(1) - 1 {
				out[i].rules, out[i].problems = sigma.Check(files[i].Name, []byte(files[i].Text))
			}
		})
	}
	wg.Wait()
	return out
}

// count tells the kinds of rules apart, and names placeholders that have no
// values.
func (r *ruleCheck) count() {
	for _, rule := range r.parsed {
		switch {
		case rule.Correlation != nil:
			r.Correlations++
		case rule.Filter != nil:
			r.Filters++
		}
		names := slices.DeleteFunc(rule.Placeholders(), func(name string) bool { return len(r.placeholders[name]) > 0 })
		if len(names) > 0 {
			p := sigma.Problem{File: rule.File, Pos: rule.Pos, Severity: sigma.SeverityNote}
			p.Msg = fmt.Sprintf("the rule has placeholders; until %%%s%% has values, items that ask for it hold for no event", strings.Join(names, "%, %"))
			r.keep(p, "")
		}
	}
	r.Rules = len(r.parsed)
}

// compile puts the rules beside the shipped ones, as the server does.
func (r *ruleCheck) compile(own []rules.File) (*sigma.Engine, error) {
	if slices.ContainsFunc(r.Faults, func(p ruleProblem) bool { return p.severity == sigma.SeverityError }) {
		return nil, nil
	}
	shipped, err := rules.Shipped()
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "rules check", err)
	}
	files, replaced, err := detect.Overlay(shipped, own)
	if err != nil {
		return nil, err
	}
	r.Replaces = replaced
	all := slices.Clone(r.parsed)
	for _, f := range files[:len(files)-len(own)] {
		theirs, err := sigma.Parse(f.Name, []byte(f.Text))
		if err != nil {
			return nil, core.Wrap(core.KindInternal, "rules check", err)
		}
		all = append(all, theirs...)
	}
	engine, err := sigma.Compile(all, sigma.Options{Aliases: normalise.Aliases, Routes: taxonomy.Routes(), Placeholders: r.placeholders})
	if all := sigma.ProblemsOf(err); len(all) > 0 {
		for _, p := range all {
			r.keep(p, r.texts[p.File])
		}
		return nil, nil
	}
	return engine, err
}

// keep notes a problem with the line that it is about.
func (r *ruleCheck) keep(p sigma.Problem, text string) {
	out := ruleProblem{File: p.File, Line: p.Line, Column: p.Col, Message: p.Msg, Instead: p.Example, severity: p.Severity, source: lineOf(text, p.Line)}
	switch p.Severity {
	case sigma.SeverityWarning:
		r.Warnings = append(r.Warnings, out)
	case sigma.SeverityNote:
		r.Notes = append(r.Notes, out)
	default:
		r.Faults = append(r.Faults, out)
	}
}

func lineOf(text string, n int) string {
	for line := range strings.Lines(text) {
		if n--; n == 0 {
			return strings.TrimRight(line, "\r\n")
		}
	}
	return ""
}

// tell prints for people: what is wrong, the line, and a mark below its place.
func (r *ruleCheck) tell(w io.Writer) {
	for _, list := range [][]ruleProblem{r.Notes, r.Warnings, r.Faults} {
		for _, p := range list {
			p.tell(w)
		}
	}
	for _, name := range r.Replaces {
		_, _ = fmt.Fprintf(w, "replaces the shipped rule %s\n", oneLineOf(name))
	}
	verdict := "ok"
	if n := len(r.Faults); n > 0 {
		verdict = counted(n, "error")
	}
	if n := len(r.Warnings); n > 0 {
		verdict += ", " + counted(n, "warning")
	}
	if n := len(r.Notes); n > 0 {
		verdict += ", " + counted(n, "note")
	}
	_, _ = fmt.Fprintf(w, "%s in %s: %s (%.2f s, %.1f MB)\n", counted(r.Rules, "rule"), counted(r.Files, "file"), verdict, r.Seconds, float64(r.Bytes)/1e6)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// longestLine is how much of a line is shown.
const longestLine = 160

func (p ruleProblem) tell(w io.Writer) {
	severity := ""
	if p.severity != sigma.SeverityError {
		severity = string(p.severity) + ": "
	}
	_, _ = fmt.Fprintln(w, oneLineOf(fmt.Sprintf("%s:%d:%d: %s%s", p.File, p.Line, p.Column, severity, p.Message)))
	if p.source != "" && utf8.RuneCountInString(p.source) <= longestLine {
		before := []rune(p.source)[:min(p.Column-1, utf8.RuneCountInString(p.source))]
		// The mark stands where the text before it, made harmless, ends.
		_, _ = fmt.Fprintf(w, "%6d | %s\n       | %s^\n", p.Line, noTabs(printable(p.source)), strings.Repeat(" ", utf8.RuneCountInString(noTabs(printable(string(before))))))
	}
	for line := range strings.Lines(p.Instead) {
		_, _ = fmt.Fprintf(w, "       | + %s\n", printable(strings.TrimRight(line, "\n")))
	}
}

func noTabs(s string) string { return strings.ReplaceAll(s, "\t", " ") }
