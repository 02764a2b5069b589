package sbom

import (
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/schematest"
)

func decode(t *testing.T, s string) *Document {
	t.Helper()
	d, err := Decode(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Trivy's form: an operating system, a lockfile as a group, sources as properties.
const trivyBill = `{"bomFormat":"CycloneDX","specVersion":"1.5","serialNumber":"urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79","metadata":{"timestamp":"2026-01-02T03:04:05+01:00",
 "tools":{"components":[{"type":"application","name":"trivy","version":"0.50.0"}]},
 "component":{"bom-ref":"root","type":"container","name":"app:1","purl":"pkg:oci/app@sha256%3Aabababababababababababababababababababababababababababababababab?arch=amd64"}},
 "components":[
  {"bom-ref":"os","type":"operating-system","name":"debian","version":"12.5"},
  {"bom-ref":"lock","type":"application","name":"package-lock.json","properties":[{"name":"aquasecurity:trivy:Type","value":"npm"}]},
  {"bom-ref":"c","type":"library","name":"libssl3","version":"3.0.11-1","purl":"pkg:deb/debian/libssl3@3.0.11-1?arch=amd64","licenses":[{"license":{"name":"apache-2.0"}}],
   "properties":[{"name":"aquasecurity:trivy:SrcName","value":"openssl"},{"name":"aquasecurity:trivy:SrcVersion","value":"3.0.11"},{"name":"aquasecurity:trivy:SrcRelease","value":"1"},{"name":"aquasecurity:trivy:LayerDigest","value":"sha256:1"}]},
  {"bom-ref":"n","type":"library","group":"@babel","name":"core","version":"7.0.0","purl":"pkg:npm/%40babel/core@7.0.0","hashes":[{"alg":"SHA-1","content":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}],
   "components":[{"type":"library","name":"nested","version":"1","purl":"pkg:npm/nested@1"}]},
  {"bom-ref":"n2","type":"library","name":"no purl","version":"1"},
  {"bom-ref":"n3","type":"library","name":"noversion","purl":"pkg:npm/noversion"},
  {"bom-ref":"n4","type":"library","name":"broken","purl":"pkg:npm"},
  {"type":"file","name":"a.txt"}],
 "dependencies":[{"ref":"root","dependsOn":["lock","os"]},{"ref":"lock","dependsOn":["n"]},{"ref":"n","dependsOn":["n3","gone"]}],
 "compositions":[{"aggregate":"incomplete","assemblies":["root"]}]}`

func TestCycloneDXOfTrivy(t *testing.T) {
	d := decode(t, trivyBill)
	if d.Format != "CycloneDX 1.5 JSON" || d.Subject.Kind != scanning.ScopeImage || d.Subject.Digest[:9] != "sha256:ab" || d.Created.Hour() != 2 || d.Tools[0].Name != "trivy" {
		t.Errorf("%+v", d)
	}
	byName := map[string]scanning.Package{}
	for _, p := range d.Packages {
		byName[p.Name] = p
	}
	ssl, babel := byName["libssl3"], byName["@babel/core"]
	if ssl.Ecosystem != "Debian:12" || ssl.Source != "openssl" || ssl.SourceVersion != "3.0.11-1" || ssl.Layer != "sha256:1" || ssl.Licenses[0] != "Apache-2.0" {
		t.Errorf("%+v", ssl)
	}
	if !babel.Direct || len(babel.Requires) != 1 || babel.Hashes["sha1"] == "" || byName["nested"].Version != "1" || len(d.Packages) != 6 {
		t.Errorf("%+v of %d", babel, len(d.Packages))
	}
	gaps := fmt.Sprint(d.Gaps)
	for _, want := range []string{"no purl", "noversion", "broken", "itself calls it incomplete"} {
		if !strings.Contains(gaps, want) {
			t.Errorf("no gap names %q: %v", want, d.Gaps)
		}
	}
}

const xmlBill = `<?xml version="1.0" encoding="UTF-8"?><bom xmlns="http://cyclonedx.org/schema/bom/1.4" serialNumber="urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79" version="1">
<metadata><component type="application" bom-ref="r"><name>app</name><version>1</version></component></metadata>
<components><component type="library" bom-ref="a"><group>org.x</group><name>y</name><version>2</version><hashes><hash alg="MD5">0123456789abcdef0123456789abcdef</hash></hashes>
<licenses><expression>MIT OR Apache-2.0</expression></licenses><purl>pkg:maven/org.x/y@2</purl></component></components>
<dependencies><dependency ref="r"><dependency ref="a"/></dependency></dependencies></bom>`

func TestCycloneDXAsXML(t *testing.T) {
	d := decode(t, xmlBill)
	p := d.Packages[0]
	if d.Format != "CycloneDX 1.4 XML" || p.Name != "org.x:y" || !p.Direct || p.Licenses[0] != "MIT OR Apache-2.0" || p.Hashes["md5"] == "" || len(d.Gaps) != 0 {
		t.Errorf("%+v %+v", d, p)
	}
}

const tagBill = `# a comment
SPDXVersion: SPDX-2.2
DataLicense: CC0-1.0
SPDXID: SPDXRef-DOCUMENT
DocumentName: app
DocumentNamespace: https://example.com/app
Creator: Tool: syft-0.99.0
Creator: Person: Jane
Created: 2026-01-02T03:04:05Z
DocumentComment: <text>PackageName: not one
SPDXID: neither</text>

PackageName: app
SPDXID: SPDXRef-app
PackageVersion: 1.0
PackageDownloadLocation: NOASSERTION

PackageName: github.com/BurntSushi/toml
SPDXID: SPDXRef-toml
PackageVersion: v1.3.2
PackageLicenseDeclared: MIT
PackageChecksum: SHA1: 85ed0817af83a24ad8da68c2b5094de69833983c
ExternalRef: PACKAGE-MANAGER purl pkg:golang/github.com/burntsushi/toml@v1.3.2

FileName: ./x.c
SPDXID: SPDXRef-file
LicenseConcluded: MIT

Relationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-app
Relationship: SPDXRef-toml BUILD_DEPENDENCY_OF SPDXRef-app
`

func TestSPDXAsTagsAndJSON(t *testing.T) {
	d := decode(t, tagBill)
	p := d.Packages[0]
	if len(d.Packages) != 1 || p.Name != "github.com/BurntSushi/toml" || !p.Direct || !p.Dev || p.Hashes["sha1"] == "" || d.Subject.Name != "app" || d.Tools[0] != (Tool{"syft", "0.99.0"}) {
		t.Errorf("%+v", d)
	}
	github := decode(t, `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"com.github.a/b","creationInfo":{"created":"2026-01-02T03:04:05Z","creators":["Tool: GitHub.com-Dependency-Graph"]},
	 "packages":[{"SPDXID":"SPDXRef-1","name":"npm:a","versionInfo":"1.0.0","externalRefs":[{"referenceCategory":"PACKAGE_MANAGER","referenceType":"purl","referenceLocator":"pkg:npm/a@1.0.0"}]},
	 {"SPDXID":"SPDXRef-2","name":"pip:b","versionInfo":">= 1.0"},{"SPDXID":"SPDXRef-r","name":"com.github.a/b"}],
	 "relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-r"},{"spdxElementId":"SPDXRef-r","relationshipType":"DEPENDS_ON","relatedSpdxElement":"SPDXRef-1"}]}`)
	if len(github.Packages) != 2 || !github.Packages[0].Direct || len(github.Gaps) != 1 {
		t.Errorf("%+v", github)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		doc  string
		kind core.Kind
	}{
		"empty":                            {"", core.KindInvalid},
		"other JSON":                       {`{"a":1}`, core.KindInvalid},
		"cut off":                          {trivyBill[:300], core.KindInvalid},
		"empty SPDX 3":                     {`{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[]}`, core.KindInvalid},
		"SPDX 3.1":                         {`{"@context":"https://spdx.org/rdf/3.1.0/spdx-context.jsonld","@graph":[]}`, core.KindInvalid},
		"SPDX 3 with a context of its own": {strings.Replace(graphBill, `"https://spdx.org/rdf/3.0.1/spdx-context.jsonld"`, `["https://spdx.org/rdf/3.0.1/spdx-context.jsonld", {"Pkg": "https://spdx.org/rdf/3.0.1/terms/Software/Package"}]`, 1), core.KindInvalid},
		"SPDX 3 with another's context":    {strings.Replace(graphBill, `"https://spdx.org/rdf/3.0.1/spdx-context.jsonld"`, `["https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "https://example.com/own.jsonld"]`, 1), core.KindInvalid},
		"SPDX 3 with no context of SPDX's": {strings.Replace(graphBill, "spdx-context.jsonld", "terms/Core", 1), core.KindInvalid},
		"other JSON-LD":                    {`{"@context":"https://example.com/","@graph":[]}`, core.KindInvalid},
		"YAML":                             {"spdxVersion: SPDX-2.3\n", core.KindInvalid},
		"RDF":                              {`<rdf:RDF xmlns:spdx="http://spdx.org/rdf/terms#"/>`, core.KindInvalid},
		"HTML":                             {`<html></html>`, core.KindInvalid},
		"CycloneDX 1.1":                    {strings.Replace(xmlBill, "bom/1.4", "bom/1.1", 1), core.KindInvalid},
		"entities":                         {`<!DOCTYPE a [<!ENTITY x "y">]><bom xmlns="http://cyclonedx.org/schema/bom/1.4"/>`, core.KindInvalid},
		"deep XML":                         {`<bom xmlns="http://cyclonedx.org/schema/bom/1.4">` + strings.Repeat("<components><component>", 200), core.KindTooLarge},
		"deep JSON":                        {`{"bomFormat":"CycloneDX","specVersion":"1.5","components":` + strings.Repeat(`[{"components":`, 100), core.KindTooLarge},
		"open text":                        {"SPDXVersion: SPDX-2.3\nDocumentComment: <text>a", core.KindInvalid},
		"old SPDX":                         {"SPDXVersion: SPDX-1.2\n", core.KindInvalid},
	} {
		_, err := Decode(strings.NewReader(c.doc))
		if core.KindOf(err) != c.kind || core.HintOf(err) == "" {
			t.Errorf("%s: %v (%s)", name, err, core.HintOf(err))
		}
	}
}

func TestDuplicatesAreOne(t *testing.T) {
	d := decode(t, `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[
	 {"type":"library","bom-ref":"1","name":"a","version":"1","purl":"pkg:npm/a@1","licenses":[{"license":{"id":"MIT"}}]},
	 {"type":"library","bom-ref":"2","name":"a","version":"1","purl":"pkg:npm/a@1","licenses":[{"license":{"id":"ISC"}}]}]}`)
	if len(d.Packages) != 1 || len(d.Packages[0].Licenses) != 2 {
		t.Errorf("%+v", d.Packages)
	}
}

const graphBill = `{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [
 {"type": "CreationInfo", "@id": "_:c", "specVersion": "3.0.1", "created": "2026-01-02T03:04:05Z", "createdBy": ["urn:me"], "createdUsing": ["urn:tool"]},
 {"type": "Tool", "spdxId": "urn:tool", "name": "syft-1.2.3", "creationInfo": "_:c"},
 {"type": "SpdxDocument", "spdxId": "urn:doc", "name": "a/b", "rootElement": ["urn:bom"], "import": [{"externalSpdxId": "urn:x"}]},
 {"type": "software_Sbom", "spdxId": "urn:bom", "rootElement": ["urn:image"], "software_sbomType": ["build"]},
 {"type": "software_Package", "spdxId": "urn:image", "name": "registry/a", "software_packageVersion": "1", "software_primaryPurpose": "container"},
 {"type": "software_Package", "spdxId": "urn:os", "name": "debian", "software_packageVersion": "12", "software_primaryPurpose": "operatingSystem"},
 {"type": "software_Package", "spdxId": "urn:bash", "name": "bash", "software_packageVersion": "5.2-1", "software_packageUrl": "pkg:deb/debian/bash@5.2-1?distro=debian-12",
  "verifiedUsing": [{"type": "Hash", "algorithm": "sha256", "hashValue": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]},
 {"type": "software_Package", "spdxId": "urn:npm", "name": "a", "software_packageVersion": "1.0.0", "externalIdentifier": [{"type": "ExternalIdentifier", "externalIdentifierType": "packageUrl", "identifier": "pkg:npm/a@1.0.0"}]},
 {"type": "software_Package", "spdxId": "urn:dev", "name": "b", "software_packageVersion": "2.0.0", "software_packageUrl": "pkg:npm/b@2.0.0"},
 {"type": "software_File", "spdxId": "urn:file", "name": "x.c"},
 {"type": "simplelicensing_LicenseExpression", "spdxId": "urn:l", "simplelicensing_licenseExpression": "GPL-3.0-or-later"},
 {"type": "Relationship", "spdxId": "urn:r1", "from": "urn:image", "to": ["urn:bash", "urn:npm"], "relationshipType": "dependsOn"},
 {"type": "LifecycleScopedRelationship", "spdxId": "urn:r2", "from": "urn:npm", "to": "urn:dev", "relationshipType": "dependsOn", "scope": "development"},
 {"type": "Relationship", "spdxId": "urn:r3", "from": "urn:bash", "to": ["urn:l"], "relationshipType": "hasDeclaredLicense"},
 {"type": "Relationship", "spdxId": "urn:r4", "from": "urn:npm", "to": ["https://spdx.org/licenses/MIT"], "relationshipType": "hasConcludedLicense"}
]}`

func TestSPDX3(t *testing.T) {
	d := decode(t, graphBill)
	if d.Format != "SPDX 3.0.1 JSON-LD" || d.Serial != "urn:doc" || d.Subject.Name != "registry/a" || d.Subject.Kind != scanning.ScopeImage ||
		len(d.Tools) != 1 || d.Tools[0] != (Tool{"syft", "1.2.3"}) || d.Created.Year() != 2026 {
		t.Errorf("%+v", d)
	}
	got := map[string]scanning.Package{}
	for _, p := range d.Packages {
		got[p.Name] = p
	}
	bash, a, b := got["bash"], got["a"], got["b"]
	if len(got) != 3 || bash.Ecosystem != "Debian:12" || !bash.Direct || bash.Hashes["sha256"] == "" || strings.Join(bash.Licenses, "") != "GPL-3.0-or-later" {
		t.Errorf("%+v", got)
	}
	if a.PURL != "pkg:npm/a@1.0.0" || !a.Direct || a.Dev || strings.Join(a.Requires, "") != "pkg:npm/b@2.0.0" || strings.Join(a.Licenses, "") != "MIT" || !b.Dev || b.Direct {
		t.Errorf("%+v", got)
	}
	if len(d.Gaps) != 1 || !strings.Contains(d.Gaps[0].Why, "other documents") {
		t.Errorf("%+v", d.Gaps)
	}
}

// Sixty roots of sixty roots five deep are 777 million, of a thousand bytes.
func TestSPDX3RootsDoNotMultiply(t *testing.T) {
	many := `["urn:b"` + strings.Repeat(`,"urn:b"`, 59) + `,"urn:a"]`
	d := decode(t, `{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [
	 {"type": "SpdxDocument", "spdxId": "urn:d", "rootElement": `+many+`}, {"type": "software_Sbom", "spdxId": "urn:b", "rootElement": `+many+`},
	 {"type": "software_Package", "spdxId": "urn:a", "name": "app"},
	 {"type": "software_Package", "spdxId": "urn:p", "name": "a", "software_packageVersion": "1.0.0", "software_packageUrl": "pkg:npm/a@1.0.0"}]}`)
	if d.Subject.Name != "app" || len(d.Packages) != 1 || len(d.Gaps) != 0 {
		t.Errorf("%+v", d)
	}
}

// What has a version or a package url and isn't read as a package is named.
func TestSPDX3ElementsThatAreNotRead(t *testing.T) {
	const bill = `{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [{"type": "SpdxDocument", "spdxId": "urn:d", "rootElement": ["urn:p"]}, %s]}`
	for element, gap := range map[string]string{
		`{"type": "Pkg", "spdxId": "urn:p", "name": "lodash", "software_packageVersion": "4.0.0"}`:                                                                                        "lodash 4.0.0",
		`{"@type": "software_Package", "spdxId": "urn:p", "name": "lodash", "software_packageUrl": "pkg:npm/lodash@4.0.0"}`:                                                               "lodash",
		`{"type": "software_File", "spdxId": "urn:p", "name": "lodash", "externalIdentifier": [{"externalIdentifierType": "packageUrl", "identifier": "pkg:npm/lodash@4.0.0"}]}`:          "lodash",
		`{"type": "software_Package", "@context": {"v": "x"}, "spdxId": "urn:p", "name": "a", "software_packageVersion": "1", "software_packageUrl": "pkg:npm/a@1"}`:                      "a 1",
		`{"type": "software_Sbom", "spdxId": "urn:p", "element": [{"type": "software_Package", "name": "lodash", "software_packageUrl": "pkg:npm/lodash@4.0.0"}]}`:                        "urn:p",
		`{"type": "Relationship", "spdxId": "urn:p", "from": "urn:d", "relationshipType": "contains", "to": {"type": "software_Package", "software_packageUrl": "pkg:npm/lodash@4.0.0"}}`: "urn:p",
		`{"type": "software_File", "spdxId": "urn:p", "name": "x.c"}`:                                                                                                                     "",
	} {
		d := decode(t, fmt.Sprintf(bill, element))
		what := ""
		for _, g := range d.Gaps {
			what += g.What
		}
		if what != gap {
			t.Errorf("%s: %+v", element, d.Gaps)
		}
	}
}

func TestSPDX3DropsNoRelationshipSilently(t *testing.T) {
	g, d := spdx3Reader{room: 1}, &Document{}
	g.relationship(&spdx3Element{Relationship: "dependsOn", From: "a", To: oneOrMany{ids: []string{"b", "c", "d"}}})
	g.lacks(d)
	if len(g.out.Relationships) != 1 || len(d.Gaps) != 1 || d.Gaps[0].Reason != scanning.ReasonTooMany || !strings.Contains(d.Gaps[0].Why, "last 2") {
		t.Errorf("%+v %+v", g.out.Relationships, d.Gaps)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{trivyBill, graphBill, xmlBill, tagBill, `{"bomFormat":"CycloneDX","specVersion":"1.2","metadata":{"tools":{"components":[{}]}}}`} {
		f.Add(s)
	}
	for format := range encoders {
		f.Add(string(encode(f, format, sample())))
	}
	schemas := map[string]*jsonschema.Schema{"CycloneDX": schematest.CycloneDX(f), "SPDX": spdxSchema(f)}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := Decode(strings.NewReader(s))
		if err != nil {
			return
		}
		for format := range encoders {
			b := encode(t, format, d)
			schematest.Check(t, schemas[format], b)
			again, err := DecodeBytes(b)
			if err != nil {
				t.Fatalf("what we wrote of it isn't read: %v", err)
			}
			if len(again.Packages) > len(d.Packages) {
				t.Fatalf("%s: %d packages became %d", format, len(d.Packages), len(again.Packages))
			}
		}
	})
}
