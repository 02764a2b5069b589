package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning/advisory"
)

type scanDBCmd struct {
	Status scanDBStatusCmd `cmd:"" help:"What the advisory database holds and how old it is."`
	Update scanDBUpdateCmd `cmd:"" help:"Fetch what has changed, from OSV, CISA and FIRST."`
	Import scanDBImportCmd `cmd:"" help:"Add advisories from files: where there is no network."`
	Export scanDBExportCmd `cmd:"" help:"Write the database into one file, for a machine without network."`
}

type scanDBStatusCmd struct{ scanAdvisories }

// Help implements kong's long help.
func (scanDBStatusCmd) Help() string {
	return `Exit code 0 when the advisories are young enough, 2 when they are not. Lists of what is exploited (KEV, EPSS) that are old or were never
imported are a warning: they decide what to fix first, not what is found.

Example:
  interlock scan db status`
}

// Run tells of the database.
func (c *scanDBStatusCmd) Run(e *env) error {
	db, err := advisory.Open(c.DB)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	status := db.Status()
	if err := e.show(status, func(w io.Writer) { tellDB(w, &status) }); err != nil {
		return err
	}
	tellLacks(e.err, db.Lacks(time.Now(), c.MaxAge))
	if gaps := db.Check(nil, time.Now(), c.MaxAge); len(gaps) > 0 {
		for _, g := range gaps {
			_, _ = fmt.Fprintf(e.err, "%s %s\n", onOneLine(g.What), onOneLine(g.Why))
		}
		return core.E(core.KindUnavailable, "scan db", "scans with this database are incomplete, see above")
	}
	return nil
}

// tellLacks says what priorities are not made of.
func tellLacks(w io.Writer, lacks map[string]int64) {
	if warning := advisory.Warning(lacks); warning != "" {
		_, _ = fmt.Fprintf(w, "warning: %s\n", warning)
	}
}

func tellDB(w io.Writer, s *advisory.Status) {
	_, _ = fmt.Fprintf(w, "%s advisories, %d withdrawn, %s, built %s\n", grouped(s.Advisories), s.Withdrawn, size(s.Bytes), ago(s.Built, time.Now()))
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(s.Ecosystems)) {
		ecology := s.Ecosystems[name]
		rows = append(rows, []string{name, grouped(ecology.Advisories), ecology.AsOf.Format(time.DateOnly)})
	}
	for name, feed := range map[string]*advisory.FeedState{"KEV": s.KEV, "EPSS": s.EPSS} {
		if feed == nil {
			rows = append(rows, []string{name, "never imported", ""})
		} else {
			rows = append(rows, []string{name, grouped(feed.Entries), feed.AsOf.Format(time.DateOnly)})
		}
	}
	slices.SortStableFunc(rows, func(a, b []string) int { return slices.Compare(a[:1], b[:1]) })
	table(w, "WHAT ENTRIES AS-OF", rows)
}

type scanDBImportCmd struct {
	scanAdvisories
	Files []string  `arg:"" name:"file" help:"OSV records, all.zip of an ecosystem, folders of them, KEV, EPSS, or an exported database (.ilkdb)." type:"path" placeholder:"FILE|DIR"`
	AsOf  time.Time `help:"Of which moment the files are; without it, the data says." format:"2006-01-02" placeholder:"DAY"`
}

// Help implements kong's long help.
func (scanDBImportCmd) Help() string {
	return `Advisories that can't be read are named; the others are in, and scans with the database are incomplete until those can be read too.

Example:
  interlock scan db import npm-all.zip known_exploited_vulnerabilities.json
  interlock scan db import advisories.ilkdb`
}

// Run imports.
func (c *scanDBImportCmd) Run(e *env) error {
	bar := drawScan(e)
	s, err := advisory.Import(e.ctx, c.DB, advisory.Options{AsOf: c.AsOf, Progress: barOf(bar)}, c.Files...)
	bar.finish()
	return tellImport(e, &s, err)
}

func barOf(b *scanBar) func(int, string) {
	return func(n int, source string) { b.report(int64(n), 0, "advisories, "+source) }
}

// tellImport says what an import did. What could not be read makes it
// incomplete.
func tellImport(e *env, s *advisory.Summary, err error) error {
	if err != nil {
		return err
	}
	if err := e.show(s, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s advisories read: %d added, %d updated, %d unchanged, %d older than what is here\n", grouped(s.Read), s.Added, s.Updated, s.Unchanged, s.Older)
	}); err != nil {
		return err
	}
	for _, list := range [][]advisory.Problem{s.Failed, s.Problems, s.Warnings} {
		for i, p := range list[:min(len(list), shownGaps)] {
			_, _ = fmt.Fprintf(e.err, "%d: %s\n", i+1, onOneLine(p.String()))
		}
	}
	if s.Incomplete() {
		return core.E(core.KindUnavailable, "scan db", count(len(s.Problems)+s.Unnamed+len(s.Failed), "source")+" could not be read, see above; everything else is in")
	}
	return nil
}

type scanDBExportCmd struct {
	scanAdvisories
	File string `arg:"" help:"What to write; its name ends in .ilkdb." type:"path" placeholder:"FILE"`
}

// Help implements kong's long help.
func (scanDBExportCmd) Help() string {
	return `Example:
  interlock scan db export /media/usb/advisories.ilkdb`
}

// Run exports.
func (c *scanDBExportCmd) Run(*env) error { return advisory.Export(c.DB, c.File) }
