package sbom

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/schematest"
	"github.com/interlock-security/interlock/scanning/sbom/purl"
)

func spdxSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	return schematest.Compile(t, "http://spdx.org/rdf/terms/2.3", map[string]string{"http://spdx.org/rdf/terms/2.3": "testdata/spdx-2.3.schema.json"})
}

func pack(s string, change ...func(*scanning.Package)) scanning.Package {
	p, err := purl.Package(s)
	if err != nil {
		panic(err)
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

func sample() *Document {
	sha := strings.Repeat("ab", 32)
	return &Document{
		Subject: Subject{Kind: scanning.ScopeImage, Name: "registry.example/app", Version: "1.2", PURL: "pkg:oci/app@sha256%3A" + sha, Digest: "sha256:" + sha},
		Created: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), Tools: []Tool{{"interlock", "v1.0.0"}},
		Packages: []scanning.Package{
			pack("pkg:golang/github.com/BurntSushi/toml@v1.3.2", func(p *scanning.Package) {
				p.Direct, p.File, p.Hashes, p.Licenses = true, "go.mod", map[string]string{"sha256": sha}, []string{"MIT"}
				p.Requires = []string{"pkg:npm/left-pad@1.0.0", "pkg:npm/not-here@1"}
			}),
			pack("pkg:npm/left-pad@1.0.0", func(p *scanning.Package) {
				p.File, p.Dev, p.Licenses = "web/package-lock.json", true, []string{"MIT OR Apache-2.0", "ISC"}
			}),
			pack("pkg:npm/left-pad@1.0.0", func(p *scanning.Package) { p.File, p.Licenses = "other/package-lock.json", []string{"Public Domain"} }),
			pack("pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12&upstream=glibc", func(p *scanning.Package) { p.Layer = "sha256:" + sha }),
			{Ecosystem: "", Name: "odd\x01\xff name", Version: "", File: "vendor/odd"},
			{Ecosystem: "PyPI", Name: "PyYAML", Version: "6.0"},
		},
		Gaps: []scanning.Gap{{What: "yarn.lock", Why: "malformed at line 3", Reason: scanning.ReasonMalformed}},
	}
}

var encoders = map[string]func(io.Writer, *Document) error{"CycloneDX": EncodeCycloneDX, "SPDX": EncodeSPDX}

func encode(t testing.TB, format string, d *Document) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encoders[format](&b, d); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatIsWrittenIsValidAndTheSameEachTime(t *testing.T) {
	schemas := map[string]*jsonschema.Schema{"CycloneDX": schematest.CycloneDX(t), "SPDX": spdxSchema(t)}
	withFindings := sample()
	withFindings.Findings = []scanning.Finding{{
		Rule: "GO-2024-1", Class: scanning.ClassVulnerability, Title: "x", Severity: core.SeverityHigh, Package: &withFindings.Packages[0],
		Risk: scanning.Risk{CVSS: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 9.8},
		VEX:  &scanning.Exploitability{Status: "not_affected", Justification: "vulnerable_code_not_present", At: withFindings.Created},
	}}
	for format, schema := range schemas {
		for _, d := range []*Document{sample(), {}, withFindings, {Serial: "https://example.com/x#y z", Subject: Subject{Name: "\xff", Digest: "md5:zz"}}} {
			b := encode(t, format, d)
			schematest.Check(t, schema, b)
			d.Packages = reversed(d.Packages)
			if !bytes.Equal(b, encode(t, format, d)) {
				t.Errorf("%s: the order of packages changes the document", format)
			}
		}
	}
}

func reversed(p []scanning.Package) []scanning.Package {
	p = slices.Clone(p)
	slices.Reverse(p)
	return p
}

var spdxIDs = regexp.MustCompile(`^SPDXRef-[a-zA-Z0-9.-]+$`)

// The schema knows nothing of references; both formats do.
func TestReferencesResolve(t *testing.T) {
	var s spdxDocument
	if err := json.Unmarshal(encode(t, "SPDX", sample()), &s); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{spdxDocumentID: true}
	for _, p := range s.Packages {
		if ids[p.SPDXID] || !spdxIDs.MatchString(p.SPDXID) {
			t.Errorf("%q is twice or malformed", p.SPDXID)
		}
		ids[p.SPDXID] = true
	}
	for _, r := range s.Relationships {
		if !ids[r.Element] || !ids[r.Related] {
			t.Errorf("%+v leads nowhere", r)
		}
	}
	var c struct {
		Components   []struct{ BOMRef, Purl string } `json:"components"`
		Dependencies []struct {
			Ref       string
			DependsOn []string
		} `json:"dependencies"`
	}
	b := bytes.ReplaceAll(encode(t, "CycloneDX", sample()), []byte(`"bom-ref"`), []byte(`"bomref"`))
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	refs := map[string]bool{}
	for _, d := range c.Dependencies {
		refs[d.Ref] = true
	}
	for _, d := range c.Dependencies {
		for _, on := range d.DependsOn {
			if !refs[on] {
				t.Errorf("%s depends on %s, which is not there", d.Ref, on)
			}
		}
	}
	if c.Components[0].BOMRef == "" || len(c.Components) != 6 {
		t.Errorf("%+v", c.Components)
	}
}

// holdable drops what no format can hold: bytes that aren't UTF-8, edges out
// of the document, and the joined licence expression.
func holdable(d *Document) []string {
	inside := map[string]bool{}
	for _, p := range d.Packages {
		inside[purl.Of(&p)] = true
	}
	var out []string
	for _, p := range sorted(d.Packages) {
		p.PURL = purl.Of(&p)
		p.Name = strings.ToValidUTF8(p.Name, "\uFFFD")
		p.Requires = slices.DeleteFunc(slices.Clone(p.Requires), func(s string) bool { return !inside[s] })
		slices.Sort(p.Requires)
		p.Requires = slices.Compact(p.Requires)
		p.Licenses = nil
		out = append(out, fmt.Sprintf("%+v", p))
	}
	slices.Sort(out)
	return out
}

func TestRoundTrip(t *testing.T) {
	for format := range encoders {
		want := sample()
		got, err := DecodeBytes(encode(t, format, want))
		if err != nil {
			t.Fatal(err)
		}
		if w, g := holdable(want), holdable(got); !slices.Equal(w, g) {
			t.Errorf("%s:\n got %s\nwant %s", format, strings.Join(g, "\n     "), strings.Join(w, "\n     "))
		}
		if got.Subject != want.Subject || !got.Created.Equal(want.Created) || !reflect.DeepEqual(got.Tools, want.Tools) {
			t.Errorf("%s: %+v", format, got)
		}
		if len(got.Gaps) != 2 || got.Gaps[0] != want.Gaps[0] {
			t.Errorf("%s: %+v", format, got.Gaps) // its own gap, and the package without anything
		}
		again, err := DecodeBytes(encode(t, format, got))
		if err != nil || !slices.Equal(again.Gaps, got.Gaps) {
			t.Errorf("%s: read and written again it says %+v, %v", format, again.Gaps, err)
		}
	}
}

// Whatever an inventory holds survives both formats.
func TestRoundTripOfRandomBills(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	kinds := []string{"pkg:npm/%%40s/a%d@%d", "pkg:golang/github.com/A%d/b@v1.%d.0", "pkg:maven/g%d/a@%d", "pkg:deb/debian/p%d@%d?distro=debian-12", "pkg:apk/alpine/p%d@%d?distro=alpine-3.19", "pkg:cargo/c%d@%d"}
	for range 60 {
		d := &Document{Subject: Subject{Kind: scanning.ScopeFolder, Name: "s"}, Created: time.Unix(int64(rnd.IntN(1e9)), 0).UTC(), Tools: []Tool{{"interlock", "v1"}}}
		for range rnd.IntN(30) {
			p := pack(fmt.Sprintf(kinds[rnd.IntN(len(kinds))], rnd.IntN(9), rnd.IntN(3)))
			p.Direct, p.Dev = rnd.IntN(2) == 0, rnd.IntN(2) == 0
			p.File = []string{"", "a/lock", "b c/lock"}[rnd.IntN(3)]
			if len(d.Packages) > 0 {
				p.Requires = append(p.Requires, d.Packages[rnd.IntN(len(d.Packages))].PURL)
			}
			d.Packages = append(d.Packages, p)
		}
		d.Packages = merge(d.Packages)
		for format := range encoders {
			got, err := DecodeBytes(encode(t, format, d))
			if err != nil {
				t.Fatal(err)
			}
			compareBills(t, format, d, got)
		}
	}
}

// compareBills holds packages apart from edges: where a package stands in two
// files its edges are the first one's, which no format can say otherwise.
func compareBills(t *testing.T, format string, want, got *Document) {
	t.Helper()
	strip := func(d *Document) []string {
		c := *d
		c.Packages = slices.Clone(d.Packages)
		for i := range c.Packages {
			c.Packages[i].Requires = nil
		}
		return holdable(&c)
	}
	edges := func(d *Document) []string {
		var out []string
		for _, p := range d.Packages {
			for _, r := range p.Requires {
				if r != p.PURL {
					out = append(out, p.PURL+" "+r)
				}
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	if w, g := strip(want), strip(got); !slices.Equal(w, g) {
		t.Fatalf("%s:\n got %s\nwant %s", format, strings.Join(g, "\n     "), strings.Join(w, "\n     "))
	}
	if w, g := edges(want), edges(got); !slices.Equal(w, g) {
		t.Fatalf("%s edges:\n got %v\nwant %v", format, g, w)
	}
}

func TestDiff(t *testing.T) {
	from := &Document{Packages: []scanning.Package{pack("pkg:npm/a@1"), pack("pkg:npm/b@1"), pack("pkg:npm/c@1"), pack("pkg:npm/d@1"), pack("pkg:npm/d@2")}}
	to := &Document{Packages: []scanning.Package{pack("pkg:npm/a@1", func(p *scanning.Package) { p.File = "moved" }), pack("pkg:npm/b@2"), pack("pkg:npm/d@2"), pack("pkg:npm/e@1")}}
	d := Diff(from, to)
	names := func(packages []scanning.Package) (out []string) {
		for _, p := range packages {
			out = append(out, p.Name+"@"+p.Version)
		}
		return out
	}
	if got := fmt.Sprint(names(d.Added), names(d.Removed), len(d.Changed), names(d.Introduced())); got != "[e@1] [c@1 d@1] 1 [e@1 b@2]" {
		t.Error(got)
	}
}
