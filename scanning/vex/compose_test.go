package vex

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/schematest"
)

// disputed are judgements of one subject as they come from findings: two files
// with one package, of which one is judged and one is not.
func disputed() *Document {
	return &Document{ID: "https://acme.example/vex/9", Author: "Acme", Version: 1, Issued: day(4), Statements: []Statement{
		statement(func(s *Statement) { s.Status, s.Justification, s.Action = Affected, "", "Update to 2" }),
		statement(func(s *Statement) { s.Aliases, s.At = []string{"GHSA-x"}, day(3) }),
		statement(func(s *Statement) { s.Products = []Product{{PURL: "pkg:npm/b@1"}, {PURL: "pkg:npm/c@1"}} }),
		statement(func(s *Statement) {
			s.Products, s.Justification, s.Impact, s.At = []Product{{PURL: "pkg:npm/c@1"}}, "", "newer words", day(3)
		}),
		statement(func(s *Statement) { s.Vulnerability, s.Status = "CVE-2023-9", Fixed }),
		statement(func(s *Statement) {
			s.Products = []Product{{PURL: "pkg:oci/shop", Parts: []string{"pkg:npm/d@1", "pkg:npm/e@1"}}}
		}),
	}}
}

func TestSettle(t *testing.T) {
	d := disputed()
	d.Settle()
	var got []string
	for _, s := range d.Statements {
		got = append(got, strings.Join(append([]string{s.Vulnerability, s.Products[0].PURL, string(s.Status), s.Impact}, append(s.Products[0].Parts, s.Aliases...)...), " "))
	}
	want := []string{
		"CVE-2023-9 pkg:npm/a@1.0.0 fixed ", "CVE-2024-1 pkg:npm/a@1.0.0 affected  GHSA-x", "CVE-2024-1 pkg:npm/b@1 not_affected ",
		"CVE-2024-1 pkg:npm/c@1 not_affected newer words", "CVE-2024-1 pkg:oci/shop not_affected  pkg:npm/d@1", "CVE-2024-1 pkg:oci/shop not_affected  pkg:npm/e@1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// What was settled can be written in every format, valid, and comes back as it
// was.
func TestADocumentOfOursInEveryFormat(t *testing.T) {
	d := disputed()
	var b bytes.Buffer
	if err := EncodeCSAF(&b, d.Advisory("What concerns shop", advisory().Publisher, TLPWhite), day(5)); err == nil {
		t.Error("one product is affected and is not, in one document")
	}
	d.Settle()
	found := []scanning.Finding{finding("CVE-2024-1", "pkg:npm/b@1"), finding("CVE-2024-1", "pkg:npm/a@1.0.0"), finding("CVE-2023-9", "pkg:npm/a@1.0.0")}
	for format, write := range map[string]func() error{
		"openvex": func() error { return EncodeOpenVEX(&b, d) },
		"csaf": func() error {
			return EncodeCSAF(&b, d.Advisory("What concerns shop", advisory().Publisher, TLPWhite), day(5))
		},
		"cyclonedx": func() error { return EncodeCycloneDX(&b, d) },
	} {
		b.Reset()
		if err := write(); err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		switch format {
		case "csaf":
			csafSchema(t)(b.Bytes())
			if wrong := mandatory(b.Bytes()); len(wrong) > 0 {
				t.Errorf("%s", strings.Join(wrong, "\n"))
			}
		case "cyclonedx":
			schematest.Check(t, schematest.CycloneDX(t), b.Bytes())
		}
		back, err := DecodeBytes(b.Bytes())
		if err != nil || len(back.Gaps) > 0 {
			t.Errorf("%s: %v %+v", format, err, back)
			continue
		}
		out := Apply(found, back.Statements, Policy{Trusted: []Author{{Name: "Acme"}}, Now: day(6)})
		for i, want := range []Status{NotAffected, Affected, Fixed} {
			if v := out.Findings[i].VEX; v == nil || Status(v.Status) != want {
				t.Errorf("%s: %s is %+v, want %s", format, found[i].Package.Name, v, want)
			}
		}
	}
}

// CycloneDX has no product around a part: one that is affected speaks for all, or
// a reader takes the answer of the other for its own.
func TestCycloneDXOfProductsThatDiffer(t *testing.T) {
	of := func(name, product string, status Status, aliases ...string) Statement {
		return statement(func(s *Statement) {
			s.Vulnerability, s.Aliases, s.Status = name, aliases, status
			s.Products = []Product{{PURL: "pkg:oci/" + product, Parts: []string{"pkg:maven/a/log4j@2"}}}
		})
	}
	for name, c := range map[string]struct {
		statements []Statement
		want       []Status
	}{
		"one affected":     {[]Statement{of("CVE-1", "safe", NotAffected), of("CVE-1", "danger", Affected)}, []Status{Affected}},
		"one not judged":   {[]Statement{of("CVE-1", "open", UnderInvestigation), of("CVE-1", "safe", Fixed)}, []Status{UnderInvestigation}},
		"by another name":  {[]Statement{of("CVE-1", "safe", NotAffected, "GHSA-1"), of("GHSA-1", "danger", Affected)}, []Status{Affected}},
		"all agree":        {[]Statement{of("CVE-1", "a", NotAffected), of("CVE-1", "b", NotAffected)}, []Status{NotAffected}},
		"another weakness": {[]Statement{of("CVE-1", "a", NotAffected), of("CVE-2", "b", Affected)}, []Status{NotAffected, Affected}},
	} {
		d, b := &Document{Author: "Acme", Issued: day(1), Statements: c.statements}, bytes.Buffer{}
		d.Settle()
		if err := EncodeCycloneDX(&b, d); err != nil {
			t.Fatal(err)
		}
		schematest.Check(t, schematest.CycloneDX(t), b.Bytes())
		back, err := DecodeBytes(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		var got []Status
		for _, s := range back.Statements {
			if len(s.Products) != 1 {
				t.Errorf("%s: %+v", name, s)
			}
			got = append(got, s.Status)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestCycloneDXRefusals(t *testing.T) {
	for name, s := range map[string]Statement{
		"no reason":      statement(func(s *Statement) { s.Justification = "" }),
		"no product":     statement(func(s *Statement) { s.Products = nil }),
		"unheard status": statement(func(s *Statement) { s.Status = "harmless" }),
	} {
		if err := EncodeCycloneDX(&bytes.Buffer{}, &Document{Statements: []Statement{s}}); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	if err := EncodeCycloneDX(&bytes.Buffer{}, &Document{}); err == nil {
		t.Error("a document that says nothing was written")
	}
}
