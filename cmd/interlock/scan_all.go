package main

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/secretscan"
	"github.com/interlock-security/interlock/secrets/detect/source"
)

type scanAllCmd struct {
	scanOutput
	scanAdvisories
	scanStatements
	Path    string   `arg:"" optional:"" default:"." help:"A folder." placeholder:"DIR"`
	Name    string   `help:"What the reports call it; without it, where the repository comes from, or the folder's name." placeholder:"NAME"`
	Exclude []string `help:"Leave out paths: testdata, third_party/**. Repeatable." sep:"none" placeholder:"PATTERN"`
}

// Help implements kong's long help.
func (scanAllCmd) Help() string {
	return `Everything that Interlock can inspect by itself in a folder: leaked secrets in its files and, if it is a git repository, in its history;
vulnerable dependencies. The list begins with what to fix first; its end says what was scanned, what was not, and where to begin. With
--format, each scanner writes a report of its own.

Exit code 0 when all are clean, 1 with findings, 2 when something was not scanned.

Example:
  interlock scan all .
  interlock scan all --exclude testdata --format sarif -o interlock.sarif .
  interlock scan all --format report . | interlock findings submit -`
}

// Run scans with each scanner in turn, of a folder that is opened once, under one
// bar.
func (c *scanAllCmd) Run(e *env) error {
	s, err := openScan(c.Path, c.Name)
	if err != nil || s.target.FS == nil {
		return c.noFolder(err)
	}
	defer func() { _ = s.close() }()
	scanner := c.scanner(c.Path, c.Exclude, false)
	if err := c.statements(scanner); err != nil {
		return err
	}
	bar := drawScan(e)
	defer bar.finish()
	secrets, err := c.secrets(e, s.target, bar)
	if err != nil {
		return err
	}
	deps := s.report()
	target := s.target
	target.Progress = bar.step("dependencies, 2 of 2: ")
	if err := scanner.Scan(e.ctx, target, deps); err != nil {
		return err
	}
	bar.finish()
	return c.deliver(e, secrets, deps)
}

// noFolder says what to do with something that is none.
func (c *scanAllCmd) noFolder(err error) error {
	if err != nil && core.KindOf(err) != core.KindInvalid {
		return err
	}
	return core.E(core.KindInvalid, "scan all", c.Path+" is no folder").
		WithHint("a file: interlock scan secrets; an SBOM: interlock scan deps; an image's tarball: interlock scan image")
}

// secrets looks at the files, and at the history of a repository. A history that
// git can't read, or that no git is there to read, was not looked at.
func (c *scanAllCmd) secrets(e *env, target scanning.Target, bar *scanBar) (*scanning.Report, error) {
	o := secretscan.Options{Exclude: c.Exclude, Version: buildVersion(), MaxSize: 1 << 30}
	var gaps []scanning.Gap
	top, ok, err := source.Repository(e.ctx, target.Dir)
	switch {
	case err == nil && ok && top == target.Dir:
		o.History, target.Scope.Kind = true, scanning.ScopeGit
	case !ok && isRepository(target.Dir):
		gaps = []scanning.Gap{historyGap(target.Scope.Name, err)}
	}
	target.Progress = bar.step("secrets, 1 of 2: ")
	report := &scanning.Report{Started: time.Now().UTC(), Findings: []scanning.Finding{}}
	err = secretscan.New(o).Scan(e.ctx, target, report)
	report.Finished, report.Gaps = time.Now().UTC(), append(report.Gaps, gaps...)
	return report, err
}

// isRepository reports whether a folder looks like one without asking git.
func isRepository(dir string) bool {
	there := func(name string) bool {
		_, err := os.Lstat(filepath.Join(dir, name))
		return err == nil
	}
	return there(".git") || there("HEAD") && there("objects") && there("refs")
}

func historyGap(name string, err error) scanning.Gap {
	g := scanning.Gap{What: "history of " + name, Why: "git does not take the folder for a repository; see what git -C DIR status says", Reason: scanning.ReasonUnreadable}
	var e *core.Error
	if errors.As(err, &e) {
		g.Why = e.Msg + "; " + e.Hint
	}
	if core.KindOf(err) == core.KindUnavailable {
		g.Reason = scanning.ReasonMissingTool
	}
	return g
}
