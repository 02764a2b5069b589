package scanning_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/schematest"
	"github.com/interlock-security/interlock/scanning/inventory"
	"github.com/interlock-security/interlock/scanning/sarif"
	"github.com/interlock-security/interlock/scanning/sbom"
	"github.com/interlock-security/interlock/scanning/secretscan"
)

const (
	sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	spdxSchema  = "http://spdx.org/rdf/terms/2.3"
)

func repository(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestThisRepositoryIsClean scans the repository in which the scanner is written,
// full of words about secrets: nothing in it is one, and nothing is left out.
func TestThisRepositoryIsClean(t *testing.T) {
	target := scanning.Target{Scope: scanning.Scope{Kind: scanning.ScopeFolder, Name: "interlock"}, Dir: repository(t)}
	report := &scanning.Report{}
	if err := secretscan.New(secretscan.Options{MaxSize: 1 << 30}).Scan(t.Context(), target, report); err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Findings {
		t.Errorf("%s:%d: %s: %s", f.Location.File, f.Location.Line, f.Rule, f.Location.Context)
	}
	for _, g := range report.Gaps {
		t.Errorf("not scanned: %+v", g)
	}
	var log bytes.Buffer
	if err := sarif.Write(&log, []scanning.Report{*report}); err != nil {
		t.Fatal(err)
	}
	schematest.Check(t, schematest.Compile(t, sarifSchema, map[string]string{sarifSchema: "sarif/testdata/sarif-schema-2.1.0.json.gz"}), log.Bytes())
}

// TestThisRepositorysBill lists what Interlock is made of, whole and valid.
func TestThisRepositorysBill(t *testing.T) {
	root, err := os.OpenRoot(repository(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	packages, gaps, err := inventory.FS(t.Context(), root.FS(), inventory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range gaps {
		t.Errorf("not read: %+v", g)
	}
	if len(packages) < 100 {
		t.Errorf("only %d packages", len(packages))
	}
	doc := &sbom.Document{Subject: sbom.Subject{Kind: scanning.ScopeFolder, Name: "interlock"}, Created: time.Unix(0, 0), Packages: packages, Gaps: gaps}
	var cyclone, spdx bytes.Buffer
	if err := sbom.EncodeCycloneDX(&cyclone, doc); err != nil {
		t.Fatal(err)
	}
	if err := sbom.EncodeSPDX(&spdx, doc); err != nil {
		t.Fatal(err)
	}
	schematest.Check(t, schematest.CycloneDX(t), cyclone.Bytes())
	schematest.Check(t, schematest.Compile(t, spdxSchema, map[string]string{spdxSchema: "sbom/testdata/spdx-2.3.schema.json"}), spdx.Bytes())
}
