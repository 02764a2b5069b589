package sbom

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/sbom/purl"
)

// graph gives every package of a document a name that is unique in it, its
// package url wherever that is, and resolves the dependencies to those names.
type graph struct {
	packages []scanning.Package
	refs     []string          // of each package
	byPURL   map[string]string // a package url to the reference that edges go to
}

const subjectRef = "interlock:subject"

func newGraph(d *Document) graph {
	g := graph{packages: merge(sorted(d.Packages)), byPURL: map[string]string{}}
	used := map[string]bool{subjectRef: true, d.Subject.PURL: true}
	for i := range g.packages {
		p := &g.packages[i]
		if p.PURL == "" {
			p.PURL = purl.Of(p)
		}
		ref := unique(used, p)
		g.refs = append(g.refs, ref)
		if _, known := g.byPURL[p.PURL]; !known && p.PURL != "" {
			g.byPURL[p.PURL] = ref
		}
	}
	return g
}

// unique adds the file where the same package stands in several.
func unique(used map[string]bool, p *scanning.Package) string {
	base := cmp.Or(p.PURL, "interlock:"+url.PathEscape(p.Ecosystem)+"/"+url.PathEscape(p.Name)+"@"+url.PathEscape(p.Version))
	ref := base
	if used[ref] {
		ref = base + "#" + url.PathEscape(p.File+p.Layer)
	}
	for n := 2; used[ref]; n++ {
		ref = base + "#" + url.PathEscape(p.File+p.Layer) + "-" + strconv.Itoa(n)
	}
	used[ref] = true
	return ref
}

// requires returns the references that a package depends on. Edges that lead out
// of the document are not written: both formats forbid it.
func (g *graph) requires(i int) []string {
	var out []string
	for _, r := range g.packages[i].Requires {
		if ref, ok := g.byPURL[r]; ok && ref != g.refs[i] {
			out = append(out, ref)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// direct returns the references of the subject's own dependencies.
func (g *graph) direct() []string {
	var out []string
	for i := range g.packages {
		if g.packages[i].Direct {
			out = append(out, g.refs[i])
		}
	}
	slices.Sort(out)
	return out
}
