package vex

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/untrusted"
)

const (
	maxProducts = 100_000
	maxBranches = 64
)

// DecodeAdvisory takes somebody's disclosure in: CSAF 2.0 or OSV.
func DecodeAdvisory(r io.Reader) (*Advisory, error) {
	b, err := untrusted.JSON(r, untrusted.Limits{})
	if err != nil {
		return nil, err
	}
	h, err := decodeHead(b)
	switch {
	case err != nil:
		return nil, err
	case len(h.Document) > 0:
		return decodeCSAF(b)
	case h.ID != "" && h.Modified != "":
		return decodeOSV(b)
	}
	return nil, core.E(core.KindInvalid, "vex.DecodeAdvisory", "the document is neither a CSAF 2.0 advisory nor an OSV entry").WithHint("both are read as JSON, one a file")
}

func decodeCSAF(b []byte) (*Advisory, error) {
	var f csafFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, malformed("the document is not CSAF: " + err.Error())
	}
	if f.Document.Version != "2.0" {
		return nil, malformed(fmt.Sprintf("the document says CSAF %.20q; 2.0 is read", f.Document.Version))
	}
	r := csafReader{file: &f, products: map[string]Product{}, releases: map[string]string{}, groups: map[string][]string{}}
	r.readDocument()
	if t := f.ProductTree; t != nil {
		r.branches(t.Branches, 0)
		for _, p := range t.Names {
			r.product(&p)
		}
		for _, rel := range t.Relationships {
			r.relationship(&rel)
		}
		for _, g := range t.Groups {
			r.groups[g.ID] = g.Products
		}
	}
	for i := range f.Vulnerabilities {
		r.vulnerability(&f.Vulnerabilities[i])
	}
	return &r.advisory, nil
}

type csafReader struct {
	file     *csafFile
	advisory Advisory
	products map[string]Product
	releases map[string]string // of platforms that are a distribution's release: its distro qualifier
	groups   map[string][]string
	named    int // how many products flags, threats and remediations have named
}

func (r *csafReader) gap(what, why string, reason scanning.Reason) {
	if len(r.advisory.Gaps) < maxStatements {
		r.advisory.Gaps = append(r.advisory.Gaps, scanning.Gap{What: clip(what), Why: clip(why), Reason: reason})
	}
}

func (r *csafReader) readDocument() {
	d := &r.file.Document
	t := &d.Tracking
	r.advisory = Advisory{
		Format: "CSAF 2.0", ID: clip(t.ID), Title: clip(d.Title), Aliases: clips(t.Aliases), State: clip(t.Status), Category: clip(d.Category),
		Publisher: Publisher{Name: clip(d.Publisher.Name), Namespace: clip(d.Publisher.Namespace), Contact: clip(d.Publisher.Contact), Category: clip(d.Publisher.Category)},
		Published: when(t.Initial), Updated: when(t.Current), Withdrawn: d.Category == "csaf_withdrawn" || d.Category == "csaf_superseded", Summary: note(d.Notes, "summary", "description", "general"),
	}
	if dist := d.Distribution; dist != nil {
		if dist.TLP != nil {
			r.advisory.TLP = TLP(clip(dist.TLP.Label))
		}
		r.advisory.Embargo = embargoOf(dist.Text)
	}
	for _, h := range t.History {
		r.advisory.Revisions = append(r.advisory.Revisions, Revision{Number: clip(h.Number), At: when(h.Date), Summary: clip(h.Summary)})
	}
	for _, ref := range d.References {
		r.advisory.Links = append(r.advisory.Links, clip(ref.URL))
	}
}

// note returns the text of the first note of the categories, in their order.
func note(notes []csafNote, categories ...string) string {
	for _, c := range categories {
		for _, n := range notes {
			if n.Category == c {
				return clip(n.Text)
			}
		}
	}
	return ""
}

func (r *csafReader) branches(list []csafBranch, depth int) {
	if depth > maxBranches {
		r.gap("product_tree", fmt.Sprintf("branches are nested deeper than %d", maxBranches), scanning.ReasonTooDeep)
		return
	}
	for i := range list {
		if p := list[i].Product; p != nil {
			r.product(p)
		}
		r.branches(list[i].Branches, depth+1)
	}
}

func (r *csafReader) product(p *csafProduct) {
	if len(r.products) >= maxProducts {
		return
	}
	q := Product{Name: clip(p.Name)}
	if p.Helper != nil {
		q.PURL = clip(p.Helper.PURL)
		r.releases[p.ID] = release(p.Helper.CPE)
	}
	r.products[p.ID] = q
}

// platforms are the distributions that name their releases by CPE alone.
var platforms = []struct {
	cpe    *regexp.Regexp
	distro string
}{
	{regexp.MustCompile(`^cpe:(?:/|2\.3:)[ao]:redhat:enterprise_linux:(\d+)(?:[.:]|$)`), "rhel-"},
	{regexp.MustCompile(`^cpe:(?:/|2\.3:)o:suse:sles:(\d+)(?::sp(\d+))?(?::|$)`), "sles-"},
}

