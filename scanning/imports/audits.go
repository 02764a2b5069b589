package imports

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/priority"
)

// pipReport is what pip-audit writes.
type pipReport struct {
	Dependencies []json.RawMessage `json:"dependencies"`
}

type pipDependency struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Skipped is why the tool did not ask about it.
	Skipped string             `json:"skip_reason"`
	Vulns   []pipVulnerability `json:"vulns"`
}

type pipVulnerability struct {
	ID          string   `json:"id"`
	Aliases     []string `json:"aliases"`
	Fixed       []string `json:"fix_versions"`
	Description string   `json:"description"`
}

// isPipAudit tells it from other tools that list dependencies: some have
// vulnerabilities or why they were left out, or there is a list of fixes.
func isPipAudit(t top) bool {
	var list []json.RawMessage
	if json.Unmarshal(t["dependencies"], &list) != nil || len(t) > 2 {
		return false
	}
	_, fixes := t["fixes"]
	return fixes || slices.ContainsFunc(list, func(raw json.RawMessage) bool {
		var d top
		return json.Unmarshal(raw, &d) == nil && (d["vulns"] != nil || d["skip_reason"] != nil)
	})
}

// readPipAudit reads a report that says nothing of where the packages are from,
// nor how severe anything is.
func readPipAudit(in *importer, b []byte) error {
	var r pipReport
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	in.report.Tool, in.report.Scope.Kind = scanning.Tool{Name: "pip-audit"}, scanning.ScopeFolder
	each(in, "dependency", r.Dependencies, func(d *pipDependency) {
		if d.Skipped != "" {
			in.gap(d.Name, "pip-audit left it out: "+d.Skipped, scanning.ReasonUnsupported)
			return
		}
		p := pack("", "PyPI", d.Name, d.Version, "")
		in.report.Packages = append(in.report.Packages, *p)
		for _, v := range d.Vulns {
			title, _, _ := strings.Cut(strings.TrimSpace(v.Description), "\n")
			in.add(scanning.Finding{
				Rule: v.ID, Class: scanning.ClassVulnerability, Title: cmp.Or(title, v.ID+" in "+d.Name), Detail: v.Description, Severity: severity("", 0), Package: p,
				Aliases: v.Aliases, Fixed: v.Fixed, Advice: advice(p, v.Fixed),
			})
		}
	})
	return nil
}

// cargoReport is what cargo audit writes.
type cargoReport struct {
	Database struct {
		Updated string `json:"last-updated"`
	} `json:"database"`
	Settings struct {
		Ignore []string `json:"ignore"`
	} `json:"settings"`
	Vulnerabilities struct {
		List []json.RawMessage `json:"list"`
	} `json:"vulnerabilities"`
	// Warnings are by kind: unmaintained, unsound, yanked, notice.
	Warnings map[string][]json.RawMessage `json:"warnings"`
}

type cargoEntry struct {
	Kind     string `json:"kind"`
	Advisory *struct {
		ID          string   `json:"id"`
		Title       string   `json:"title"`
		Description string   `json:"description"`
		Date        string   `json:"date"`
		Aliases     []string `json:"aliases"`
		CVSS        string   `json:"cvss"`
		URL         string   `json:"url"`
	} `json:"advisory"`
	Versions *struct {
		Patched []string `json:"patched"`
	} `json:"versions"`
	Package struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"package"`
}

const cargoLock = "Cargo.lock"

func readCargoAudit(in *importer, b []byte) error {
	var r cargoReport
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	in.report.Tool = scanning.Tool{Name: "cargo-audit", Database: when(r.Database.Updated)}
	in.report.Scope.Kind = scanning.ScopeFolder
	for _, id := range r.Settings.Ignore {
		in.gap(id, "cargo audit was told to ignore it, so that it is not named says nothing", scanning.ReasonUnsupported)
	}
	each(in, "vulnerability", r.Vulnerabilities.List, func(e *cargoEntry) { in.cargo(e, severity("", 0)) })
	for _, kind := range slices.Sorted(maps.Keys(r.Warnings)) {
		each(in, kind+" warning", r.Warnings[kind], func(e *cargoEntry) {
			e.Kind = cmp.Or(e.Kind, kind)
			in.cargo(e, severity("low", 0))
		})
	}
	return nil
}

// cargo adds an entry; what was yanked has no advisory.
func (in *importer) cargo(e *cargoEntry, usual core.Severity) {
	p := pack("", "crates.io", e.Package.Name, e.Package.Version, cargoLock)
	f := scanning.Finding{Class: scanning.ClassVulnerability, Package: p, Location: scanning.Location{File: cargoLock}, Severity: usual}
	if e.Kind != "" {
		f.Rule, f.Title, f.Tags = e.Kind, e.Package.Name+" "+e.Package.Version+" is "+e.Kind, []string{e.Kind}
	}
	if a := e.Advisory; a != nil {
		f.Rule, f.Title, f.Detail, f.Aliases = cmp.Or(a.ID, f.Rule), cmp.Or(a.Title, f.Title), a.Description, a.Aliases
		f.Links, f.Risk = []string{a.URL}, scanning.Risk{CVSS: clip(a.CVSS), Published: when(a.Date)}
		if c, err := priority.ParseCVSS(a.CVSS); err == nil && a.CVSS != "" {
			f.Risk.Score = c.Score
			f.Severity = c.Severity()
		}
	}
	if e.Versions != nil {
		for _, v := range e.Versions.Patched {
			if v, ok := strings.CutPrefix(v, ">="); ok && !strings.Contains(v, ",") { // others are ranges, not versions
				f.Fixed = append(f.Fixed, strings.TrimSpace(v))
			}
		}
	}
	f.Advice = advice(p, f.Fixed)
	in.add(f)
}
