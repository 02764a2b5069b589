package sbom

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// spdx3Element is any element of SPDX 3's graph, with the members that matter
// here. Each element has its own; none means two things in two of them.
type spdx3Element struct {
	Type         string       `json:"type"`
	Context      any          `json:"@context"`
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
	Elements     oneOrMany    `json:"element"`
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
// member.
type oneOrMany struct {
	ids   []string
	other bool // it has members that are no text: elements written in place
}

// UnmarshalJSON never fails: a member of another kind is for the caller to judge.
func (o *oneOrMany) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		o.ids = []string{one}
		return nil
	}
	var raw []json.RawMessage
	o.other = json.Unmarshal(data, &raw) != nil
	for _, r := range raw {
		if json.Unmarshal(r, &one) == nil {
			o.ids = append(o.ids, one)
		} else {
			o.other = true
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
	for _, gap := range g.gaps {
		d.gap(gap.What, gap.Why, gap.Reason)
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
	gaps      []scanning.Gap
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
		e := &graph[i]
		switch {
		case slices.Contains(packageTypes, e.Type):
			g.out.Packages = append(g.out.Packages, g.pkg(e))
		case e.Version != "" || len(urls(e)) > 0:
			g.gaps = append(g.gaps, scanning.Gap{What: e.label(), Why: "it says a version or a package url, and its type is none of a package's", Reason: scanning.ReasonUnsupported})
		}
		if e.Context != nil || e.Roots.other || e.Elements.other || e.To.other {
			g.gaps = append(g.gaps, scanning.Gap{What: e.label(), Why: "it has a context of its own or elements within it, which are not read", Reason: scanning.ReasonUnsupported})
		}
	}
}

// packageTypes are the types of elements that are packages.
var packageTypes = []string{"software_Package", "ai_AIPackage", "dataset_DatasetPackage"}

// label names an element to somebody who looks for it.
func (e *spdx3Element) label() string {
	return cmp.Or(strings.TrimSpace(e.Name+" "+e.Version), e.ID, e.Blank, "an element without a name")
}

// urls are the package urls that an element says of itself.
func urls(e *spdx3Element) []string {
	var out []string
	if e.PURL != "" {
		out = append(out, e.PURL)
	}
	for _, x := range e.Identifiers {
		if x.Type == "packageUrl" || x.Type == "purl" {
			out = append(out, x.Identifier)
		}
	}
	return out
}

func (g *spdx3Reader) creation(e *spdx3Element) {
	g.out.SPDXVersion = "SPDX-" + cmp.Or(e.SpecVersion, "3.0")
	g.out.CreationInfo.Created = e.Created
	for _, id := range e.Tools.ids {
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
		for _, id := range e.Roots.ids {
			if seen[id] {
				continue
			}
			seen[id] = true
			if root := g.byID[id]; root != nil && len(root.Roots.ids) > 0 {
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
	for _, to := range e.To.ids {
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
	for _, url := range urls(e) {
		p.ExternalRefs = append(p.ExternalRefs, spdxExternalRef{spdxPurlManager, spdxPurlType, url})
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

// spdxContext is the context of a version of SPDX 3.
var spdxContext = regexp.MustCompile(`^https://spdx\.org/rdf/3\.(\d+)(?:\.\d+)?/spdx-context\.jsonld$`)

// isSPDX3 tells the format by its context, and whether it is one that is read:
// any other context beside it may give every member another name.
func isSPDX3(context json.RawMessage) (is bool, err error) {
	var names oneOrMany
	if len(context) > 0 {
		_ = names.UnmarshalJSON(context)
	}
	if !slices.ContainsFunc(names.ids, func(n string) bool { return strings.HasPrefix(n, "https://spdx.org/rdf/3.") }) {
		return false, nil
	}
	for _, n := range names.ids {
		m := spdxContext.FindStringSubmatch(n)
		switch {
		case m == nil:
			names.other = true
		case m[1] != "0":
			return true, core.E(core.KindInvalid, op, "this is SPDX 3."+clip(m[1])+", which is not read").WithHint(known)
		}
	}
	if names.other {
		return true, core.E(core.KindInvalid, op, "this is SPDX 3 with a context that is not SPDX's own alone, which may rename what is read").WithHint("have the tool write it with SPDX's context; " + known)
	}
	return true, nil
}
