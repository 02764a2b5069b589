package imports

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// govulncheckMessage is one of the stream; one member is set.
type govulncheckMessage struct {
	Config *struct {
		Scanner      string `json:"scanner_name"`
		Version      string `json:"scanner_version"`
		DB           string `json:"db"`
		LastModified string `json:"db_last_modified"`
		Level        string `json:"scan_level"`
		Mode         string `json:"scan_mode"`
	} `json:"config"`
	OSV     *osvEntry `json:"osv"`
	Finding *struct {
		OSV   string             `json:"osv"`
		Fixed string             `json:"fixed_version"`
		Trace []govulncheckFrame `json:"trace"`
	} `json:"finding"`
}

type govulncheckFrame struct {
	Module   string `json:"module"`
	Version  string `json:"version"`
	Package  string `json:"package"`
	Function string `json:"function"`
	Receiver string `json:"receiver"`
	Position *struct {
		Filename string `json:"filename"`
		Line     int    `json:"line"`
	} `json:"position"`
}

// govulncheck collects the stream: the same vulnerability of the same module
// comes up to three times, as module, package and symbol.
type govulncheck struct {
	in    *importer
	level string
	osv   map[string]*osvEntry
	found map[string]*scanning.Finding
	order []string
}

func readGovulncheck(in *importer, b []byte) error {
	g := govulncheck{in: in, osv: map[string]*osvEntry{}, found: map[string]*scanning.Finding{}}
	in.report.Tool, in.report.Scope.Kind = scanning.Tool{Name: "govulncheck"}, scanning.ScopeFolder
	dec := json.NewDecoder(bytes.NewReader(b))
	for {
		var m govulncheckMessage
		err := dec.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			in.gap("govulncheck", "the stream breaks off: "+err.Error(), scanning.ReasonMalformed)
			break
		}
		g.take(&m)
	}
	for _, key := range g.order {
		g.finish(g.found[key])
	}
	return nil
}

func (g *govulncheck) take(m *govulncheckMessage) {
	switch {
	case m.Config != nil:
		t := &g.in.report.Tool
		t.Version, t.Database, g.level = clip(m.Config.Version), when(m.Config.LastModified), m.Config.Level
	case m.OSV != nil:
		g.osv[m.OSV.ID] = m.OSV
	case m.Finding != nil && len(m.Finding.Trace) > 0:
		g.finding(m.Finding.OSV, m.Finding.Fixed, m.Finding.Trace)
	}
}

func (g *govulncheck) finding(id, fixed string, trace []govulncheckFrame) {
	at := trace[0]
	key := id + "\x00" + at.Module
	f := g.found[key]
	if f == nil {
		p := pack("", "Go", at.Module, at.Version, "go.mod")
		f = &scanning.Finding{Rule: id, Class: scanning.ClassVulnerability, Package: p, Location: scanning.Location{File: "go.mod"}, Reach: g.unreached()}
		g.found[key], g.order = f, append(g.order, key)
	}
	if fixed != "" && len(f.Fixed) == 0 {
		f.Fixed = []string{fixed}
	}
	if at.Package != "" {
		f.Reach = scanning.ReachImported
	}
	if at.Function != "" && f.Detail == "" {
		f.Detail = callTrace(trace)
	}
}

// unreached is what a module alone means: not imported, if packages were looked
// at too.
func (g *govulncheck) unreached() scanning.Reach {
	if g.level == "symbol" || g.level == "package" {
		return scanning.ReachNotImported
	}
	return scanning.ReachUnknown
}

// callTrace is the way from our code to the vulnerable function.
func callTrace(trace []govulncheckFrame) string {
	var b strings.Builder
	b.WriteString("Called: ")
	for i := len(trace) - 1; i >= 0 && b.Len() < 2000; i-- {
		f := trace[i]
		name := f.Function
		if f.Receiver != "" {
			name = f.Receiver + "." + name
		}
		b.WriteString(f.Package + "." + name)
		if i > 0 {
			b.WriteString(" → ")
		}
	}
	return b.String()
}

func (g *govulncheck) finish(f *scanning.Finding) {
	if e := g.osv[f.Rule]; e != nil {
		f.Title, f.Aliases, f.Links, f.Risk = e.Summary, e.Aliases, e.links(), e.risk()
		f.Detail = strings.TrimSpace(f.Detail + "\n\n" + e.Details)
		f.Severity = severity(e.DatabaseSpecific.Severity, 0)
	}
	f.Title = cmp.Or(f.Title, f.Rule+" in "+f.Package.Name)
	if f.Severity == "" {
		f.Severity = core.SeverityMedium // Go's database has no severities
	}
	f.Advice = advice(f.Package, f.Fixed)
	g.in.add(*f)
}
