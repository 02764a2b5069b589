package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/junit"
	"github.com/interlock-security/interlock/scanning/sarif"
	"github.com/interlock-security/interlock/scanning/vex"
)

// scanCmd is the safety inspection: it works on files and needs no server.
type scanCmd struct {
	Secrets    scanSecretsCmd    `cmd:"" help:"Leaked passwords, keys and tokens: in files, history, archives, streams, running machines."`
	Deps       scanDepsCmd       `cmd:"" help:"Packages with known vulnerabilities: in a folder, on a host, of an SBOM."`
	Image      scanImageCmd      `cmd:"" help:"A container image from its tarball: packages, and secrets in every layer."`
	SBOM       scanSBOMCmd       `cmd:"" name:"sbom" help:"Write a bill of materials: CycloneDX or SPDX."`
	All        scanAllCmd        `cmd:"" help:"Secrets and dependencies of a folder in one go."`
	Provenance scanProvenanceCmd `cmd:"" help:"Whether an artifact is what its maker signed and built: minisign, Sigstore, SLSA."`
	DB         scanDBCmd         `cmd:"" name:"db" help:"The advisory database: its age, update, import without network."`
	Hook       scanHookCmd       `cmd:"" help:"Look for secrets before each commit."`
}

// scanOutput is what the scanning verbs have in common: where results go and in
// which form.
type scanOutput struct {
	Format string        `help:"How results are written: ${enum}. --json is json." enum:"text,json,report,sarif,junit" default:"text"`
	Output string        `short:"o" help:"Write results to this file; what is wrong is still told on the terminal." type:"path" placeholder:"FILE"`
	Least  core.Severity `name:"min-severity" help:"Only findings of this severity and above." default:"info" placeholder:"SEVERITY"`
}

// scanFormats are the ways in which reports are written. json is one line a
// finding, report is what "findings submit" reads.
var scanFormats = map[string]func(w io.Writer, reports []*scanning.Report) error{
	"json":   scanLines,
	"report": scanReports,
	"sarif": func(w io.Writer, reports []*scanning.Report) error {
		return sarif.Write(harmlessJSON(w), flat(reports))
	},
	"junit": scanTests,
}

// scanTests hands the document on in one piece: an encoder of XML may break it in
// the middle of a character.
func scanTests(w io.Writer, reports []*scanning.Report) error {
	var b bytes.Buffer
	if err := junit.Write(&b, flat(reports)); err != nil {
		return err
	}
	_, err := harmlessXML(w).Write(b.Bytes())
	return err
}

func flat(reports []*scanning.Report) []scanning.Report {
	out := make([]scanning.Report, len(reports))
	for i, r := range reports {
		out[i] = *r
	}
	return out
}

// deliver writes the reports and says how the scan ended: clean, with findings,
// or incomplete, which wins over both.
func (o scanOutput) deliver(e *env, reports ...*scanning.Report) error {
	if f := o.format(e); o.Least.Rank() > 0 && (f == "report" || f == "sarif") {
		return core.E(core.KindInvalid, "scan", "--min-severity with --format "+f+": whoever reads it would take what is left out for fixed").WithHint("filter where it is read")
	}
	for _, r := range reports {
		r.Findings = slices.DeleteFunc(r.Findings, func(f scanning.Finding) bool { return f.Severity.Rank() < o.Least.Rank() })
	}
	if err := o.write(e, reports); err != nil {
		return err
	}
	for _, r := range reports {
		tellLacks(e.err, r.Scanned)
	}
	o.tellHidden(e, reports)
	tellGaps(e.err, reports)
	return scanOutcome(reports)
}

func (o scanOutput) write(e *env, reports []*scanning.Report) error {
	write := scanFormats[o.format(e)]
	if write == nil {
		write = scanText
	}
	if o.Output == "" {
		return write(e.out, reports)
	}
	var b bytes.Buffer
	if err := write(&b, reports); err != nil {
		return err
	}
	return atomicfile.WriteFile(o.Output, b.Bytes(), 0o600)
}

