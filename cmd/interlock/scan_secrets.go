package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/secretscan"
	"github.com/interlock-security/interlock/secrets/detect/source"
	"github.com/interlock-security/interlock/secrets/detect/verify/online"
)

type scanSecretsCmd struct {
	scanOutput
	Path     string   `arg:"" optional:"" default:"." help:"A folder, a file, an archive or an image's tarball; - is the standard input." placeholder:"PATH"`
	Name     string   `help:"What the report calls it; without it, where the repository comes from, or the folder's name." placeholder:"NAME"`
	History  bool     `help:"Every version of every file of the git repository too, with the commit that brought it." xor:"what"`
	Staged   bool     `help:"Only what is staged for the next commit." xor:"what"`
	Running  bool     `help:"What this machine runs with: environments and command lines of processes, units, crontabs. No PATH." xor:"what"`
	Branch   string   `help:"With --history, only what this branch, tag or commit leads to." placeholder:"NAME"`
	Since    string   `help:"With --history, only commits since then: 2026-01-31, 2.weeks." placeholder:"TIME"`
	Dangling bool     `help:"With --history, also what nothing leads to any more: undone commits, what was staged once."`
	Archives bool     `help:"Open archives: tar, zip, jar, whl, gz, bz2, xz, zst, deb, rpm, cpio and those within them."`
	Binary   bool     `help:"Look at the printable text in binary files."`
	MaxSize  int64    `help:"Read this many MiB of a file; what is longer is told as not scanned." default:"1024" placeholder:"MIB"`
	Exclude  []string `help:"Leave out paths: testdata, *.min.js, docs/**/*.md. Repeatable." sep:"none" placeholder:"PATTERN"`
	Config   string   `name:"gitleaks-config" help:"Rules and exceptions beside our own; without it, the .gitleaks.toml at the top of PATH." type:"path" placeholder:"FILE"`
	Alone    bool     `name:"only-config" help:"Ask the rules of --gitleaks-config alone."`
	Decode   bool     `help:"Look into base64, hex and percent encoding." default:"true" negatable:""`
	Samples  bool     `help:"Tell also what was made up to show or to test something; without it, they are counted."`
	Baseline string   `help:"Tell only leaks that are not in this file." type:"path" placeholder:"FILE"`
	Write    string   `name:"write-baseline" help:"Write what is found to this file, as known from now on." type:"path" placeholder:"FILE"`
	Online   bool     `help:"Ask GitHub, GitLab, Slack, AWS, Stripe, npm and OpenAI whether what was found still works. It tells them that it was found, and from where."`
	Workers  int      `help:"Read on this many cores; 0 for all." default:"0" hidden:""`
}

// Help implements kong's long help.
func (scanSecretsCmd) Help() string {
	return `Finds passwords, keys and tokens in files, in the history of a git repository, in archives and images, in a stream, and in what a machine
runs with. Secrets are never shown whole: the first and last four characters of a long one, less of a short one.

A .gitleaks.toml, a .gitleaksignore and "gitleaks:allow" or "interlock:allow" in a line hold. Links are not followed, git runs none of a
repository's own programs.

With --json, one line a finding: rule, file, line, fingerprint, match (redacted), and commit, author, date from history.

Exit code 0 when nothing was found, 1 with leaks, 2 when something was not scanned (it is named; everything else was).

Example:
  interlock scan secrets --history .
  interlock scan secrets --write-baseline known.json . && interlock scan secrets --baseline known.json .
  kubectl get secret -o yaml | interlock scan secrets -`
}

// leanGC keeps the memory of a scan near what it needs: most of that are the rules,
// which stay, and what is read is thrown away at once.
const leanGC = 40

// Run scans.
func (c *scanSecretsCmd) Run(e *env) error {
	target, o, err := c.question(e)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(leanGC)
	}
	report, err := scanForSecrets(e, o, target)
	if err != nil {
		return err
	}
	if c.Write != "" {
		return c.writeBaseline(e, o.Baseline, report)
	}
	return c.deliver(e, report)
}

// tellHidden says what the findings alone don't: in a list for a machine a leak that the
// scanner was told not to tell, or took for a sample, leaves no trace.
func (o scanOutput) tellHidden(e *env, reports []*scanning.Report) {
	if f := o.format(e); f != "json" && f != "junit" {
		return // the others have it
	}
	for _, r := range reports {
		if hidden := secretscan.Hidden(r); hidden != "" {
			_, _ = fmt.Fprintf(e.err, "not told: %s; more of it with --format report\n", onOneLine(hidden))
		}
	}
}

