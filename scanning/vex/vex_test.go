package vex

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	govex "github.com/openvex/go-vex/pkg/vex"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/schematest"
	"github.com/interlock-security/interlock/scanning/sbom/purl"
)

func day(d int) time.Time { return time.Date(2026, 3, d, 10, 0, 0, 0, time.UTC) }

func finding(rule, url string, aliases ...string) scanning.Finding {
	p, err := purl.Package(url)
	if err != nil {
		panic(err)
	}
	f := scanning.Finding{Rule: rule, Class: scanning.ClassVulnerability, Package: &p, Aliases: aliases}
	f.Fingerprint = scanning.Fingerprint(&f)
	return f
}

func statement(change ...func(*Statement)) Statement {
	s := Statement{
		Vulnerability: "CVE-2024-1", Status: NotAffected, Justification: "vulnerable_code_not_present", Author: "Acme", At: day(1),
		Products: []Product{{PURL: "pkg:npm/a@1.0.0"}},
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

var policy = Policy{Trusted: []Author{{Name: "Acme"}, {Name: "Other", Source: "other.json", MaxAge: 48 * time.Hour}}, Subjects: []string{"pkg:oci/shop@sha256%3Aabc"}, Now: day(5)}

func TestWhatSilencesAFinding(t *testing.T) {
	f := finding("GHSA-aaaa-bbbb-cccc", "pkg:npm/a@1.0.0", "CVE-2024-1")
	for name, c := range map[string]struct {
		statements []Statement
		want       Status
		why        string // of what is ignored
	}{
		"a trusted author's":       {[]Statement{statement()}, NotAffected, ""},
		"by another name":          {[]Statement{statement(func(s *Statement) { s.Vulnerability, s.Aliases = "X-1", []string{"GHSA-aaaa-bbbb-cccc"} })}, NotAffected, ""},
		"of all versions":          {[]Statement{statement(func(s *Statement) { s.Products[0].PURL = "pkg:npm/a" })}, NotAffected, ""},
		"of another version":       {[]Statement{statement(func(s *Statement) { s.Products[0].PURL = "pkg:npm/a@1.0.1" })}, "", ""},
		"of another package":       {[]Statement{statement(func(s *Statement) { s.Products[0].PURL = "pkg:npm/b@1.0.0" })}, "", ""},
		"of another vulnerability": {[]Statement{statement(func(s *Statement) { s.Vulnerability = "CVE-2024-2" })}, "", ""},
		"of nothing":               {[]Statement{statement(func(s *Statement) { s.Products = nil })}, "", ""},
		"a part of what was scanned": {[]Statement{statement(func(s *Statement) {
			s.Products = []Product{{PURL: "pkg:oci/shop", Parts: []string{"pkg:npm/a@1.0.0"}}}
		})}, NotAffected, ""},
		"all of what was scanned": {[]Statement{statement(func(s *Statement) { s.Products = []Product{{PURL: "pkg:oci/shop"}} })}, NotAffected, ""},
		"a part of something else": {[]Statement{statement(func(s *Statement) {
			s.Products = []Product{{PURL: "pkg:oci/till", Parts: []string{"pkg:npm/a@1.0.0"}}}
		})}, "", ""},
		"another part": {[]Statement{statement(func(s *Statement) {
			s.Products = []Product{{PURL: "pkg:oci/shop", Parts: []string{"pkg:npm/b"}}}
		})}, "", ""},
		"anybody's":               {[]Statement{statement(func(s *Statement) { s.Author = "Mallory" })}, "", "not trusted"},
		"nobody's":                {[]Statement{statement(func(s *Statement) { s.Author = "" })}, "", "not trusted"},
		"from the wrong place":    {[]Statement{statement(func(s *Statement) { s.Author = "Other" })}, "", "not trusted"},
		"too old":                 {[]Statement{statement(func(s *Statement) { s.Author, s.Source = "Other", "other.json" })}, "", "older than the 2 days"},
		"from the right place":    {[]Statement{statement(func(s *Statement) { s.Author, s.Source, s.At = "Other", "other.json", day(4) })}, NotAffected, ""},
		"without a reason":        {[]Statement{statement(func(s *Statement) { s.Justification = "" })}, "", "doesn't say why"},
		"with a made-up reason":   {[]Statement{statement(func(s *Statement) { s.Justification = "because" })}, "", "doesn't say why"},
		"with a reason in words":  {[]Statement{statement(func(s *Statement) { s.Justification, s.Impact = "", "not compiled in" })}, NotAffected, ""},
		"fixed":                   {[]Statement{statement(func(s *Statement) { s.Status = Fixed })}, Fixed, ""},
		"fixed in all versions":   {[]Statement{statement(func(s *Statement) { s.Status, s.Products[0].PURL = Fixed, "pkg:npm/a" })}, "", "doesn't name the version"},
		"a draft":                 {[]Statement{statement(func(s *Statement) { s.Draft = true })}, "", "draft"},
		"withdrawn":               {[]Statement{statement(func(s *Statement) { s.Withdrawn = true })}, "", "withdrawn"},
		"without a date":          {[]Statement{statement(func(s *Statement) { s.At = time.Time{} })}, "", "when it was made"},
		"from the future":         {[]Statement{statement(func(s *Statement) { s.At = day(9) })}, "", "future"},
		"of an unknown status":    {[]Statement{statement(func(s *Statement) { s.Status = "harmless" })}, "", "nobody knows"},
		"affected":                {[]Statement{statement(func(s *Statement) { s.Status = Affected })}, Affected, ""},
		"changed mind, to worse":  {[]Statement{statement(), statement(func(s *Statement) { s.Status, s.At = Affected, day(2) })}, Affected, "same author"},
		"changed mind, to better": {[]Statement{statement(func(s *Statement) { s.At = day(3) }), statement(func(s *Statement) { s.Status, s.At = Affected, day(2) })}, NotAffected, "same author"},
		"two of the same moment":  {[]Statement{statement(), statement(func(s *Statement) { s.Status = UnderInvestigation })}, UnderInvestigation, "same author"},
		"authors disagree":        {[]Statement{statement(func(s *Statement) { s.At = day(4) }), statement(func(s *Statement) { s.Author, s.Source, s.Status, s.At = "Other", "other.json", Affected, day(4) })}, Affected, "more careful"},
	} {
		out := Apply([]scanning.Finding{f}, c.statements, policy)
		got := Status("")
		if v := out.Findings[0].VEX; v != nil {
			got = Status(v.Status)
		}
		if got != c.want || Silenced(&out.Findings[0]) != (c.want == NotAffected || c.want == Fixed) {
			t.Errorf("%s: %q, ignored %+v", name, got, out.Ignored)
		}
		if c.why == "" && len(out.Ignored) != 0 || c.why != "" && (len(out.Ignored) != 1 || !strings.Contains(out.Ignored[0].Why, c.why)) {
			t.Errorf("%s: ignored %+v", name, out.Ignored)
		}
	}
	if f.VEX != nil {
		t.Error("the findings given were changed")
	}
	code := scanning.Finding{Rule: "CVE-2024-1", Class: scanning.ClassCode}
	if out := Apply([]scanning.Finding{code}, []Statement{statement()}, policy); out.Findings[0].VEX != nil {
		t.Error("a statement silences something that isn't a package's vulnerability")
	}
}

func openSample() *Document {
	return &Document{
		Format: "OpenVEX", ID: "https://acme.example/vex/1", Author: "Acme", Role: "vendor", Version: 2, Issued: day(1), Updated: day(3), Tooling: "interlock",
		Statements: []Statement{
			statement(func(s *Statement) {
				s.Aliases, s.Document, s.Products = []string{"GHSA-x"}, "https://acme.example/vex/1", []Product{{PURL: "pkg:oci/shop", Name: "pkg:oci/shop", Parts: []string{"pkg:npm/a@1.0.0"}}}
			}),
			statement(func(s *Statement) {
				s.Status, s.Justification, s.Action, s.Document, s.Products[0].Name = Affected, "", "Update to 2", "https://acme.example/vex/1", "pkg:npm/a@1.0.0"
			}),
			statement(func(s *Statement) {
				s.Justification, s.Impact, s.Document, s.Products[0].Name = "", "never called", "https://acme.example/vex/1", "pkg:npm/a@1.0.0"
			}),
		},
	}
}

func TestOpenVEX(t *testing.T) {
	address := "https://github.com/openvex/spec/openvex_json_schema_0.2.0.json"
	schema := schematest.Compile(t, address, map[string]string{address: "testdata/openvex.schema.json"})
	want := openSample()
	var b bytes.Buffer
	if err := EncodeOpenVEX(&b, want); err != nil {
		t.Fatal(err)
	}
	schematest.Check(t, schema, b.Bytes())
	theirs, err := govex.Parse(b.Bytes())
	if err != nil || len(theirs.Statements) != 3 || !theirs.Statements[0].Matches("CVE-2024-1", "pkg:oci/shop", []string{"pkg:npm/a@1.0.0"}) {
		t.Errorf("go-vex reads it as %+v, %v", theirs, err)
	}
	got, err := DecodeBytes(b.Bytes())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v\n%v", got, want, err)
	}
	if err := EncodeOpenVEX(&b, &Document{Statements: []Statement{{Status: NotAffected}}}); core.KindOf(err) != core.KindInvalid {
		t.Errorf("not affected without a reason is written: %v", err)
	}
}

func TestOpenVEXOfOthers(t *testing.T) {
	d, err := DecodeBytes([]byte(`{"@context":"https://openvex.dev/ns","@id":"x","author":"A","timestamp":"2023-01-16T19:07:16.853479631-06:00","version":"1x","statements":[]}`))
	if err == nil {
		t.Errorf("%+v", d)
	}
	d, err = DecodeBytes([]byte(`{"@context":"https://openvex.dev/ns","@id":"x","author":"A","timestamp":"2023-01-16T19:07:16.853479631-06:00","version":"1",
		"statements":[{"vulnerability":"CVE-2023-1","products":["pkg:apk/wolfi/git@2.39.0-r1?arch=x86_64"],"status":"fixed"},
		{"vulnerability":{"name":"CVE-2023-2"},"products":[{"@id":"https://acme.example/x"},{"@id":"pkg:oci/a","subcomponents":[{"@id":"https://acme.example/y"}]}],"status":"odd"}]}`))
	if err != nil || d.Statements[0].Vulnerability != "CVE-2023-1" || d.Statements[0].Products[0].PURL == "" || d.Statements[0].At.Hour() != 1 {
		t.Fatalf("%+v %v", d, err)
	}
	if len(d.Gaps) != 3 || len(d.Statements[1].Products) != 0 {
		t.Errorf("%+v", d.Gaps)
	}
}

func TestCycloneDX(t *testing.T) {
	d, err := DecodeBytes([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.5","serialNumber":"urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79","metadata":{"timestamp":"2026-03-01T10:00:00Z","supplier":{"name":"Acme"}},
		"components":[{"type":"library","bom-ref":"c","name":"a","version":"1.0.0","purl":"pkg:npm/a@1.0.0"}],
		"vulnerabilities":[{"id":"CVE-2024-1","analysis":{"state":"not_affected","justification":"code_not_reachable"},"affects":[{"ref":"c"},{"ref":"urn:cdx:x/1#pkg%3Anpm%2Fb%401"},{"ref":"gone"}]},
		{"id":"CVE-2024-2"},{"id":"CVE-2024-3","analysis":{"state":"exploitable"},"affects":[{"ref":"c"}]},
		{"id":"CVE-2024-4","analysis":{"state":"not_affected","justification":"requires_environment"},"affects":[{"ref":"c"}]}]}`))
	if err != nil || len(d.Statements) != 3 || len(d.Gaps) != 1 {
		t.Fatalf("%+v %v", d, err)
	}
	s := d.Statements[0]
	if s.Author != "Acme" || s.Justification != "vulnerable_code_not_in_execute_path" || len(s.Products) != 2 || s.Products[1].PURL != "pkg:npm/b@1" || !s.At.Equal(day(1)) {
		t.Errorf("%+v", s)
	}
	if d.Statements[1].Status != Affected || d.Statements[2].Justification != "" || d.Statements[2].Impact != "requires_environment" {
		t.Errorf("%+v", d.Statements)
	}
}

func advisory() *Advisory {
	return &Advisory{
		Format: "CSAF 2.0", ID: "ACME-2026-001", Title: "Two bugs in shop", Summary: "Update.", Aliases: []string{"ACME-1"}, Category: CategoryVEX, State: "draft", TLP: TLPAmber,
		Publisher: Publisher{Name: "Acme", Namespace: "https://acme.example", Contact: "psirt@acme.example", Category: "vendor"},
		Embargo:   day(20), Published: day(1), Updated: day(3), Links: []string{"https://acme.example/1"},
		Revisions: []Revision{{"1", day(1), "First"}, {"2", day(3), "More products"}},
		Vulnerabilities: []Vulnerability{{
			ID: "CVE-2024-1", Aliases: []string{"GHSA-x"}, Title: "Bug", Description: "It is bad.", CVSS: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 9.8, Discovered: day(1), Released: day(2),
			Contacts: []Contact{{day(1), "vendor", "contact_attempted", "Mail to the maintainers"}, {day(2), "vendor", "in_progress", "They answered"}}, Credits: []string{"Anna"},
			Findings: []Statement{
				{Status: Affected, Action: "Update to 2.0", Products: []Product{{PURL: "pkg:npm/shop@1.0.0"}}},
				{Status: Fixed, Products: []Product{{PURL: "pkg:npm/shop@2.0.0"}}},
				{Status: NotAffected, Justification: "component_not_present", Impact: "Left out of the image.", Products: []Product{{PURL: "pkg:oci/shop", Parts: []string{"pkg:npm/a@1.0.0"}}}},
				{Status: UnderInvestigation, Products: []Product{{PURL: "pkg:npm/till"}}},
			},
		}},
	}
}

func csafSchema(t testing.TB) func([]byte) {
	base := "https://docs.oasis-open.org/csaf/csaf/v2.0/csaf_json_schema.json"
	s := schematest.Compile(t, base, map[string]string{
		base: "testdata/csaf_json_schema.json.gz", "https://www.first.org/cvss/cvss-v2.0.json": "testdata/cvss-v2.0.json.gz",
		"https://www.first.org/cvss/cvss-v3.0.json": "testdata/cvss-v3.0.json.gz", "https://www.first.org/cvss/cvss-v3.1.json": "testdata/cvss-v3.1.json.gz",
	})
	return func(b []byte) { t.Helper(); schematest.Check(t, s, b) }
}

func TestCSAF(t *testing.T) {
	var b bytes.Buffer
	if err := EncodeCSAF(&b, advisory(), day(5)); err != nil {
		t.Fatal(err)
	}
	csafSchema(t)(b.Bytes())
	got, err := DecodeAdvisory(&b)
	if err != nil || len(got.Gaps) != 0 {
		t.Fatalf("%+v %v", got, err)
	}
	want := advisory()
	by := func(a *Advisory) []string {
		var out []string
		for _, s := range a.Document().Statements {
			for _, p := range s.Products {
				p.Name = ""
				out = append(out, fmt.Sprintf("%s %v %s %s %s %s %v %s", s.Vulnerability, s.Aliases, p, s.Status, s.Justification, s.Impact, s.Draft, s.Action))
			}
		}
		slices.Sort(out)
		return out
	}
	if g, w := by(got), by(want); !slices.Equal(g, w) {
		t.Errorf("\n got %s\nwant %s", strings.Join(g, "\n     "), strings.Join(w, "\n     "))
	}
	g, w := got.Vulnerabilities[0], want.Vulnerabilities[0]
	if !reflect.DeepEqual(g.Contacts, w.Contacts) || !reflect.DeepEqual(got.Revisions, want.Revisions) || !got.Embargo.Equal(want.Embargo) || g.Score != 9.8 || g.Credits[0] != "Anna" || got.TLP != TLPAmber {
		t.Errorf("%+v", got)
	}
}

func TestAnEmbargoIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Advisory)
		now    time.Time
		kind   core.Kind
	}{
		"final before its end":   {func(a *Advisory) { a.State = "final" }, day(5), core.KindDenied},
		"for all before its end": {func(a *Advisory) { a.TLP = TLPWhite }, day(5), core.KindDenied},
		"unlabelled":             {func(a *Advisory) { a.TLP = "" }, day(5), core.KindDenied},
		"final after its end":    {func(a *Advisory) { a.State, a.TLP = "final", TLPWhite }, day(21), 99},
		"without a name":         {func(a *Advisory) { a.ID = "" }, day(5), core.KindInvalid},
		"without a namespace":    {func(a *Advisory) { a.Publisher.Namespace = "acme" }, day(5), core.KindInvalid},
		"no reason": {func(a *Advisory) {
			a.Vulnerabilities[0].Findings[2] = Statement{Status: NotAffected, Products: []Product{{PURL: "pkg:npm/a"}}}
		}, day(5), core.KindInvalid},
		"no product": {func(a *Advisory) { a.Vulnerabilities[0].Findings = nil }, day(5), core.KindInvalid},
	} {
		a := advisory()
		c.change(a)
		var b bytes.Buffer
		err := EncodeCSAF(&b, a, c.now)
		if c.kind == 99 && err != nil || c.kind != 99 && (core.KindOf(err) != c.kind || b.Len() != 0) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A vendor's form: branches, a platform without package url, groups, threats.
const vendorCSAF = `{"document":{"category":"csaf_vex","csaf_version":"2.0","publisher":{"category":"vendor","name":"Red Hat","namespace":"https://www.redhat.com"},"title":"x",
 "tracking":{"current_release_date":"2026-03-02T10:00:00+00:00","initial_release_date":"2026-03-01T10:00:00+00:00","id":"cve-2024-1","revision_history":[{"date":"2026-03-01T10:00:00+00:00","number":"1","summary":"x"}],"status":"final","version":"1"}},
 "product_tree":{"branches":[{"category":"vendor","name":"Red Hat","branches":[
   {"category":"product_name","name":"RHEL 9","product":{"name":"RHEL 9","product_id":"rhel9","product_identification_helper":{"cpe":"cpe:/o:redhat:enterprise_linux:9"}}},
   {"category":"product_version","name":"openssl","product":{"name":"openssl","product_id":"openssl","product_identification_helper":{"purl":"pkg:rpm/redhat/openssl@3.0.7?arch=src"}}},
   {"category":"product_version","name":"zlib","product":{"name":"zlib","product_id":"zlib","product_identification_helper":{"purl":"pkg:rpm/redhat/zlib@1?distro=rhel-9"}}}]}],
  "product_groups":[{"group_id":"g","product_ids":["zlib","other"]}],
  "relationships":[{"category":"default_component_of","full_product_name":{"name":"openssl in RHEL 9","product_id":"rhel9:openssl"},"product_reference":"openssl","relates_to_product_reference":"rhel9"}]},
 "vulnerabilities":[{"cve":"CVE-2024-1","flags":[{"label":"vulnerable_code_not_present","group_ids":["g"]}],"product_status":{"known_not_affected":["rhel9:openssl","zlib","unheard"],"recommended":["zlib"]}}]}`

func TestCSAFOfAVendor(t *testing.T) {
	d, err := DecodeBytes([]byte(vendorCSAF))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Statements) != 2 || d.Statements[1].Justification != "vulnerable_code_not_present" || d.Author != "Red Hat" || len(d.Gaps) != 1 {
		t.Errorf("%+v", d)
	}
	// The source package in a release that only its CPE names.
	lib := finding("CVE-2024-1", "pkg:rpm/redhat/openssl-libs@3.0.7?arch=x86_64&distro=rhel-9.4&upstream=openssl-3.0.7.src.rpm")
	lib.Package.Source, lib.Package.SourceVersion = "openssl", "3.0.7"
	older := lib
	older.Package = &scanning.Package{}
	*older.Package = *lib.Package
	older.Package.Ecosystem = "Red Hat:enterprise_linux:8"
	d.Statements[0].Impact = "not built in"
	out := Apply([]scanning.Finding{lib, older}, d.Statements, Policy{Trusted: []Author{{Name: "Red Hat"}}, Now: day(5)})
	if !Silenced(&out.Findings[0]) || out.Findings[1].VEX != nil {
		t.Errorf("%+v", out.Findings)
	}
	// Three thousand flags of a group of a thousand products are few bytes.
	many := strings.Replace(vendorCSAF, `"flags":[`, `"flags":[`+strings.Repeat(`{"label":"component_not_present","group_ids":["g"]},`, 3000), 1)
	many = strings.Replace(many, `["zlib","other"]`, `["zlib"`+strings.Repeat(`,"other"`, 1000)+`]`, 1)
	d, err = DecodeBytes([]byte(many))
	if err != nil || !slices.ContainsFunc(d.Gaps, func(g scanning.Gap) bool { return g.Reason == scanning.ReasonTooMany }) {
		t.Errorf("what multiplies isn't contained: %v %+v", err, d.Gaps)
	}
}

func TestOSVAsADisclosure(t *testing.T) {
	a, err := DecodeAdvisory(strings.NewReader(`{"id":"GHSA-aaaa-bbbb-cccc","modified":"2026-03-02T10:00:00Z","published":"2026-03-01T10:00:00Z","aliases":["CVE-2024-1"],"summary":"Bad","withdrawn":"2026-03-03T00:00:00Z",
		"affected":[{"package":{"ecosystem":"npm","name":"@a/b"},"versions":["1.0.0","1.0.1"]},{"package":{"ecosystem":"Go","name":"example.com/x"}},{"package":{"ecosystem":"Unheard","name":"x"}}]}`))
	if err != nil || !a.Withdrawn || len(a.Gaps) != 1 {
		t.Fatalf("%+v %v", a, err)
	}
	s := a.Document().Statements
	if len(s) != 2 || s[0].Products[1].PURL != "pkg:npm/%40a/b@1.0.1" || s[1].Products[0].PURL != "pkg:golang/example.com/x" || s[0].Status != Affected {
		t.Errorf("%+v", s)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for _, doc := range []string{"", "[]", `{"a":1}`, `{"document":{"csaf_version":"1.0"}}`, `{"bomFormat":"CycloneDX","specVersion":"1.5"}`, `{"@context":"https://openvex.dev/ns","statements":7}`, strings.Repeat("[", 500)} {
		if _, err := DecodeBytes([]byte(doc)); err == nil || core.KindOf(err) == core.KindInternal || core.HintOf(err) == "" {
			t.Errorf("%.50s: %v", doc, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(vendorCSAF)
	var b bytes.Buffer
	if err := EncodeOpenVEX(&b, openSample()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.String())
	f.Add(`{"id":"A-1","modified":"2026-03-02T10:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"@a/b"},"versions":["1"]}]}`)
	f.Add(`{"bomFormat":"CycloneDX","specVersion":"1.5","vulnerabilities":[{"id":"X","analysis":{"state":"resolved"},"affects":[{"ref":"pkg:npm/a@1"}]}]}`)
	found := []scanning.Finding{finding("CVE-2024-1", "pkg:npm/a@1.0.0")}
	f.Fuzz(func(t *testing.T, doc string) {
		if a, err := DecodeAdvisory(strings.NewReader(doc)); err == nil {
			var b bytes.Buffer
			if EncodeCSAF(&b, a, day(1)) == nil {
				if wrong := mandatory(b.Bytes()); len(wrong) > 0 {
					t.Fatal(wrong)
				}
			}
		}
		d, err := Decode(strings.NewReader(doc))
		if err != nil {
			return
		}
		_ = EncodeOpenVEX(&bytes.Buffer{}, d)
		_ = EncodeCycloneDX(&bytes.Buffer{}, d)
		if out := Apply(found, d.Statements, Policy{Now: day(5)}); out.Findings[0].VEX != nil {
			t.Fatal("somebody whom nobody trusts silenced a finding")
		}
	})
}
