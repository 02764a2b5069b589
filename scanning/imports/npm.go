package imports

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning"
)

type npmReport struct {
	Version         int                        `json:"auditReportVersion"`
	Vulnerabilities map[string]json.RawMessage `json:"vulnerabilities"`
	Advisories      map[string]json.RawMessage `json:"advisories"` // npm 6
	Error           *struct {
		Code    string `json:"code"`
		Summary string `json:"summary"`
	} `json:"error"`
}

type npmPackage struct {
	Name         string            `json:"name"`
	IsDirect     bool              `json:"isDirect"`
	Via          []json.RawMessage `json:"via"` // a name, or an advisory
	Nodes        []string          `json:"nodes"`
	FixAvailable json.RawMessage   `json:"fixAvailable"` // true, false or a package
}

type npmAdvisory struct {
	Source   int64    `json:"source"`
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	URL      string   `json:"url"`
	Severity string   `json:"severity"`
	CWE      []string `json:"cwe"`
	Range    string   `json:"range"`
	CVSS     struct {
		Score  float64 `json:"score"`
		Vector string  `json:"vectorString"`
	} `json:"cvss"`
}

type npmOldAdvisory struct {
	ID       int64    `json:"id"`
	Module   string   `json:"module_name"`
	Title    string   `json:"title"`
	Severity string   `json:"severity"`
	URL      string   `json:"url"`
	GitHub   string   `json:"github_advisory_id"`
	CVEs     []string `json:"cves"`
	Overview string   `json:"overview"`
	Patched  string   `json:"patched_versions"`
	Findings []struct {
		Version string `json:"version"`
	} `json:"findings"`
}

const npmLock = "package-lock.json"

func readNPMAudit(in *importer, b []byte) error {
	var n npmReport
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	in.report.Tool, in.report.Scope.Kind = scanning.Tool{Name: "npm audit"}, scanning.ScopeFolder
	if n.Error != nil {
		in.gap("npm audit", fmt.Sprintf("it failed and audited nothing: %s %s", n.Error.Code, n.Error.Summary), scanning.ReasonUnreadable)
	}
	each(in, "vulnerability", values(n.Vulnerabilities), in.npmPackage)
	each(in, "advisory", values(n.Advisories), in.npmOldAdvisory)
	return nil
}

// values returns a map's values in the order of their keys.
func values(m map[string]json.RawMessage) []json.RawMessage {
	out := make([]json.RawMessage, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

// npmPackage adds the advisories of a package itself. Those that reach it by a
// dependency stand at the dependency.
func (in *importer) npmPackage(p *npmPackage) {
	for _, raw := range p.Via {
		var a npmAdvisory
		if len(raw) > 0 && raw[0] == '"' || json.Unmarshal(raw, &a) != nil {
			continue
		}
		q := pack("", "npm", cmp.Or(a.Name, p.Name), "", npmLock)
		q.Direct = p.IsDirect
		f := scanning.Finding{
			Rule: cmp.Or(ghsa(a.URL), fmt.Sprintf("npm-%d", a.Source)), Class: scanning.ClassVulnerability, Title: a.Title, Package: q, Links: []string{a.URL}, Tags: a.CWE,
			Detail:   "Affected are versions " + a.Range + "; installed at " + strings.Join(p.Nodes[:min(len(p.Nodes), 20)], ", "),
			Location: scanning.Location{File: npmLock}, Advice: npmAdvice(p), Risk: scanning.Risk{CVSS: clip(a.CVSS.Vector), Score: bounded(a.CVSS.Score)},
		}
		f.Severity = severity(a.Severity, f.Risk.Score)
		in.add(f)
	}
}

func bounded(score float64) float64 { return max(0, min(score, 10)) }

func ghsa(url string) string {
	if id := path.Base(url); strings.HasPrefix(id, "GHSA-") {
		return id
	}
	return ""
}

// npmAdvice: npm says which direct dependency to update, and to what.
func npmAdvice(p *npmPackage) string {
	var fix struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Major   bool   `json:"isSemVerMajor"`
	}
	switch {
	case json.Unmarshal(p.FixAvailable, &fix) == nil && fix.Name != "":
		s := "Update " + fix.Name + " to " + fix.Version
		if fix.Major {
			s += ", a new major version"
		}
		return s + "."
	case string(p.FixAvailable) == "true":
		return "Run npm audit fix."
	}
	return ""
}

func (in *importer) npmOldAdvisory(a *npmOldAdvisory) {
	version := ""
	if len(a.Findings) > 0 {
		version = a.Findings[0].Version
	}
	q := pack("", "npm", a.Module, version, npmLock)
	f := scanning.Finding{
		Rule: cmp.Or(a.GitHub, fmt.Sprintf("npm-%d", a.ID)), Class: scanning.ClassVulnerability, Title: a.Title, Detail: a.Overview, Severity: severity(a.Severity, 0),
		Package: q, Aliases: a.CVEs, Links: []string{a.URL}, Location: scanning.Location{File: npmLock},
	}
	if strings.HasPrefix(a.Patched, ">=") && !strings.Contains(a.Patched, "<0.0.0") {
		f.Advice = "Update " + q.Name + " to " + strings.TrimPrefix(a.Patched, ">=") + " or above."
	}
	in.add(f)
}
