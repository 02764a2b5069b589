package sbom

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// spdx3Element is any element of SPDX 3's graph, with the members that matter
// here. Each element has its own; none means two things in two of them.
type spdx3Element struct {
	Type         string       `json:"type"`
	ID           string       `json:"spdxId"`
	Blank        string       `json:"@id"`
	Name         string       `json:"name"`
	Version      string       `json:"software_packageVersion"`
	PURL         string       `json:"software_packageUrl"`
	Purpose      string       `json:"software_primaryPurpose"`
	SourceInfo   string       `json:"software_sourceInfo"`
	SpecVersion  string       `json:"specVersion"`
	Created      string       `json:"created"`
	Tools        oneOrMany    `json:"createdUsing"`
	Roots        oneOrMany    `json:"rootElement"`
	From         string       `json:"from"`
	To           oneOrMany    `json:"to"`
	Relationship string       `json:"relationshipType"`
	Scope        string       `json:"scope"`
	Expression   string       `json:"simplelicensing_licenseExpression"`
	Imports      []any        `json:"import"`
	Identifiers  []spdx3Ident `json:"externalIdentifier"`
	Hashes       []spdx3Hash  `json:"verifiedUsing"`
}

type spdx3Ident struct {
	Type       string `json:"externalIdentifierType"`
	Identifier string `json:"identifier"`
}

