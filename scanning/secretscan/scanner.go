package secretscan

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/secrets/detect/source"
)

// Tool is the scanner's name in reports.
const Tool = "interlock-secrets"

// Options say what is scanned and how. The zero value scans the files of a target.
type Options struct {
	// History scans the versions of files in the target's repository too; Commits
	// says which of them.
	History bool
	Commits source.HistoryOptions
	// Staged scans only what is staged for the next commit. Hook is the environment
	// of the hook that asks.
	Staged bool
	Hook   []string
	// Running scans what the machine runs with, and no target.
	Running bool
	// Stdin, if set, is scanned instead of a target.
	Stdin io.Reader
	// Archives opens archives, Binary looks at the text in binary files.
	Archives, Binary bool
	// NoDecode leaves base64, hex and the like as they are.
	NoDecode bool
	// MaxSize is how much of a file is read; 0 is the default.
	MaxSize int64
	// Exclude are patterns of paths that are left out on purpose.
	Exclude []string
	// Config is a .gitleaks.toml whose rules and exceptions hold beside our own. ""
	// takes the one at the top of what is scanned, if it is there. Alone leaves ours
	// out.
	Config string
	Alone  bool
	// Samples tells also what was made up to show or to test something.
	Samples bool
	// Baseline holds leaks that are known and are not told again.
	Baseline *Baseline
	// Online, if set, asks providers whether what was found still works. Nobody is
	// asked without it.
	Online  Asker
	Version string
	Workers int
}

// Scanner is a [scanning.Scanner] for secrets.
type Scanner struct{ o Options }

var _ scanning.Scanner = (*Scanner)(nil)

// New makes a scanner. It reads nothing yet.
func New(o Options) *Scanner { return &Scanner{o} }

// Describe implements [scanning.Scanner].
func (s *Scanner) Describe() scanning.Description {
	d := scanning.Description{
		Tool:    scanning.Tool{Name: Tool, Version: s.o.Version},
		Classes: []scanning.Class{scanning.ClassSecret},
		Scopes:  []scanning.ScopeKind{scanning.ScopeFolder, scanning.ScopeGit, scanning.ScopeImage, scanning.ScopeHost, scanning.ScopeStream},
	}
	if s.o.History || s.o.Staged {
		d.Needs = []string{"git"}
	}
	return d
}

// Scan implements [scanning.Scanner].
func (s *Scanner) Scan(ctx context.Context, target scanning.Target, report *scanning.Report) error {
	rules, err := s.rules(target)
	if err != nil {
		return err
	}
	report.Tool = scanning.Tool{Name: Tool, Version: s.o.Version, Rules: s.o.looked(rules.digest), Detectors: rules.asked}
	report.Scope = target.Scope
	report.Scope.Excluded = append(slices.Clone(target.Scope.Excluded), s.o.Exclude...)
	if rules.unread != nil {
		report.Gaps = append(report.Gaps, unreadGap(rules.unread))
	}
	r := &run{Options: &s.o, target: target, report: report, rules: rules, progress: new(source.Progress), hidden: newHidden(), here: map[string]bool{}}
	stop := r.showProgress(ctx)
	err = r.scan(ctx)
	stop()
	if err != nil {
		return err
	}
	r.ask(ctx)
	r.finish()
	return nil
}

// run is one scan.
type run struct {
	*Options
	target   scanning.Target
	report   *scanning.Report
	rules    *ruleset
	progress *source.Progress
	hidden   *hidden
	// here are the leaks that history has told of and that are still there.
	here map[string]bool
	// questions wait until the scan is over; unanswered are those without an answer.
	questions  []question
	unanswered int64
	// moreGaps counts what was not told one by one.
	moreGaps int64
}

func (r *run) config() source.Config {
	return source.Config{
		Detector: r.rules.detector, Keep: r.keep, Exclude: excluder(r.report.Scope.Excluded), Archives: r.Archives || r.target.Scope.Kind == scanning.ScopeImage,
		Binary: r.Binary, Workers: r.Workers, Progress: r.progress, Limits: source.Limits{File: r.MaxSize},
	}
}