// question is what was asked: what is to be scanned and how.
func (c *scanSecretsCmd) question(e *env) (scanning.Target, secretscan.Options, error) {
	o := secretscan.Options{
		History: c.History, Commits: source.HistoryOptions{Branch: c.Branch, Since: c.Since, Dangling: c.Dangling}, Staged: c.Staged, Running: c.Running,
		Archives: c.Archives, Binary: c.Binary, NoDecode: !c.Decode, MaxSize: c.MaxSize << 20, Samples: c.Samples, Exclude: c.Exclude, Config: c.Config, Alone: c.Alone,
		Version: buildVersion(), Workers: c.Workers,
	}
	if err := c.check(); err != nil {
		return scanning.Target{}, o, err
	}
	if c.Staged {
		o.Hook = os.Environ()
	}
	if c.Baseline != "" {
		var err error
		if o.Baseline, err = secretscan.ReadBaseline(c.Baseline); err != nil {
			return scanning.Target{}, o, err
		}
	}
	if c.Online {
		o.Online = online.New(online.Options{Clock: core.SystemClock{}})
	}
	if c.Path == "-" {
		o.Stdin = e.in
	}
	target, err := c.target(e)
	return target, o, err
}

// check refuses what can't be meant.
func (c *scanSecretsCmd) check() error {
	const op = "scan secrets"
	switch {
	case !c.History && (c.Branch != "" || c.Since != "" || c.Dangling):
		return core.E(core.KindInvalid, op, "--branch, --since and --dangling are of the history").WithHint("add --history")
	case c.Path == "-" && (c.History || c.Staged || c.Running):
		return core.E(core.KindInvalid, op, "the standard input has no history").WithHint("name a folder")
	case c.MaxSize < 1 || c.MaxSize > 1<<20:
		return core.E(core.KindInvalid, op, "--max-size is from 1 to 1048576 MiB")
	case c.Alone && c.Config == "":
		return core.E(core.KindInvalid, op, "--only-config needs a configuration").WithHint("name it with --gitleaks-config")
	}
	if err := source.CheckSince(c.Since); err != nil {
		return err
	}
	return secretscan.CheckPatterns(c.Exclude)
}

// target is what is to be scanned, under a name that stays the same.
func (c *scanSecretsCmd) target(e *env) (scanning.Target, error) {
	switch {
	case c.Running:
		host, err := os.Hostname()
		return scanning.Target{Scope: scanning.Scope{Kind: scanning.ScopeHost, Name: cmp.Or(host, "this machine")}}, err
	case c.Path == "-":
		return scanning.Target{Scope: scanning.Scope{Kind: scanning.ScopeStream, Name: "stdin"}}, nil
	}
	dir, err := realPath(c.Path)
	if err != nil {
		return scanning.Target{}, err
	}
	t := scanning.Target{Scope: scanning.Scope{Kind: scanning.ScopeFolder, Name: cmp.Or(c.Name, nameOf(dir))}, Dir: dir}
	if !c.History && !c.Staged {
		return t, nil
	}
	t.Scope.Kind = scanning.ScopeGit
	top, ok, err := source.Repository(e.ctx, dir)
	if err != nil {
		return t, err
	}
	if !ok {
		return t, core.E(core.KindNotFound, "scan secrets", c.Path+" is in no git repository").WithHint("scan it without --history and --staged")
	}
	t.Dir, t.Scope.Name = top, cmp.Or(c.Name, nameOf(top))
	return t, nil
}

// realPath is where a path leads: what the user names may be a link, what is below it
// is not followed.
func realPath(path string) (string, error) {
	dir, err := filepath.Abs(path)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", core.E(core.KindNotFound, "scan", "there is no "+path)
	}
	return dir, nil
}

// writeBaseline makes what was found known. What was not scanned is told all the same.
func (c *scanSecretsCmd) writeBaseline(e *env, known *secretscan.Baseline, report *scanning.Report) error {
	if err := secretscan.WriteBaseline(c.Write, known, report); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(e.talk(), "%s written to %s: known from now on, and still leaked\n", count(len(report.Findings), "leak"), onOneLine(c.Write))
	report.Findings = nil
	tellGaps(e.err, []*scanning.Report{report})
	return scanOutcome([]*scanning.Report{report})
}

// buildVersion is the version that reports carry.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unreleased"
}

// scanForSecrets looks for secrets with a progress bar.
func scanForSecrets(e *env, o secretscan.Options, target scanning.Target) (*scanning.Report, error) {
	report := &scanning.Report{Started: time.Now().UTC(), Findings: []scanning.Finding{}}
	err := runScan(e, secretscan.New(o), target, report)
	report.Finished = time.Now().UTC()
	return report, err
}
