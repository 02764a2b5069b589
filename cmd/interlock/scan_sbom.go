package main

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory"
	"github.com/interlock-security/interlock/scanning/sbom"
)

type scanSBOMCmd struct {
	Path    string   `arg:"" optional:"" default:"." help:"A folder, or an SBOM to be written in another format." placeholder:"PATH"`
	Format  string   `help:"What is written: ${enum}." enum:"cyclonedx,spdx" default:"cyclonedx"`
	Output  string   `short:"o" help:"Write to this file." type:"path" placeholder:"FILE"`
	Name    string   `help:"What the bill is of; without it, the folder's name." placeholder:"NAME"`
	Host    bool     `help:"PATH is the root of a running machine."`
	Exclude []string `help:"Leave out paths. Repeatable." sep:"none" placeholder:"PATTERN"`
}

// Help implements kong's long help.
func (scanSBOMCmd) Help() string {
	return `Writes a bill of materials: CycloneDX 1.6 or SPDX 2.3, as JSON. What could not be read makes the bill say of itself that it is
incomplete, and the exit code 2.

Send it to the server to be asked about later, when something becomes known about a package:
"interlock findings submit --sbom --subject device/press-7 bill.json".

Example:
  interlock scan sbom -o bill.json .
  interlock scan sbom --host --format spdx /
  interlock scan sbom --format spdx bill.json`
}

// writeBill writes a bill to a file, as CycloneDX.
func writeBill(path string, bill *sbom.Document) error {
	var out bytes.Buffer
	if err := sbom.EncodeCycloneDX(&out, bill); err != nil {
		return err
	}
	return atomicfile.WriteFile(path, out.Bytes(), 0o600)
}

// Run writes the bill.
func (c *scanSBOMCmd) Run(e *env) error {
	bill, err := c.bill(e)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := c.encode(&out, bill); err != nil {
		return err
	}
	if c.Output != "" {
		err = atomicfile.WriteFile(c.Output, out.Bytes(), 0o600)
	} else {
		_, err = e.out.Write(out.Bytes())
	}
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(e.err, "%s of %s\n", count(len(bill.Packages), "package"), onOneLine(bill.Subject.Name))
	reports := []*scanning.Report{{Gaps: bill.Gaps}}
	tellGaps(e.err, reports)
	return scanOutcome(reports)
}

func (c *scanSBOMCmd) encode(w io.Writer, bill *sbom.Document) error {
	if c.Format == "spdx" {
		return sbom.EncodeSPDX(w, bill)
	}
	return sbom.EncodeCycloneDX(w, bill)
}

func (c *scanSBOMCmd) bill(e *env) (*sbom.Document, error) {
	s, err := openScan(c.Path, c.Name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.close() }()
	if s.bill != nil {
		return s.bill, nil
	}
	bar := drawScan(e)
	defer bar.finish()
	packages, gaps, err := inventory.FS(e.ctx, s.target.FS, inventory.Options{
		Skip: c.Exclude, Host: c.Host, Progress: func(files int64, at string) { bar.report(files, 0, at) },
	})
	return &sbom.Document{
		Subject: sbom.Subject{Kind: s.target.Scope.Kind, Name: s.target.Scope.Name}, Created: time.Now(), Packages: packages, Gaps: gaps,
		Tools: []sbom.Tool{{Name: "interlock", Version: buildVersion()}},
	}, err
}