type spdx3Hash struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"hashValue"`
}

// oneOrMany is a list of which JSON-LD leaves the brackets out where it has one
// member. What is no text is left out.
type oneOrMany []string

// UnmarshalJSON never fails: what refers to nothing is nothing.
func (o *oneOrMany) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*o = oneOrMany{one}
		return nil
	}
	var raw []json.RawMessage
	_ = json.Unmarshal(data, &raw)
	for _, r := range raw {
		if json.Unmarshal(r, &one) == nil {
			*o = append(*o, one)
		}
	}
	return nil
}

// decodeSPDX3 reads SPDX 3 as JSON-LD, as its own context writes it, and makes
// SPDX 2 of it: what is asked of either is the same.
func decodeSPDX3(b []byte) (*Document, error) {
	var s struct {
		Graph []spdx3Element `json:"@graph"`
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, malformed("the document is not SPDX 3: " + err.Error())
	}
	g := spdx3Reader{byID: map[string]*spdx3Element{}, licence: map[string]string{}, comment: map[string]string{}, room: maxRelations}
	g.out.SPDXVersion = "SPDX-3.0"
	for i := range s.Graph {
		e := &s.Graph[i]
		g.byID[cmp.Or(e.ID, e.Blank)] = e
	}
	g.read(s.Graph)
	if len(g.out.Packages) == 0 && len(g.documents) == 0 {
		return nil, malformed("the graph of SPDX 3 has neither a document nor a package")
	}
	d := fromSPDX(&g.out, "JSON-LD")
	d.Serial = ""
	if len(g.documents) > 0 {
		d.Serial = clip(g.documents[0].ID)
	}
	g.lacks(d)
	return d, nil
}

// lacks says what the bill has and its packages don't.
func (g *spdx3Reader) lacks(d *Document) {
	if g.imports > 0 {
		d.gap("imports", fmt.Sprintf("%d elements stand in other documents, which are not read", g.imports), scanning.ReasonUnsupported)
	}
	if g.dropped > 0 {
		d.gap("relationships", fmt.Sprintf("there are more than are read; the last %d were not", g.dropped), scanning.ReasonTooMany)
	}
}

type spdx3Reader struct {
	out       spdxDocument
	byID      map[string]*spdx3Element
	documents []*spdx3Element
	licence   map[string]string // declared, by package
	comment   map[string]string // concluded, by package
	imports   int
	room      int // how many relationships are still taken
	dropped   int // how many were not
}

func (g *spdx3Reader) read(graph []spdx3Element) {
	for i := range graph {
		e := &graph[i]
		switch e.Type {
		case "CreationInfo":
			g.creation(e)
		case "SpdxDocument":
			g.documents = append(g.documents, e)
			g.imports += len(e.Imports)
			g.out.Name = e.Name
		case "Relationship", "LifecycleScopedRelationship":
			g.relationship(e)
		}
	}
	g.roots()
	for i := range graph {
		switch graph[i].Type {
		case "software_Package", "ai_AIPackage", "dataset_DatasetPackage":
			g.out.Packages = append(g.out.Packages, g.pkg(&graph[i]))
		}
	}
}

func (g *spdx3Reader) creation(e *spdx3Element) {
	g.out.SPDXVersion = "SPDX-" + cmp.Or(e.SpecVersion, "3.0")
	g.out.CreationInfo.Created = e.Created
	for _, id := range e.Tools {
		if tool := g.byID[id]; tool != nil && tool.Name != "" && len(g.out.CreationInfo.Creators) < 100 {
			g.out.CreationInfo.Creators = append(g.out.CreationInfo.Creators, "Tool: "+tool.Name)
		}
	}
}

// roots are what the documents are of. Most documents say so of a bill, and the
// bill of a package. Each is asked once, however many name it: bills that name
// each other a hundred times would multiply.
func (g *spdx3Reader) roots() {
	seen := map[string]bool{}
	queue := slices.Clone(g.documents)
	for len(queue) > 0 {
		e := queue[0]
		queue = queue[1:]
		for _, id := range e.Roots {
			if seen[id] {
				continue
			}
			seen[id] = true
			if root := g.byID[id]; root != nil && len(root.Roots) > 0 {
				queue = append(queue, root)
				continue
			}
			g.out.DocumentDescribes = append(g.out.DocumentDescribes, id)
		}
	}
}

// relations are SPDX 2's words for those of 3.
var relations = map[string]string{
	"dependsOn": "DEPENDS_ON", "hasDynamicLink": "DYNAMIC_LINK", "hasStaticLink": "STATIC_LINK", "hasPrerequisite": "HAS_PREREQUISITE",
	"hasOptionalDependency": "DEPENDS_ON", "hasProvidedDependency": "DEPENDS_ON", "contains": "CONTAINS",
}

// maxRelations bounds what one element's lists may make, together with all others.
const maxRelations = 4_000_000

func (g *spdx3Reader) relationship(e *spdx3Element) {
	for _, to := range e.To {
		switch e.Relationship {
		case "hasDeclaredLicense":
			g.licence[e.From] = g.expression(to)
			continue
		case "hasConcludedLicense":
			g.comment[e.From] = g.expression(to)
			continue
		}
		kind, ok := relations[e.Relationship]
		if !ok {
			continue
		}
		if g.room <= 0 {
			g.dropped++
			continue
		}
		g.room--
		rel := spdxRelationship{Element: e.From, Type: kind, Related: to}
		if kind == "DEPENDS_ON" && (e.Scope == "development" || e.Scope == "test" || e.Scope == "build") {
			rel = spdxRelationship{Element: to, Type: "DEV_DEPENDENCY_OF", Related: e.From}
		}
		g.out.Relationships = append(g.out.Relationships, rel)
	}
}

// expression is a licence's; one of SPDX's list is named by its address alone.
func (g *spdx3Reader) expression(id string) string {
	if e := g.byID[id]; e != nil && e.Expression != "" {
		return e.Expression
	}
	switch {
	case strings.HasSuffix(id, "/NoAssertionLicense"), strings.HasSuffix(id, "/NoneLicense"):
		return noAssertion
	case strings.Contains(id, "spdx.org/licenses/"):
		return path.Base(id)
	}
	return ""
}

func (g *spdx3Reader) pkg(e *spdx3Element) spdxPackage {
	p := spdxPackage{
		SPDXID: e.ID, Name: e.Name, VersionInfo: e.Version, SourceInfo: e.SourceInfo, Purpose: purpose3(e.Purpose),
		LicenseDeclared: g.licence[e.ID], LicenseConcluded: g.comment[e.ID],
	}
	if e.PURL != "" {
		p.ExternalRefs = append(p.ExternalRefs, spdxExternalRef{spdxPurlManager, spdxPurlType, e.PURL})
	}
	for _, x := range e.Identifiers {
		if x.Type == "packageUrl" || x.Type == "purl" {
			p.ExternalRefs = append(p.ExternalRefs, spdxExternalRef{spdxPurlManager, spdxPurlType, x.Identifier})
		}
	}
	for _, h := range e.Hashes {
		p.Checksums = append(p.Checksums, spdxChecksum{strings.ReplaceAll(h.Algorithm, "_", "-"), h.Value})
	}
	return p
}

// purpose3 is operatingSystem as SPDX 2 writes it: OPERATING_SYSTEM.
func purpose3(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && 'A' <= r && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// isSPDX3 tells the format by its context, and whether it is one that is read:
// a context of one's own may rename every member.
func isSPDX3(context json.RawMessage) (is bool, err error) {
	var names oneOrMany
	_ = names.UnmarshalJSON(context)
	for _, n := range names {
		if rest, ok := strings.CutPrefix(n, "https://spdx.org/rdf/3."); ok {
			if !strings.HasPrefix(rest, "0") {
				return true, core.E(core.KindInvalid, op, "this is SPDX 3."+strings.SplitN(rest, "/", 2)[0]+", which is not read").WithHint(known)
			}
			return true, nil
		}
	}
	return false, nil
}