func (r *run) scan(ctx context.Context) error {
	c, sink := r.config(), source.Sink{Leak: r.leak, Gap: r.gap}
	switch {
	case r.Running:
		return source.Running(ctx, "/", c, sink)
	case r.Stdin != nil:
		return source.Reader(ctx, r.Stdin, r.target.Scope.Name, c, sink)
	case r.Staged:
		return source.Staged(ctx, r.target.Dir, r.Hook, c, sink)
	}
	if r.History {
		c.Versions = new(source.Versions)
		if err := source.History(ctx, r.target.Dir, r.Commits, c, sink); err != nil {
			return err
		}
	}
	return r.files(ctx, c, sink)
}

// files scans the target's tree, or the one file that it is.
func (r *run) files(ctx context.Context, c source.Config, sink source.Sink) error {
	if r.target.Dir == "" {
		if r.target.FS == nil {
			return core.E(core.KindInvalid, "secretscan.Scan", "there is nothing to scan: the target has neither a folder nor a tree")
		}
		return source.Tree(ctx, r.target.FS, c, sink)
	}
	folder, err := isFolder(r.target.Dir)
	switch {
	case err != nil:
		return err
	case !folder:
		return source.File(ctx, r.target.Dir, nameOf(r.target), c, sink)
	case bare(r.target.Dir):
		return nil // it has no files but its history
	}
	return source.Folder(ctx, r.target.Dir, c, sink)
}

func (r *run) leak(f source.Found) {
	if f.Commit != "" && !f.Gone {
		r.here[f.Fingerprint] = true
	}
	if f.Commit == "" && r.here[f.Fingerprint] {
		return // its history was told
	}
	r.report.Findings = append(r.report.Findings, finding(&f))
	r.wonder(&f)
}

// mostGaps is how many gaps are told one by one.
const mostGaps = 10_000

func (r *run) gap(g source.Gap) {
	gap := scanning.Gap{What: g.What, Why: g.Why, Reason: scanning.Reason(g.Reason)}
	gaps := r.report.Gaps
	switch n := len(gaps); {
	case n > 0 && gaps[n-1] == gap:
	case n >= mostGaps:
		r.moreGaps++
	default:
		r.report.Gaps = append(gaps, gap)
	}
}

// finish writes what was read, and what was not meant to be told.
func (r *run) finish() {
	p := r.progress
	counts := map[string]int64{
		"files": p.Files.Load(), "bytes": p.Bytes.Load(), "commits": p.Commits.Load(), "versions": p.Blobs.Load(), "binary files": p.Binary.Load(),
		"archives": p.Archives.Load(), "closed archives": p.Unopened.Load(), "links": p.Links.Load(), "processes": p.Processes.Load(),
		"unchanged files": p.Same.Load(), "vanished files": p.Vanished.Load(), "unanswered questions": r.unanswered,
		"worktrees elsewhere": p.Worktrees.Load(), "object stores elsewhere": p.Borrowed.Load(),
	}
	maps.Copy(counts, r.hidden.counts)
	maps.DeleteFunc(counts, func(unit string, n int64) bool { return n == 0 && unit != "files" && unit != "bytes" })
	r.report.Scanned = counts
	scope := &r.report.Scope
	if r.Staged || r.Commits != (source.HistoryOptions{Dangling: r.Commits.Dangling}) {
		scope.Excluded = append(scope.Excluded, "*")
	} else {
		scope.Excluded = append(scope.Excluded, r.hidden.where()...)
	}
	r.report.Suppressed = r.hidden.told()
	if r.moreGaps > 0 {
		why := fmt.Sprintf("%d more places were not scanned, which are not told one by one", r.moreGaps)
		r.report.Gaps = append(r.report.Gaps, scanning.Gap{What: "more places", Why: why, Reason: scanning.ReasonTooMany})
	}
}

// showProgress tells the target's owner how far it is, now and then.
func (r *run) showProgress(ctx context.Context) (stop func()) {
	if r.target.Progress == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				r.tellProgress()
			}
		}
	})
	return func() { cancel(); group.Wait() }
}

func (r *run) tellProgress() {
	p := r.progress
	what := fmt.Sprintf("files, %d MB, %d leaks", p.Bytes.Load()>>20, p.Leaks.Load())
	done := p.Files.Load()
	if n := p.Blobs.Load(); n > 0 {
		what, done = fmt.Sprintf("versions of files, %d MB, %d leaks", p.Bytes.Load()>>20, p.Leaks.Load()), n
	}
	r.target.Progress(done, 0, what)
}
