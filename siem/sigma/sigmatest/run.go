package sigmatest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma/correlate"
)

// Failure is an expectation that did not hold.
type Failure struct {
	File string
	Line int
	Msg  string
}

// String reads "file:line: what".
func (f Failure) String() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Msg) }

// Result is what a test file gave.
type Result struct {
	// Evals is how many evaluations ran; a test without any proves nothing.
	Evals    int
	Failures []Failure
}

// Find lists the test files (*.test) below a folder.
func Find(fsys fs.FS, root string) ([]string, error) {
	var out []string
	err := fs.WalkDir(fsys, root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(p, ".test") {
			out = append(out, p)
		}
		return err
	})
	return out, err
}

// start is when a test begins that does not say.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// tenant is whose events a test loads.
var tenant = core.MustID[core.TenantID]("test")

// Run runs one test file. The error is of the test itself: it can't be read,
// or its rules can't.
func Run(ctx context.Context, fsys fs.FS, file string) (Result, error) {
	text, err := fs.ReadFile(fsys, file)
	if err != nil {
		return Result{}, core.Wrap(core.KindNotFound, "sigmatest.Run", err)
	}
	steps, err := parse(file, string(text))
	if err != nil {
		return Result{}, err
	}
	r := &runner{ctx: ctx, fsys: fsys, file: file, start: start}
	for i := range steps {
		if err := r.step(&steps[i]); err != nil {
			return r.result, err
		}
	}
	if r.result.Evals == 0 {
		return r.result, refuse(file, 1, "the test evaluates nothing")
	}
	return r.result, nil
}

type runner struct {
	ctx    context.Context
	fsys   fs.FS
	file   string
	set    *detect.Ruleset
	start  time.Time
	events []core.Event
	result Result
}

func (r *runner) step(s *step) (err error) {
	switch s.kind {
	case stepRules:
		err = r.rules(s)
	case stepLoad:
		err = r.load(s)
	case stepClear:
		r.events = nil
	case stepStart:
		if len(r.events) > 0 {
			return refuse(r.file, s.line, "`start` stands before the first `load`, or after `clear`")
		}
		r.start = s.start
	case stepEval:
		if r.set == nil {
			return refuse(r.file, s.line, "no rules are loaded")
		}
		err = r.eval(s)
	}
	return err
}

func (r *runner) rules(s *step) error {
	var files []rules.File
	for _, glob := range s.globs {
		names, err := fs.Glob(r.fsys, path.Join(path.Dir(r.file), glob))
		if err != nil || len(names) == 0 {
			return refuse(r.file, s.line, "no file matches %q", glob)
		}
		for _, name := range names {
			text, err := fs.ReadFile(r.fsys, name)
			if err != nil {
				return core.Wrap(core.KindNotFound, "sigmatest.Run", err)
			}
			files = append(files, rules.File{Name: name, Text: string(text)})
		}
	}
	set, err := detect.NewRuleset(files)
	r.set = set
	return err
}

func (r *runner) load(s *step) error {
	at := r.start.Add(s.from)
	for _, line := range s.events {
		for i := range line.times {
			e, err := makeEvent(strings.ReplaceAll(line.text, "{i}", strconv.Itoa(i)))
			if err != nil {
				return refuse(r.file, line.line, "%s", err)
			}
			e.ID = eventID(at.Add(s.late), len(r.events))
			e.Tenant, e.Time, e.Received = tenant, at, at.Add(s.late)
			r.events = append(r.events, e)
			at = at.Add(s.every)
		}
	}
	if len(r.events) > maxEvents {
		return refuse(r.file, s.line, "a test loads at most %d events", maxEvents)
	}
	return nil
}

// eventID makes ids that are the same in every run.
func eventID(at time.Time, n int) core.UUID {
	u := core.NewUUID(at)
	clear(u[7:])
	u[8] = 0x80
	for i := range 7 {
		u[15-i] = byte(n >> (8 * i))
	}
	return u
}

