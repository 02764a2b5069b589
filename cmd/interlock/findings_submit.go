package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/imports"
	"github.com/interlock-security/interlock/scanning/lifecycle"
	"github.com/interlock-security/interlock/scanning/sbom"
)

type findingsSubmitCmd struct {
	File    string `arg:"" help:"What a scanner wrote, or with --sbom what is installed; - for standard input."`
	Subject string `help:"Whose the findings are, such as device/press-7 or repo/shop; otherwise the scan's scope says it." placeholder:"KIND/NAME"`
	Scope   string `help:"What was scanned, where the file does not say it; the same name every time." placeholder:"NAME"`
	Format  string `help:"Which tool's format the file is in, where its content doesn't tell: gitleaks, trivy, sarif ..." enum:"sarif,trivy,grype,gitleaks,osv-scanner,npm-audit,govulncheck,gosec,cyclonedx,pip-audit,cargo-audit," default:"" placeholder:"FORMAT"`
	Root    string `help:"The folder that was scanned, as the tool saw it: absolute paths below it become relative." placeholder:"DIR"`
	SBOM    bool   `name:"sbom" help:"The file is an SBOM, CycloneDX or SPDX: it is kept, and the advisories are asked about it now and whenever they change."`
}

// Help implements kong's long help.
func (findingsSubmitCmd) Help() string {
	return `Takes what interlock scan --format report writes, SARIF of any tool, and the JSON of Trivy, Grype, gitleaks, OSV-Scanner, npm audit, pip-audit,
cargo audit, govulncheck and gosec. A report that was handed in before changes nothing. Exit code 1 when a report has new findings or such as came back, 2 when a scan was
incomplete: what it did not look at stays as it was.

Example:
  interlock scan all --format report . | interlock findings submit -
  interlock findings submit trivy.json --subject image/shop --scope registry.example/shop
  gosec -fmt sarif ./... | interlock findings submit - --subject repo/shop --scope shop --root "$PWD"
  interlock findings submit --sbom press-7.cdx.json --subject device/press-7`
}

// maxReportFile bounds what is read of a file of reports.
const maxReportFile = 128 << 20

// Run hands reports in.
func (c *findingsSubmitCmd) Run(e *env) error {
	body, err := readLimitedOrInput(e, c.File, maxReportFile)
	if err != nil {
		return err
	}
	if c.SBOM {
		return c.submitSBOM(e, body)
	}
	reports, err := c.reports(body)
	if err != nil {
		return err
	}
	var done api.Submitted
	if err := upload(e, "/v1/findings/reports", api.Submission{Subject: c.Subject, Reports: reports}, &done); err != nil {
		return err
	}
	if err := e.show(done, func(w io.Writer) { tellSubmitted(w, done.Reports...) }); err != nil {
		return err
	}
	return submittedOutcome(done.Reports...)
}

// reports reads our own reports or another tool's.
func (c *findingsSubmitCmd) reports(body []byte) ([]scanning.Report, error) {
	reports, err := c.read(body)
	if err != nil {
		return nil, inFile("findings submit", c.File, err)
	}
	when := c.written()
	for i := range reports {
		r := &reports[i]
		if c.Scope != "" {
			r.Scope.Name = c.Scope
		}
		if r.Scope.Name == "" {
			return nil, core.E(core.KindInvalid, "findings submit", "the file does not say what was scanned").WithHint("say it with --scope, the same every time")
		}
		if r.Started.IsZero() {
			r.Started = when
		}
		if r.Finished.Before(r.Started) {
			r.Finished = r.Started
		}
	}
	return reports, nil
}

// inFile says in which file something is wrong, without the names of functions.
func inFile(op, file string, err error) error {
	if file == "-" {
		file = "standard input"
	}
	what := err.Error()
	var e *core.Error
	if errors.As(err, &e) && e.Msg != "" {
		what = e.Msg
	}
	return core.E(core.KindInvalid, op, file+": "+what).WithHint(core.HintOf(err))
}

// ourReport is how a report of ours begins.
var ourReport = regexp.MustCompile(`^\s*\{\s*"tool"\s*:`)

