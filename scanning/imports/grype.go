package imports

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/interlock-security/interlock/scanning"
)

type grypeReport struct {
	Matches []json.RawMessage `json:"matches"`
	Source  struct {
		Type   string          `json:"type"`
		Target json.RawMessage `json:"target"`
	} `json:"source"`
	Distro struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"distro"`
	Descriptor struct {
		Version   string `json:"version"`
		Timestamp string `json:"timestamp"`
		DB        struct {
			Built  string `json:"built"` // up to schema 5
			Error  any    `json:"error"`
			Status struct {
				Built string `json:"built"`
				Error string `json:"error"`
			} `json:"status"`
		} `json:"db"`
	} `json:"descriptor"`
	Ignored []json.RawMessage `json:"ignoredMatches"`
	Alerts  []json.RawMessage `json:"alertsByPackage"`
}

// grypeIgnored is a match that a rule of the configuration took out.
type grypeIgnored struct {
	grypeMatch
	Rules []struct {
		Reason string `json:"reason"`
		VEX    string `json:"vex-status"`
	} `json:"appliedIgnoreRules"`
}

type grypeMatch struct {
	Vulnerability struct {
		grypeAdvisory
		KnownExploited []struct {
			DateAdded  string `json:"dateAdded"`
			Ransomware string `json:"knownRansomwareCampaignUse"`
		} `json:"knownExploited"`
		EPSS []struct {
			EPSS float64 `json:"epss"`
		} `json:"epss"`
		Fix struct {
			Versions []string `json:"versions"`
			State    string   `json:"state"`
		} `json:"fix"`
	} `json:"vulnerability"`
	Related  []grypeAdvisory `json:"relatedVulnerabilities"`
	Artifact struct {
		Name      string `json:"name"`
		Version   string `json:"version"`
		Type      string `json:"type"`
		PURL      string `json:"purl"`
		Locations []struct {
			Path    string `json:"path"`
			LayerID string `json:"layerID"`
		} `json:"locations"`
		Upstreams []struct {
			Name    string `json:"name"`
			Version string `json:"version"`
		} `json:"upstreams"`
	} `json:"artifact"`
}

type grypeAdvisory struct {
	ID          string   `json:"id"`
	DataSource  string   `json:"dataSource"`
	Severity    string   `json:"severity"`
	Description string   `json:"description"`
	URLs        []string `json:"urls"`
	CVSS        []struct {
		Vector  string `json:"vector"`
		Metrics struct {
			BaseScore float64 `json:"baseScore"`
		} `json:"metrics"`
	} `json:"cvss"`
}

func readGrype(in *importer, b []byte) error {
	var g grypeReport
	if err := json.Unmarshal(b, &g); err != nil {
		return err
	}
	r, d := &in.report, &g.Descriptor
	r.Tool = scanning.Tool{Name: "grype", Version: clip(d.Version), Database: when(cmp.Or(d.DB.Status.Built, d.DB.Built))}
	r.Started, r.Finished = when(d.Timestamp), when(d.Timestamp)
	r.Scope = grypeScope(&g)
	if why, ok := d.DB.Error.(string); ok && why != "" || d.DB.Status.Error != "" {
		in.gap("grype's database", cmp.Or(why, d.DB.Status.Error), scanning.ReasonStale)
	}
	each(in, "match", g.Matches, in.grypeMatch)
	each(in, "ignored match", g.Ignored, in.grypeIgnored)
	return nil
}

func grypeScope(g *grypeReport) scanning.Scope {
	s := scanning.Scope{Kind: scanning.ScopeFolder}
	if json.Unmarshal(g.Source.Target, &s.Name) == nil { // a folder's path
		s.Name = clip(s.Name)
		return s
	}
	var image struct {
		UserInput      string `json:"userInput"`
		ManifestDigest string `json:"manifestDigest"`
		ImageID        string `json:"imageID"`
	}
	if json.Unmarshal(g.Source.Target, &image) == nil {
		s = scanning.Scope{Kind: scanning.ScopeImage, Name: clip(image.UserInput), Revision: clip(cmp.Or(image.ManifestDigest, image.ImageID))}
	}
	return s
}

func (in *importer) grypeMatch(m *grypeMatch) {
	v, a := &m.Vulnerability, &m.Artifact
	p := pack(a.PURL, "", a.Name, a.Version, "")
	f := scanning.Finding{
		Rule: v.ID, Class: scanning.ClassVulnerability, Title: v.ID + " in " + a.Name, Detail: v.Description, Package: p,
		Fixed: v.Fix.Versions, Links: append([]string{v.DataSource}, v.URLs...), Risk: grypeRisk(m),
	}
	if len(a.Locations) > 0 {
		f.Location = scanning.Location{File: strings.TrimPrefix(a.Locations[0].Path, "/"), Layer: a.Locations[0].LayerID}
		p.File, p.Layer = clip(f.Location.File), clip(f.Location.Layer)
	}
	for _, u := range a.Upstreams {
		p.Source, p.SourceVersion = clip(u.Name), clip(u.Version)
		break
	}
	for i := range m.Related {
		f.Aliases = append(f.Aliases, m.Related[i].ID)
		f.Detail = cmp.Or(f.Detail, m.Related[i].Description)
	}
	if v.Fix.State == "wont-fix" {
		f.Tags = []string{"status:wont-fix"}
	}
	f.Advice, f.Severity = advice(p, f.Fixed), severity(v.Severity, f.Risk.Score)
	in.add(f)
}

// grypeIgnored keeps a match that the tool was told to ignore, and says so: what
// is left out would look fixed.
func (in *importer) grypeIgnored(m *grypeIgnored) {
	before := len(in.report.Findings)
	in.grypeMatch(&m.grypeMatch)
	for i := before; i < len(in.report.Findings); i++ {
		f, status := &in.report.Findings[i], "ignored"
		for _, r := range m.Rules {
			status = cmp.Or(r.VEX, status)
			f.Detail = clip(strings.TrimSpace(f.Detail + "\n\nSuppressed: " + cmp.Or(r.Reason, r.VEX, "by a rule of grype's configuration")))
		}
		f.Tags = append(f.Tags, "suppressed:"+clip(status))
	}
}

func grypeRisk(m *grypeMatch) scanning.Risk {
	var r scanning.Risk
	for _, a := range append([]grypeAdvisory{m.Vulnerability.grypeAdvisory}, m.Related...) {
		for _, c := range a.CVSS {
			if strings.HasPrefix(c.Vector, "CVSS:") && c.Metrics.BaseScore > r.Score {
				r.CVSS, r.Score = clip(c.Vector), c.Metrics.BaseScore
			}
		}
	}
	for _, e := range m.Vulnerability.EPSS {
		r.EPSS = max(r.EPSS, min(e.EPSS, 1))
	}
	for _, k := range m.Vulnerability.KnownExploited {
		r.KEV, r.Ransomware = when(k.DateAdded), strings.EqualFold(k.Ransomware, "known")
		break
	}
	return r
}