// eval judges everything received until s.at, from the beginning.
func (r *runner) eval(s *step) error {
	r.result.Evals++
	end := r.start.Add(s.at)
	events := slices.DeleteFunc(slices.Clone(r.events), func(e core.Event) bool { return e.Received.After(end) })
	slices.SortStableFunc(events, func(a, b core.Event) int { return a.Received.Compare(b.Received) })
	if s.count >= 0 && s.count != len(events) {
		r.fail(s.line, "%d events were received until then, expected %d", len(events), s.count)
	}
	seen, err := r.judge(events, end)
	if err != nil {
		return err
	}
	r.compare(s, seen.alerts.Alerts())
	for _, m := range s.matched {
		id, known := r.id(m.rule)
		if n := seen.matches[id]; !known {
			r.fail(m.line, "no rule that judges events is called %s", m.rule)
		} else if n != m.count {
			r.fail(m.line, "%s held for %d events, expected %d", m.rule, n, m.count)
		}
	}
	return nil
}

// id is that of the rule which a test calls by its name or its id.
func (r *runner) id(name string) (id string, known bool) {
	for _, rule := range r.set.Engine.Rules() {
		if rule.Names(name) {
			return rule.ID, true
		}
	}
	return "", false
}

// judged is what came of the events: alerts, and for how many events each rule
// held.
type judged struct {
	alerts  *alert.Memory
	matches map[string]int
}

// raise folds what the correlator says; its own error passes through.
func (j *judged) raise(raises []alert.Raise, err error) error {
	for _, r := range raises {
		err = errors.Join(err, j.alerts.Raise(r))
	}
	return err
}

// judge is the pipeline of the server, with windows in memory.
func (r *runner) judge(events []core.Event, end time.Time) (*judged, error) {
	var stats detect.Stats
	d := detect.NewDetector(r.set, normalise.New(), &stats)
	c := detect.NewCorrelator(r.set, correlate.Config{})
	out := &judged{alert.NewMemory(0), make(map[string]int)}
	for i := range events {
		now := events[i].Received
		failed := out.raise(c.Advance(now, now))
		_ = d.Judge(&events[i], func(m detect.Match) { // an odd field is passed over, as it is in the stream
			out.matches[m.Rule]++
			failed = errors.Join(failed, out.raise(c.Match(m, now)))
		})
		if failed != nil {
			return nil, failed
		}
	}
	return out, out.raise(c.Advance(end, end))
}

func (r *runner) fail(line int, format string, args ...any) {
	r.result.Failures = append(r.result.Failures, Failure{r.file, line, fmt.Sprintf(format, args...)})
}

// compare pairs each expectation with an alert of its own.
func (r *runner) compare(s *step, alerts []alert.Alert) {
	left := slices.Clone(alerts)
	for _, want := range s.alerts {
		i := slices.IndexFunc(left, func(a alert.Alert) bool { return holds(want, a) })
		if i < 0 {
			r.fail(want.line, "no such alert; there are %s", list(left))
			continue
		}
		left = slices.Delete(left, i, i+1)
	}
	if len(left) > 0 {
		r.fail(s.line, "alerts that were not expected: %s", list(left))
	}
}

func holds(want expected, a alert.Alert) bool {
	if want.rule != a.Rule.Name && want.rule != a.Rule.ID {
		return false
	}
	have := describe(a)
	for key, val := range want.conds {
		if got, ok := have[key]; !ok || got != val {
			return false
		}
	}
	return true
}

func describe(a alert.Alert) map[string]string {
	out := map[string]string{
		"count": strconv.FormatUint(a.Count, 10), "severity": string(a.Severity), "provenance": string(a.Provenance),
		"simulated": strconv.FormatBool(a.Simulated), "device": a.Device.String(), "source": a.Source, "author": a.Author,
		"title": a.Title, "first": a.First.Format(time.RFC3339), "last": a.Last.Format(time.RFC3339),
	}
	for k, v := range a.Group {
		if _, taken := out[k]; !taken {
			out[k] = v
		}
	}
	return out
}

func list(alerts []alert.Alert) string {
	if len(alerts) == 0 {
		return "none"
	}
	var out []string
	for _, a := range alerts {
		have := describe(a)
		var conds []string
		for k, v := range have {
			if v != "" && !slices.Contains([]string{"author", "title", "first", "last"}, k) {
				conds = append(conds, k+"="+v)
			}
		}
		sort.Strings(conds)
		out = append(out, a.Rule.Name+" "+strings.Join(conds, " "))
	}
	return strings.Join(out, "; ")
}
