package advisory

import (
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning"
)

// The tags that a finding may have.
const (
	TagUnrated        = "severity-unknown"
	TagMalicious      = "malicious"
	TagNoFix          = "no-fix"
	TagUbuntuPro      = "fix-needs-ubuntu-pro"
	TagReleaseUnknown = "release-unknown"
	// TagProductUnknown: a product on top of Enterprise Linux is affected, and
	// whether the package is from it, nothing says.
	TagProductUnknown = "product-unknown"
	// TagUnimportant: the distribution does not hold it for a security problem.
	TagUnimportant = "unimportant"
	// TagEndOfLife: the release has no security support for the package any more.
	TagEndOfLife = "end-of-life"
)

func (g *group) tags(p *scanning.Package) []string {
	var tags []string
	rated, pro := false, len(g.hits) > 0
	for _, h := range g.hits {
		rated = rated || h.record.grade.known || h.grade.known
		pro = pro && h.pro
		if strings.HasPrefix(h.record.id, "MAL-") {
			rated = true
			if !slices.Contains(tags, TagMalicious) {
				tags = append(tags, TagMalicious)
			}
		}
	}
	if !rated {
		tags = append(tags, TagUnrated)
	}
	if g.advice == "" {
		tags = append(tags, TagNoFix)
	}
	if pro {
		tags = append(tags, TagUbuntuPro)
	}
	if g.all(flagUnimportant) {
		tags = append(tags, TagUnimportant)
	}
	if g.all(flagEndOfLife) {
		tags = append(tags, TagEndOfLife)
	}
	if !slices.ContainsFunc(g.hits, func(h hit) bool { return !h.onTop }) {
		tags = append(tags, TagProductUnknown)
	}
	if base, release := split(p.Ecosystem); release == "" && families[base] >= debian && families[base] <= rpm && base != "Wolfi" && base != "Chainguard" && base != "MinimOS" {
		tags = append(tags, TagReleaseUnknown)
	}
	return tags
}

// sentence is the advice.
func (g *group) sentence(p *scanning.Package) string {
	for _, h := range g.hits {
		if strings.HasPrefix(h.record.id, "MAL-") {
			return "Remove " + p.Name + ": it is malicious, and treat what it could reach as stolen."
		}
	}
	name := p.Name
	if base, _ := split(p.Ecosystem); families[base] == debian && p.Source != "" {
		name = p.Source
	}
	switch {
	case g.advice != "":
		return "Update " + name + " to " + shown(p, g.advice) + "."
	case g.all(flagEndOfLife):
		return "No fix will come: this release no longer has security support for " + name + "."
	case g.all(flagUnimportant):
		return "No fix yet: Debian does not hold it for a security problem of its package."
	case len(g.fixed) > 0:
		return "No fix yet for this version: the fixed ones (" + strings.Join(g.fixed, ", ") + ") are older or affected again."
	}
	return "No fix yet."
}

// shown is a version as its users write it.
func shown(p *scanning.Package, version string) string {
	if p.Ecosystem == "Go" && p.Name != "stdlib" && p.Name != "toolchain" && !strings.HasPrefix(version, "v") {
		return "v" + version
	}
	return version
}

// all reports whether every member has a mark.
func (g *group) all(flag byte) bool {
	return !slices.ContainsFunc(g.hits, func(h hit) bool { return h.entry.flags&flag == 0 })
}
