// Package dependencies is the scanner of other people's software: it takes an
// inventory of a tree, an image or an SBOM, asks the offline advisories which
// packages are vulnerable, says of Go packages whether the vulnerable part is
// imported, applies what VEX documents say, and orders the rest by what to fix
// first.
//
// It stands above inventory, advisory, reach, priority and vex, which know
// nothing of each other.
package dependencies

import (
	"cmp"
	"context"
	"maps"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
	"github.com/interlock-security/interlock/scanning/inventory"
	"github.com/interlock-security/interlock/scanning/priority"
	"github.com/interlock-security/interlock/scanning/reach"
	"github.com/interlock-security/interlock/scanning/vex"
)

// Name is the scanner's.
const Name = "interlock-deps"

// Scanner matches packages with advisories.
type Scanner struct {
	// Advisories is the database's folder.
	Advisories string
	// Path is what was asked to be scanned, in the words of who asked; a gap names
	// it in the command that closes it. "" is the folder where one is.
	Path string
	// MaxAge is how old advisories may be; 0 is the database's default.
	MaxAge  time.Duration
	Version string
	Clock   core.Clock
	// Inventory says what of a tree is read.
	Inventory inventory.Options
	// Sources say where the sources of Go modules are, to tell whether what is
	// vulnerable is imported.
	Sources reach.SourceOptions
	// Statements are what VEX documents say, Authors whose word counts.
	Statements []vex.Statement
	Authors    []vex.Author
}

// Describe implements [scanning.Scanner].
func (s *Scanner) Describe() scanning.Description {
	return scanning.Description{
		Tool: scanning.Tool{Name: Name, Version: s.Version}, Classes: []scanning.Class{scanning.ClassVulnerability},
		Scopes: []scanning.ScopeKind{scanning.ScopeFolder, scanning.ScopeGit, scanning.ScopeImage, scanning.ScopeHost, scanning.ScopeSBOM},
		Needs:  []string{"advisories"},
	}
}

// Scan implements [scanning.Scanner]. Where the target has no tree, the report's
// own packages (of an SBOM) are matched.
func (s *Scanner) Scan(ctx context.Context, target scanning.Target, report *scanning.Report) error {
	report.Tool, report.Scope, report.Started = s.Describe().Tool, target.Scope, s.Clock.Now()
	if target.FS != nil {
		if err := s.take(ctx, target, report); err != nil {
			return err
		}
	}
	if report.Scanned == nil {
		report.Scanned = map[string]int64{}
	}
	report.Scanned["packages"] = int64(len(report.Packages))
	err := s.match(ctx, target, report)
	report.Finished = s.Clock.Now()
	return err
}

func (s *Scanner) take(ctx context.Context, target scanning.Target, report *scanning.Report) error {
	options := s.Inventory
	if target.Progress != nil {
		options.Progress = func(files int64, at string) { target.Progress(files, 0, at) }
	}
	packages, gaps, err := inventory.FS(ctx, target.FS, options)
	if err != nil {
		return err
	}
	report.Packages, report.Gaps = append(report.Packages, packages...), append(report.Gaps, gaps...)
	report.Scope.Excluded = append(report.Scope.Excluded, options.Skip...)
	return nil
}

// match asks the advisories. A database that is missing or damaged is a gap: the
// inventory stands, and nothing is called clean.
func (s *Scanner) match(ctx context.Context, target scanning.Target, report *scanning.Report) error {
	if len(report.Packages) == 0 {
		return nil
	}
	db, err := advisory.Open(s.Advisories)
	if err != nil {
		why := err.Error()
		hint := core.HintOf(err)
		if core.KindOf(err) == core.KindNotFound {
			hint = advisory.Getting(cmp.Or(s.Path, "."))
		}
		if hint != "" {
			why += "; " + hint
		}
		report.Gaps = append(report.Gaps, scanning.Gap{What: "vulnerabilities of " + report.Scope.Name, Why: why, Reason: scanning.ReasonMissingTool})
		return nil
	}
	defer func() { _ = db.Close() }()
	report.Tool.Rules, report.Tool.Database = db.Content(), db.Built()
	findings, gaps := db.Match(report.Packages, advisory.MatchOptions{Now: s.Clock.Now(), MaxAge: s.MaxAge})
	report.Gaps = append(report.Gaps, gaps...)
	maps.Copy(report.Scanned, db.Lacks(s.Clock.Now(), s.MaxAge))
	if target.FS != nil {
		if err := s.reach(ctx, target.FS, findings, db); err != nil {
			return err
		}
		s.locate(ctx, target, findings)
	}
	if len(s.Statements) > 0 {
		findings = vex.Apply(findings, s.Statements, vex.Policy{Trusted: s.Authors, Now: s.Clock.Now()}).Findings
	}
	priority.Order(findings)
	report.Findings = append(report.Findings, findings...)
	return nil
}
