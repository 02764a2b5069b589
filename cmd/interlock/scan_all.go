package main

import (
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/secretscan"
	"github.com/interlock-security/interlock/secrets/detect/source"
)

type scanAllCmd struct {
	scanOutput
	scanAdvisories
	Path    string   `arg:"" optional:"" default:"." help:"A folder." type:"path" placeholder:"DIR"`
	Name    string   `help:"What the reports call it; without it, where the repository comes from, or the folder's name." placeholder:"NAME"`
	Exclude []string `help:"Leave out paths: testdata, third_party/**. Repeatable." sep:"none" placeholder:"PATTERN"`
}

// Help implements kong's long help.
func (scanAllCmd) Help() string {
	return `Everything that Interlock can inspect by itself in a folder: leaked secrets in its files and, if it is a git repository, in its history;
vulnerable dependencies. Each scanner writes a report of its own.

Exit code 0 when all are clean, 1 with findings, 2 when something was not scanned.

Example:
  interlock scan all .
  interlock scan all --format report . | interlock findings submit -`
}

// Run scans with each scanner in turn.
func (c *scanAllCmd) Run(e *env) error {
	secrets, err := c.secrets(e)
	if err != nil {
		return err
	}
	deps, err := c.deps(e)
	if err != nil {
		return err
	}
	return c.deliver(e, secrets, deps)
}

func (c *scanAllCmd) secrets(e *env) (*scanning.Report, error) {
	s, err := openScan(c.Path, c.Name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.close() }()
	o := secretscan.Options{Exclude: c.Exclude, Version: buildVersion(), MaxSize: 1 << 30}
	if top, ok, err := source.Repository(e.ctx, s.target.Dir); err == nil && ok && top == s.target.Dir {
		o.History, s.target.Scope.Kind = true, scanning.ScopeGit
	}
	return scanForSecrets(e, o, s.target)
}

func (c *scanAllCmd) deps(e *env) (*scanning.Report, error) {
	s, err := openScan(c.Path, c.Name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.close() }()
	report := s.report()
	return report, runScan(e, c.scanner(c.Exclude, false), s.target, report)
}