func (o scanOutput) format(e *env) string {
	if e.global.JSON && o.Format == "text" {
		return "json"
	}
	return o.Format
}

// scanOutcome is the exit code of what reports amount to.
func scanOutcome(reports []*scanning.Report) error {
	gaps, findings := 0, 0
	for _, r := range reports {
		gaps += len(r.Gaps)
		for i := range r.Findings {
			if wanting(&r.Findings[i]) {
				findings++
			}
		}
	}
	switch {
	case gaps > 0:
		return core.E(core.KindUnavailable, "scan", "incomplete: "+count(gaps, "place")+" could not be scanned, see above; everything else was")
	case findings > 0:
		return errFindings
	}
	return nil
}

// wanting reports whether a finding wants something of somebody. One that a
// trusted statement answers, or whose vulnerable part is not imported, is shown
// and wants nothing.
func wanting(f *scanning.Finding) bool {
	return f.Reach != scanning.ReachNotImported && !vex.Silenced(f)
}

// shownGaps is how many gaps are told one by one.
const shownGaps = 25

func tellGaps(w io.Writer, reports []*scanning.Report) {
	shown := 0
	for _, r := range reports {
		for _, g := range r.Gaps {
			if shown++; shown > shownGaps {
				continue
			}
			_, _ = fmt.Fprintf(w, "not scanned: %s: %s\n", onOneLine(g.What), onOneLine(g.Why))
		}
	}
	if shown > shownGaps {
		_, _ = fmt.Fprintf(w, "not scanned: %d more places; all of them with --format report\n", shown-shownGaps)
	}
}

// scanLine is one finding for a machine.
type scanLine struct {
	Rule        string            `json:"rule"`
	Class       scanning.Class    `json:"class"`
	Severity    core.Severity     `json:"severity"`
	Title       string            `json:"title"`
	File        string            `json:"file"`
	Line        int               `json:"line"`
	Column      int               `json:"column,omitempty"`
	Fingerprint string            `json:"fingerprint"`
	Match       string            `json:"match,omitempty"` // redacted
	Inner       []string          `json:"inner,omitempty"`
	Layer       string            `json:"layer,omitempty"`
	Commit      string            `json:"commit,omitempty"`
	Author      string            `json:"author,omitempty"`
	Date        string            `json:"date,omitempty"`
	Package     *scanning.Package `json:"package,omitempty"`
	Aliases     []string          `json:"aliases,omitempty"`
	Fixed       []string          `json:"fixed,omitempty"`
	Advice      string            `json:"advice,omitempty"`
	Reach       scanning.Reach    `json:"reach,omitempty"`
	Risk        scanning.Risk     `json:"risk,omitzero"`
}

func scanLines(w io.Writer, reports []*scanning.Report) error {
	enc := json.NewEncoder(harmlessJSON(w))
	enc.SetEscapeHTML(false)
	for _, r := range reports {
		for i := range r.Findings {
			if err := enc.Encode(scanLineOf(&r.Findings[i])); err != nil {
				return err
			}
		}
	}
	return nil
}

func scanLineOf(f *scanning.Finding) scanLine {
	l := scanLine{
		Rule: f.Rule, Class: f.Class, Severity: f.Severity, Title: f.Title, File: f.Location.File, Line: f.Location.Line,
		Column: f.Location.Column, Fingerprint: f.Fingerprint, Match: f.Redacted, Inner: f.Location.Inner, Layer: f.Location.Layer,
		Commit: f.Location.Commit, Author: f.Location.Author, Package: f.Package, Aliases: f.Aliases, Fixed: f.Fixed,
		Advice: f.Advice, Reach: f.Reach, Risk: f.Risk,
	}
	if !f.Location.Date.IsZero() {
		l.Date = f.Location.Date.UTC().Format("2006-01-02T15:04:05Z")
	}
	return l
}

// scanReports writes whole reports, gaps and packages too: what a server takes.
func scanReports(w io.Writer, reports []*scanning.Report) error {
	enc := json.NewEncoder(harmlessJSON(w))
	enc.SetEscapeHTML(false)
	for _, r := range reports {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return nil
}
