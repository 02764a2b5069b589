package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/dependencies"
	"github.com/interlock-security/interlock/scanning/vex"
)

type scanDepsCmd struct {
	scanOutput
	scanAdvisories
	scanStatements
	Path    string   `arg:"" optional:"" default:"." help:"A folder, or an SBOM." placeholder:"PATH"`
	Name    string   `help:"What the report calls it; without it, where the repository comes from, or the folder's name." placeholder:"NAME"`
	Host    bool     `help:"PATH is the root of a running machine: leave out /proc, /sys and the like."`
	Exclude []string `help:"Leave out paths: testdata, third_party/**. Repeatable." sep:"none" placeholder:"PATTERN"`
}

// Help implements kong's long help.
func (scanDepsCmd) Help() string {
	return `Lists the packages of a folder by its lock files and by what is installed in it, and says which have known vulnerabilities, what fixes
them, and what to do first. Nothing leaves this machine: advisories come from a local database ("interlock scan db").

Of Go modules it says whether the vulnerable package is imported at all. What is not imported, or what a statement of a trusted author
(--vex, --vex-author) answers, is shown and asks for nothing.

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
	scanner := c.scanner(c.Path, c.Exclude, c.Host)
	if err := c.statements(scanner); err != nil {
		return err
	}
	report := s.report()
	if err := runScan(e, scanner, s.target, report); err != nil {
		return err
	}
	return c.deliver(e, report)
}

// scanStatements are VEX documents, and whose word counts.
type scanStatements struct {
	VEX     []string `name:"vex" help:"What others say of vulnerabilities here: OpenVEX, CSAF, CycloneDX. Repeatable." sep:"none" type:"path" placeholder:"FILE"`
	Authors []string `name:"vex-author" help:"Whose statements count, as the documents write it. Repeatable." sep:"none" placeholder:"AUTHOR"`
}

// statements reads the VEX documents for a scanner.
func (c scanStatements) statements(s *dependencies.Scanner) error {
	const op = "scan"
	if len(c.VEX) > 0 && len(c.Authors) == 0 {
		return core.E(core.KindInvalid, op, "--vex without --vex-author: nobody's statements count").WithHint("name whom you trust with --vex-author")
	}
	for _, path := range c.VEX {
		if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // a pipe may never be written to
			return core.E(core.KindInvalid, op, path+" is not a file").WithHint("name a file with --vex")
		}
		f, err := os.Open(filepath.Clean(path))
		if err != nil {
			return core.Wrap(core.KindNotFound, op, err)
		}
		doc, err := vex.Decode(f)
		_ = f.Close()
		if err != nil {
			return &core.Error{Kind: core.KindInvalid, Op: op, Err: fmt.Errorf("%s: %w", path, err), Hint: core.HintOf(err)}
		}
		s.Statements = append(s.Statements, doc.From(path).Statements...)
	}
	for _, a := range c.Authors {
		s.Authors = append(s.Authors, vex.Author{Name: a})
	}
	return nil
}

// runScan scans with a progress bar.
func runScan(e *env, scanner scanning.Scanner, target scanning.Target, report *scanning.Report) error {
	bar := drawScan(e)
	target.Progress = bar.report
	err := scanner.Scan(e.ctx, target, report)
	bar.finish()
	return err
}