// read tells our own reports by their first words from another tool's.
func (c *findingsSubmitCmd) read(body []byte) ([]scanning.Report, error) {
	if c.Format == "" && ourReport.Match(body) {
		return readReports(body)
	}
	reports, _, err := imports.ReadWith(bytes.NewReader(body), imports.Options{Format: imports.Format(c.Format), Root: c.Root, Scope: scanning.Scope{Name: c.Scope}})
	return reports, err
}

// written is when a report was made that does not say it: when its file was
// written, so that the same file is the same report.
func (c *findingsSubmitCmd) written() time.Time {
	if info, err := os.Stat(c.File); c.File != "-" && err == nil {
		return info.ModTime().UTC()
	}
	return time.Now().UTC()
}

// submitSBOM hands an inventory in.
func (c *findingsSubmitCmd) submitSBOM(e *env, body []byte) error {
	doc, err := sbom.DecodeBytes(body)
	if err != nil {
		return err
	}
	subject := c.Subject
	if subject == "" {
		if doc.Subject.Name == "" {
			return core.E(core.KindInvalid, "findings submit", "the SBOM does not say what it is of").WithHint("say it with --subject, such as device/press-7")
		}
		subject = "sbom/" + doc.Subject.Name
	}
	var taken api.InventoryTaken
	in := api.InventorySubmission{Subject: subject, Packages: doc.Packages, Created: doc.Created, Gaps: doc.Gaps}
	if err := upload(e, "/v1/findings/sboms", in, &taken); err != nil {
		return err
	}
	err = e.show(taken, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s: %s kept, as it is since %s\n", onOneLine(subject), count(taken.Inventory.Components, "package"), taken.Inventory.Since.Format(time.DateTime))
		if taken.Report == nil {
			_, _ = fmt.Fprintln(w, "the server has no advisories: nobody has looked at it")
			return
		}
		tellSubmitted(w, *taken.Report)
	})
	if err != nil {
		return err
	}
	if taken.Report == nil {
		return core.E(core.KindUnavailable, "findings submit", "the inventory was kept and not looked at").WithHint("give the server advisories: interlock scan db update")
	}
	return submittedOutcome(*taken.Report)
}

// readReports reads a row of reports.
func readReports(body []byte) (list []scanning.Report, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	for {
		var r scanning.Report
		switch err := d.Decode(&r); {
		case errors.Is(err, io.EOF) && len(list) > 0:
			return list, nil
		case err != nil:
			return nil, core.E(core.KindInvalid, "findings submit", fmt.Sprintf("report %d of the file: %s", len(list)+1, strings.TrimPrefix(err.Error(), "json: "))).
				WithHint("make it with: interlock scan all --format report PATH")
		}
		list = append(list, r)
	}
}

// upload sends a document that may be large, compressed.
func upload(e *env, path string, document, answer any) error {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(document); err != nil {
		return core.Wrap(core.KindInvalid, "findings", err)
	}
	if err := z.Close(); err != nil {
		return core.Wrap(core.KindInternal, "findings", err)
	}
	return e.client().Upload(e.ctx, path, "application/gzip", b.Bytes(), answer)
}

func tellSubmitted(w io.Writer, done ...lifecycle.Summary) {
	for _, s := range done {
		if s.Known {
			_, _ = fmt.Fprintf(w, "%s: report %s was handed in before, nothing changed\n", onOneLine(s.Subject), short(s.Report))
			continue
		}
		_, _ = fmt.Fprintf(w, "%s: %d new, %d came back, %d still there, %d verified, %d unchanged\n",
			onOneLine(s.Subject), len(s.New), len(s.Reopened), len(s.Refuted), len(s.Verified), s.Unchanged)
		for _, id := range s.New {
			_, _ = fmt.Fprintf(w, "  new %s\n", id)
		}
		if len(s.Gaps) > 0 {
			_, _ = fmt.Fprintf(w, "  the scan was incomplete: %s left out; nothing is verified there\n", count(len(s.Gaps), "place"))
		}
	}
}

func submittedOutcome(done ...lifecycle.Summary) error {
	found := false
	for _, s := range done {
		if s.Outcome == scanning.OutcomeIncomplete {
			return core.E(core.KindUnavailable, "findings submit", "a scan was incomplete; what it found has been taken in")
		}
		found = found || len(s.New)+len(s.Reopened)+len(s.Refuted) > 0
	}
	if found {
		return errFindings
	}
	return nil
}
