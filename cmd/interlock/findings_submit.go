package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

type findingsSubmitCmd struct {
	File    string `arg:"" help:"Reports as interlock scan --format report writes them; - for standard input."`
	Subject string `help:"Whose the findings are, such as device/press-7 or repo/shop; otherwise the scan's scope says it." placeholder:"KIND/NAME"`
}

// Help implements kong's long help.
func (findingsSubmitCmd) Help() string {
	return `A report that was handed in before changes nothing. Exit code 1 when a report has new findings or such as came back, 2 when a scan was
incomplete: what it did not look at stays as it was.

Example:
  interlock scan all --format report . | interlock findings submit -
  interlock findings submit report.json --subject device/press-7`
}

// maxReportFile bounds what is read of a file of reports.
const maxReportFile = 128 << 20

// Run hands reports in.
func (c *findingsSubmitCmd) Run(e *env) error {
	body, err := readBounded(e, c.File, maxReportFile)
	if err != nil {
		return err
	}
	reports, err := readReports(body)
	if err != nil {
		return err
	}
	var done api.Submitted
	if err := upload(e, "/v1/findings/reports", api.Submission{Subject: c.Subject, Reports: reports}, &done); err != nil {
		return err
	}
	if err := e.show(done, func(w io.Writer) { tellSubmitted(w, done) }); err != nil {
		return err
	}
	return submittedOutcome(done)
}

// readBounded reads a file, or standard input for "-".
func readBounded(e *env, path string, most int64) ([]byte, error) {
	in := e.in
	if path != "-" {
		f, err := os.Open(path) //nolint:gosec // the user names it
		if err != nil {
			return nil, core.Wrap(core.KindNotFound, "findings", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(body)) > most {
		err = core.E(core.KindTooLarge, "findings", fmt.Sprintf("%s has more than %d MiB", path, most>>20))
	}
	return body, err
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
			return nil, core.E(core.KindInvalid, "findings submit", fmt.Sprintf("report %d is not to be read: %v", len(list)+1, err)).
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

func tellSubmitted(w io.Writer, done api.Submitted) {
	for _, s := range done.Reports {
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

func submittedOutcome(done api.Submitted) error {
	found := false
	for _, s := range done.Reports {
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
