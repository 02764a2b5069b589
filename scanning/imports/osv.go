package imports

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/scanning"
)

// osvEntry is an advisory in OSV's form, as OSV-Scanner and govulncheck repeat it.
type osvEntry struct {
	ID        string   `json:"id"`
	Aliases   []string `json:"aliases"`
	Summary   string   `json:"summary"`
	Details   string   `json:"details"`
	Published string   `json:"published"`
	Modified  string   `json:"modified"`
	Severity  []struct {
		Type  string `json:"type"`
		Score string `json:"score"`
	} `json:"severity"`
	Affected []struct {
		Package struct {
			Name      string `json:"name"`
			Ecosystem string `json:"ecosystem"`
		} `json:"package"`
		Ranges []struct {
			Type   string `json:"type"`
			Events []struct {
				Fixed string `json:"fixed"`
			} `json:"events"`
		} `json:"ranges"`
	} `json:"affected"`
	References []struct {
		URL string `json:"url"`
	} `json:"references"`
	DatabaseSpecific struct {
		Severity string `json:"severity"`
		URL      string `json:"url"`
	} `json:"database_specific"`
}

func (e *osvEntry) links() []string {
	out := []string{e.DatabaseSpecific.URL}
	for _, r := range e.References {
		out = append(out, r.URL)
	}
	return out
}

// fixed lists the versions that fix it for a package, in the advisory's order.
func (e *osvEntry) fixed(name string) []string {
	var out []string
	for _, a := range e.Affected {
		for _, r := range a.Ranges {
			for _, ev := range r.Events {
				if a.Package.Name == name && r.Type != "GIT" && ev.Fixed != "" && len(out) < maxList {
					out = append(out, ev.Fixed)
				}
			}
		}
	}
	return out
}

func (e *osvEntry) risk() scanning.Risk {
	r := scanning.Risk{Published: when(e.Published), Modified: when(e.Modified)}
	for _, s := range e.Severity {
		if strings.HasPrefix(s.Score, "CVSS:") {
			r.CVSS = clip(s.Score)
		}
	}
	return r
}

type osvReport struct {
	Results []json.RawMessage `json:"results"`
}

type osvResult struct {
	Source struct {
		Path string `json:"path"`
		Type string `json:"type"`
	} `json:"source"`
	Packages []json.RawMessage `json:"packages"`
}

type osvPackage struct {
	Package struct {
		Name      string `json:"name"`
		Version   string `json:"version"`
		Ecosystem string `json:"ecosystem"`
	} `json:"package"`
	DepGroups       []string   `json:"dependency_groups"`
	Vulnerabilities []osvEntry `json:"vulnerabilities"`
	Groups          []osvGroup `json:"groups"`
}

// osvGroup are advisories that are the same: one finding.
type osvGroup struct {
	IDs         []string `json:"ids"`
	Aliases     []string `json:"aliases"`
	MaxSeverity string   `json:"max_severity"`
	Analysis    map[string]struct {
		Called bool `json:"called"`
	} `json:"experimentalAnalysis"`
}

func readOSVScanner(in *importer, b []byte) error {
	var o osvReport
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	in.report.Tool, in.report.Scope.Kind = scanning.Tool{Name: "osv-scanner"}, scanning.ScopeFolder
	each(in, "result", o.Results, func(r *osvResult) {
		each(in, r.Source.Path+" package", r.Packages, func(p *osvPackage) { in.osvPackage(p, r.Source.Path) })
	})
	return nil
}

func (in *importer) osvPackage(p *osvPackage, file string) {
	q := pack("", p.Package.Ecosystem, p.Package.Name, p.Package.Version, file)
	q.Dev = len(p.DepGroups) > 0 && !slices.ContainsFunc(p.DepGroups, func(g string) bool { return g != "dev" && g != "test" })
	in.report.Packages = append(in.report.Packages, *q)
	byID := map[string]*osvEntry{}
	for i := range p.Vulnerabilities {
		byID[p.Vulnerabilities[i].ID] = &p.Vulnerabilities[i]
	}
	groups := p.Groups
	if len(groups) == 0 { // older versions
		for id := range byID {
			groups = append(groups, osvGroup{IDs: []string{id}})
		}
		slices.SortFunc(groups, func(a, b osvGroup) int { return cmp.Compare(a.IDs[0], b.IDs[0]) })
	}
	for _, g := range groups {
		in.osvGroup(q, g, byID)
	}
}

func (in *importer) osvGroup(p *scanning.Package, g osvGroup, byID map[string]*osvEntry) {
	f := scanning.Finding{Class: scanning.ClassVulnerability, Package: p, Location: scanning.Location{File: p.File}}
	var word string
	for _, id := range g.IDs {
		f.Rule = cmp.Or(f.Rule, id)
		f.Aliases = append(f.Aliases, id)
		e := byID[id]
		if e == nil {
			continue
		}
		f.Title, f.Detail, word = cmp.Or(f.Title, e.Summary), cmp.Or(f.Detail, e.Details), cmp.Or(word, e.DatabaseSpecific.Severity)
		f.Aliases, f.Links, f.Fixed = append(f.Aliases, e.Aliases...), append(f.Links, e.links()...), append(f.Fixed, e.fixed(p.Name)...)
		if r := e.risk(); f.Risk.CVSS == "" {
			f.Risk = r
		}
	}
	f.Aliases = slices.DeleteFunc(append(f.Aliases, g.Aliases...), func(a string) bool { return a == f.Rule })
	f.Risk.Score, _ = strconv.ParseFloat(g.MaxSeverity, 64)
	if !(f.Risk.Score >= 0 && f.Risk.Score <= 10) {
		f.Risk.Score = 0
	}
	f.Reach = g.reach()
	f.Title = cmp.Or(f.Title, f.Rule+" in "+p.Name)
	f.Severity, f.Advice = severity(word, f.Risk.Score), advice(p, f.Fixed)
	in.add(f)
}

// reach is what call analysis says, if it ran: one call is enough.
func (g *osvGroup) reach() scanning.Reach {
	r := scanning.ReachUnknown
	for _, a := range g.Analysis {
		if a.Called {
			return scanning.ReachImported
		}
		r = scanning.ReachNotImported
	}
	return r
}
