package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/detect/tuning"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma"
)

type rulesBacktestCmd struct {
	Path string `arg:"" help:"An exclusion (a Sigma filter), or a rule file or folder that would stand in the place of the site's own rules." type:"existingpath"`
	Days int    `help:"How many days of the journal." default:"7"`
}

// Help implements kong's long help.
func (rulesBacktestCmd) Help() string {
	return `The server runs the last days of its journal through the rules as they are and as they would be, with the engine that detects, and
says which alerts would go and which would come. Nothing changes. What it shows has a hash: rules exclude hands it in, so that what was
looked at is what comes into force.

Exit code 0 when nothing would change, 1 when something would, 2 when it could not be tried or did not come to its end.

Example:
  interlock rules backtest not-the-scanner.yml
  interlock rules backtest /etc/interlock/rules --days 2`
}

// Run tries and tells.
func (c *rulesBacktestCmd) Run(e *env) error {
	try, err := tryOf(c.Path)
	if err != nil {
		return err
	}
	try.Days = c.Days
	done, err := backtest(e, try)
	if err != nil {
		return err
	}
	if err := e.show(done, func(w io.Writer) { tellTrial(w, done) }); err != nil {
		return err
	}
	switch {
	case !done.Result.Complete:
		return incomplete()
	case len(done.Result.Rules) > 0:
		return errFindings
	}
	return nil
}

func incomplete() error {
	return core.E(core.KindUnavailable, "rules backtest", "it did not come to its end").WithHint("ask for fewer days: --days 1")
}

// tryOf reads what is to be tried: a file with one filter is an exclusion.
func tryOf(path string) (api.Trying, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() { // named as the server names them
		files, err := rules.Load(os.DirFS(path), ".")
		if err == nil && len(files) == 0 {
			err = core.E(core.KindNotFound, "rules backtest", "no rules (*.yml, *.yaml) below "+path)
		}
		return api.Trying{Files: files}, err
	}
	files, err := ruleFiles(path)
	if err != nil {
		return api.Trying{}, err
	}
	if len(files) == 1 {
		list, err := sigma.Parse(files[0].Name, []byte(files[0].Text))
		if err != nil {
			return api.Trying{}, err
		}
		if len(list) == 1 && list[0].Filter != nil {
			return api.Trying{Exclusion: files[0].Text}, nil
		}
	}
	return api.Trying{Files: files}, nil
}

// trialPoll is how often the server is asked how far it is.
const trialPoll = 300 * time.Millisecond

// backtest has the server try something, and tells how far it is meanwhile.
func backtest(e *env, try api.Trying) (tuning.Trial, error) {
	body, err := packed(try)
	if err != nil {
		return tuning.Trial{}, err
	}
	var t tuning.Trial
	if err := e.client().Upload(e.ctx, "/v1/rules/backtests", "application/gzip", body, &t); err != nil {
		return t, err
	}
	p := newTrialProgress(e)
	defer p.end()
	for t.State == tuning.TrialRunning {
		select {
		case <-e.ctx.Done():
			return t, e.ctx.Err()
		case <-time.After(trialPoll):
		}
		if err := e.client().Get(e.ctx, "/v1/rules/backtests/"+url.PathEscape(t.ID.String()), nil, &t); err != nil {
			return t, err
		}
		p.tell(t)
	}
	if t.State != tuning.TrialDone || t.Result == nil {
		return t, core.E(core.KindUnavailable, "rules backtest", "the back-test failed: "+t.Problem)
	}
	return t, nil
}

func packed(try api.Trying) ([]byte, error) {
	plain, err := json.Marshal(try)
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "rules backtest", err)
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err = z.Write(plain)
	if err = errors.Join(err, z.Close()); err != nil {
		return nil, core.Wrap(core.KindInternal, "rules backtest", err)
	}
	return out.Bytes(), nil
}

// trialProgress is one line on a terminal, and nothing elsewhere.
type trialProgress struct {
	w  io.Writer
	on bool
}

func newTrialProgress(e *env) *trialProgress {
	return &trialProgress{e.err, onTerminal(e.err)}
}

// onTerminal reports whether a person is at the other end.
func onTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func (p *trialProgress) tell(t tuning.Trial) {
	if !p.on || t.Progress.At.IsZero() {
		return
	}
	share := float64(t.Progress.At.Sub(t.Span.From)) / float64(max(1, t.Span.To.Sub(t.Span.From)))
	_, _ = fmt.Fprintf(p.w, "\r%3.0f %%  %d events, at %s ", 100*min(1, max(0, share)), t.Progress.Events, t.Progress.At.Format(time.DateTime))
}

func (p *trialProgress) end() {
	if p.on {
		_, _ = fmt.Fprint(p.w, "\r\033[K")
	}
}

func tellTrial(w io.Writer, t tuning.Trial) {
	r := t.Result
	_, _ = fmt.Fprintf(w, "%d events from %s to %s: %d alerts as it is, %d as it would be\n", r.Events, when(r.From), when(r.To), r.AlertsBefore, r.AlertsAfter)
	if !r.Complete {
		_, _ = fmt.Fprintln(w, "NOT COMPLETE: it ended before the span did")
	}
	if len(r.Rules) == 0 {
		_, _ = fmt.Fprintln(w, "nothing would change")
	}
	rows := make([][]string, 0, len(r.Rules))
	for _, d := range r.Rules {
		rows = append(rows, []string{signed(-d.Removed), signed(d.Added), eventsOf(d), d.Name, d.Title})
	}
	if len(rows) > 0 {
		table(w, "GO COME EVENTS RULE TITLE", rows)
	}
	tellExamples(w, "would go", r.Removed)
	tellExamples(w, "would come", r.Added)
	_, _ = fmt.Fprintf(w, "back-test %s\n", t.Hash)
}

func tellExamples(w io.Writer, what string, list []detect.Example) {
	for _, x := range list {
		_, _ = fmt.Fprintf(w, "%s: %s\n", what, oneLineOf(fmt.Sprintf("%s  %dx  %s  %v  from %s, by %s, %s", when(x.Last), x.Count, x.Title, x.Group, x.Source, x.Author, x.Link)))
	}
}

func when(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format(time.DateTime)
}

func signed(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%+d", n)
}

func eventsOf(d detect.RuleDifference) string {
	switch {
	case d.RemovedEvents > 0 && d.AddedEvents > 0:
		return fmt.Sprintf("-%d +%d", d.RemovedEvents, d.AddedEvents)
	case d.AddedEvents > 0:
		return fmt.Sprintf("+%d", d.AddedEvents)
	}
	return fmt.Sprintf("-%d", d.RemovedEvents)
}