// release is the distro qualifier of a platform, "" if it is none that is known.
func release(cpe string) string {
	for _, p := range platforms {
		if m := p.cpe.FindStringSubmatch(cpe); m != nil {
			return p.distro + strings.Trim(strings.Join(m[1:], "."), ".")
		}
	}
	return ""
}

// inRelease qualifies a package url that doesn't say its release.
func inRelease(url, distro string) string {
	switch {
	case distro == "" || url == "" || strings.Contains(url, "distro="):
		return ""
	case strings.Contains(url, "?"):
		return url + "&distro=" + distro
	}
	return url + "?distro=" + distro
}

// relationship makes a part in a product of two products. Where only the part
// has a package url, and the product is no known release of a distribution,
// nothing says of which product it is, so it has none.
func (r *csafReader) relationship(rel *csafRelationship) {
	r.product(&rel.Product)
	q := r.products[rel.Product.ID]
	part, whole := r.products[rel.Reference], r.products[rel.RelatesTo]
	switch {
	case q.PURL != "" || part.PURL == "":
		return
	case whole.PURL != "":
		q.PURL, q.Parts = whole.PURL, []string{part.PURL}
	default:
		q.PURL = inRelease(part.PURL, r.releases[rel.RelatesTo])
	}
	r.products[rel.Product.ID] = q
}

// csafStatuses are the lists of product_status that say something of ours.
var csafStatuses = map[string]Status{
	"known_affected": Affected, "first_affected": Affected, "last_affected": Affected, "known_not_affected": NotAffected,
	"fixed": Fixed, "first_fixed": Fixed, "under_investigation": UnderInvestigation,
}

func (r *csafReader) vulnerability(v *csafVulnerability) {
	out := Vulnerability{
		ID: clip(v.CVE), Title: clip(v.Title), Description: note(v.Notes, "description", "summary", "details", "general"),
		Discovered: when(v.Discovery), Released: when(v.Release),
	}
	for _, id := range v.IDs {
		if out.ID == "" {
			out.ID = clip(id.Text)
			continue
		}
		out.Aliases = append(out.Aliases, clip(id.Text))
	}
	for _, s := range v.Scores {
		if s.CVSS3 != nil && s.CVSS3.Score > out.Score {
			out.CVSS, out.Score = clip(s.CVSS3.Vector), min(s.CVSS3.Score, 10)
		}
	}
	for _, in := range v.Involvements {
		out.Contacts = append(out.Contacts, Contact{At: when(in.Date), Party: clip(in.Party), Status: clip(in.Status), Summary: clip(in.Summary)})
	}
	for _, c := range v.Acknowledgments {
		out.Credits = append(out.Credits, clip(cmp.Or(strings.Join(c.Names, ", "), c.Org, c.Summary)))
	}
	out.Findings = r.statements(v)
	r.advisory.Vulnerabilities = append(r.advisory.Vulnerabilities, out)
}

// statements makes one for each product and status: flags, threats and
// remediations are by product.
func (r *csafReader) statements(v *csafVulnerability) []Statement {
	x := r.index(v)
	var out []Statement
	for _, word := range slices.Sorted(maps.Keys(v.ProductStatus)) {
		status, ok := csafStatuses[word]
		if !ok {
			continue // recommended: says nothing of being affected
		}
		for _, id := range v.ProductStatus[word] {
			p, known := r.products[id]
			switch {
			case len(out) >= maxStatements:
				r.gap(v.CVE, fmt.Sprintf("it speaks of more than %d products; the rest was not read", maxStatements), scanning.ReasonTooMany)
				return out
			case !known || p.PURL == "":
				r.gap(cmp.Or(v.CVE, v.Title), fmt.Sprintf("its product %q has no package url, so it matches nothing", clip(cmp.Or(p.Name, id))), scanning.ReasonUnsupported)
				continue
			}
			out = append(out, Statement{Products: []Product{p}, Status: status, Justification: x.flags[id], Impact: x.impact[id], Action: x.action[id]})
		}
	}
	return out
}

type csafIndex struct{ flags, impact, action map[string]string }

func (r *csafReader) index(v *csafVulnerability) csafIndex {
	x := csafIndex{map[string]string{}, map[string]string{}, map[string]string{}}
	for _, f := range v.Flags {
		r.each(f.Products, f.Groups, func(id string) { x.flags[id] = clip(f.Label) })
	}
	for _, t := range v.Threats {
		if t.Category == "impact" {
			r.each(t.Products, t.Groups, func(id string) { x.impact[id] = clip(t.Details) })
		}
	}
	for _, m := range v.Remediations {
		r.each(m.Products, m.Groups, func(id string) { x.action[id] = cmp.Or(x.action[id], clip(m.Details)) })
	}
	return x
}

// maxNamed bounds what groups multiply to: a thousand flags of a group of a
// million products are few bytes.
const maxNamed = 2_000_000

func (r *csafReader) each(products, groups []string, do func(string)) {
	list := products
	for i := -1; i < len(groups); i++ {
		if i >= 0 {
			list = r.groups[groups[i]]
		}
		for _, id := range list {
			if r.named++; r.named > maxNamed {
				if r.named == maxNamed+1 {
					r.gap("product_groups", "groups, flags, threats and remediations multiply to too many products; the rest was not read", scanning.ReasonTooMany)
				}
				return
			}
			do(id)
		}
	}
}
