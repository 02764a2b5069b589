package main

import (
	"github.com/interlock-security/interlock/scanning"
)

type scanDepsCmd struct {
	scanOutput
	scanAdvisories
	Path    string   `arg:"" optional:"" default:"." help:"A folder, or an SBOM." placeholder:"PATH"`
	Name    string   `help:"What the report calls it; without it, the folder's name." placeholder:"NAME"`
	Host    bool     `help:"PATH is the root of a running machine: leave out /proc, /sys and the like."`
	Exclude []string `help:"Leave out paths: testdata, third_party/**. Repeatable." sep:"none" placeholder:"PATTERN"`
}

// Help implements kong's long help.
func (scanDepsCmd) Help() string {
	return `Lists the packages of a folder by its lock files and by what is installed in it, and says which have known vulnerabilities, what fixes
them, and what to do first. Nothing leaves this machine: advisories come from a local database ("interlock scan db").

Of Go modules it says whether the vulnerable package is imported at all.

Exit code 0 when nothing was found, 1 with findings, 2 when something was not scanned: a malformed lock file, an ecosystem without
advisories, advisories that are too old. It is named; everything else was scanned.

Example:
  interlock scan deps .
  interlock scan deps --format sarif -o deps.sarif .
  interlock scan deps --host /`
}

// Run scans.
func (c *scanDepsCmd) Run(e *env) error {
	s, err := openScan(c.Path, c.Name)
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }()
	if c.Host {
		s.target.Scope.Kind = scanning.ScopeHost
	}
	scanner := c.scanner(c.Exclude, c.Host)
	report := s.report()
	if err := runScan(e, scanner, s.target, report); err != nil {
		return err
	}
	return c.deliver(e, report)
}

// runScan scans with a progress bar.
func runScan(e *env, scanner scanning.Scanner, target scanning.Target, report *scanning.Report) error {
	bar := drawScan(e)
	target.Progress = bar.report
	err := scanner.Scan(e.ctx, target, report)
	bar.finish()
	return err
}
