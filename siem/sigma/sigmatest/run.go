package sigmatest

import (
	"context"
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

// start is when every test begins.
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
	r := &runner{ctx: ctx, fsys: fsys, file: file}
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
	at := start.Add(s.from)
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
	end := start.Add(s.at)
	events := slices.DeleteFunc(slices.Clone(r.events), func(e core.Event) bool { return e.Received.After(end) })
	slices.SortStableFunc(events, func(a, b core.Event) int { return a.Received.Compare(b.Received) })
	if s.count >= 0 && s.count != len(events) {
		r.fail(s.line, "%d events were received until then, expected %d", len(events), s.count)
	}
	alerts, err := r.judge(events, end)
	if err != nil {
		return err
	}
	r.compare(s, alerts)
	return nil
}

// judge is the pipeline of the server, with windows in memory.
func (r *runner) judge(events []core.Event, end time.Time) ([]alert.Alert, error) {
	var stats detect.Stats
	d := detect.NewDetector(r.set, normalise.New(), &stats)
	c := detect.NewCorrelator(r.set, correlate.Config{})
	folded := newFold()
	advance := func(to time.Time) error {
		raises, err := c.Advance(to, to)
		folded.take(raises)
		return err
	}
	for i := range events {
		if err := advance(events[i].Received); err != nil {
			return nil, err
		}
		var failed error
		d.Judge(&events[i], func(m detect.Match) {
			raises, err := c.Match(m, events[i].Received)
			folded.take(raises)
			if err != nil {
				failed = err
			}
		})
		if failed != nil {
			return nil, failed
		}
	}
	return folded.all, advance(end)
}

// fold keeps alerts as alert.Store does, in memory.
type fold struct {
	all  []alert.Alert
	live map[string]int
	seen map[string]bool
}

func newFold() *fold { return &fold{live: make(map[string]int), seen: make(map[string]bool)} }

func (f *fold) take(raises []alert.Raise) {
	for _, r := range raises {
		print := r.Fingerprint()
		i, ok := f.live[print]
		if ok && f.all[i].Ended(r.Now) {
			ok = false
		}
		if !ok {
			i = len(f.all)
			f.live[print] = i
			f.all = append(f.all, alert.Open(r))
		} else {
			r.Events = slices.DeleteFunc(r.Events, func(e alert.Event) bool { return f.seen[f.all[i].ID.String()+e.ID.String()] })
			if len(r.Events) > 0 {
				f.all[i] = f.all[i].Fold(r)
			}
		}
		for _, e := range r.Events {
			f.seen[f.all[i].ID.String()+e.ID.String()] = true
		}
	}
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
			if v != "" && k != "author" {
				conds = append(conds, k+"="+v)
			}
		}
		sort.Strings(conds)
		out = append(out, a.Rule.Name+" "+strings.Join(conds, " "))
	}
	return strings.Join(out, "; ")
}
