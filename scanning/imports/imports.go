package imports

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/untrusted"
	"github.com/interlock-security/interlock/scanning/sarif"
)

const op = "imports.Read"

// Format is what a document turned out to be.
type Format string

// The formats.
const (
	FormatSARIF       Format = "sarif"
	FormatTrivy       Format = "trivy"
	FormatGrype       Format = "grype"
	FormatGitleaks    Format = "gitleaks"
	FormatOSVScanner  Format = "osv-scanner"
	FormatNPMAudit    Format = "npm-audit"
	FormatGovulncheck Format = "govulncheck"
	FormatGosec       Format = "gosec"
	FormatCycloneDX   Format = "cyclonedx"
	FormatPipAudit    Format = "pip-audit"
	FormatCargoAudit  Format = "cargo-audit"
)

// Formats lists them.
var Formats = []Format{
	FormatSARIF, FormatTrivy, FormatGrype, FormatGitleaks, FormatOSVScanner, FormatNPMAudit, FormatGovulncheck, FormatGosec, FormatCycloneDX,
	FormatPipAudit, FormatCargoAudit,
}

// Options say what a document doesn't.
type Options struct {
	// Format, if set, is not guessed. An empty list ("[]") can only be read so.
	Format Format
	// Root is the folder that was scanned, as the tool saw it: absolute paths
	// below it become relative to the scope.
	Root string
	// Scope is what was scanned; what is set of it goes before what the document
	// says. Re-imports of one scope must name it equally.
	Scope scanning.Scope
}

// Read reads a document; SARIF can hold several reports.
func Read(r io.Reader) ([]scanning.Report, Format, error) { return ReadWith(r, Options{}) }

// ReadWith is [Read] with options.
func ReadWith(r io.Reader, o Options) ([]scanning.Report, Format, error) {
	b, err := untrusted.JSON(r, untrusted.Limits{})
	if err != nil {
		return nil, "", err
	}
	format := o.Format
	if format == "" {
		if format, err = Detect(b); err != nil {
			return nil, "", err
		}
	}
	reports, err := read(b, format)
	if err != nil {
		return nil, format, err
	}
	for i := range reports {
		settle(&reports[i], o)
	}
	return reports, format, nil
}

func read(b []byte, format Format) ([]scanning.Report, error) {
	if format == FormatSARIF {
		return sarif.Decode(b)
	}
	reader, ok := readers[format]
	if !ok {
		return nil, unknown("there is no format " + untrusted.Clip(string(format), 40))
	}
	in := &importer{report: scanning.Report{Findings: []scanning.Finding{}}}
	if err := reader(in, b); err != nil {
		return nil, core.E(core.KindInvalid, op, "the document is not what "+string(format)+" writes: "+untrusted.Explain(b, err)).
			WithHint("check that the tool finished writing")
	}
	return []scanning.Report{in.report}, nil
}

var readers = map[Format]func(*importer, []byte) error{
	FormatTrivy: readTrivy, FormatGrype: readGrype, FormatGitleaks: readGitleaks, FormatOSVScanner: readOSVScanner,
	FormatNPMAudit: readNPMAudit, FormatGovulncheck: readGovulncheck, FormatGosec: readGosec, FormatCycloneDX: readCycloneDX,
	FormatPipAudit: readPipAudit, FormatCargoAudit: readCargoAudit,
}

type top map[string]json.RawMessage

// members tells a format by members of its top level. Where other tools use the
// same words it takes more to be sure: a report taken for another's could be
// read as clean.
var members = []struct {
	format Format
	all    []string
	sure   func(top) bool
}{
	{FormatCycloneDX, []string{"bomFormat", "vulnerabilities"}, nil},
	{FormatSARIF, []string{"runs", "version"}, nil},
	{FormatTrivy, []string{"SchemaVersion", "ArtifactName"}, nil},
	{FormatGrype, []string{"matches", "descriptor"}, nil},
	{FormatGosec, []string{"Issues", "Stats"}, nil},
	{FormatNPMAudit, []string{"auditReportVersion"}, nil},
	{FormatNPMAudit, []string{"advisories", "metadata", "actions"}, nil},
	{FormatNPMAudit, []string{"error"}, isNPMError},
	{FormatOSVScanner, []string{"results"}, isOSVScanner},
	{FormatGovulncheck, []string{"config"}, isGovulncheck},
	{FormatCargoAudit, []string{"database", "lockfile", "vulnerabilities"}, nil},
	{FormatPipAudit, []string{"dependencies"}, isPipAudit},
}

func isNPMError(t top) bool {
	var e struct{ Code, Summary string }
	return json.Unmarshal(t["error"], &e) == nil && e.Code != "" && e.Summary != ""
}

// isOSVScanner tells it from Semgrep, Bandit and tfsec, which write results too.
func isOSVScanner(t top) bool {
	for k := range t {
		if k != "results" && k != "experimental_config" && k != "image_metadata" && k != "license_summary" {
			return false
		}
	}
	var results []osvSource
	err := json.Unmarshal(t["results"], &results)
	return err == nil && !slices.ContainsFunc(results, func(r osvSource) bool { return r.Source == nil || r.Packages == nil })
}

type osvSource struct {
	Source   json.RawMessage `json:"source"`
	Packages json.RawMessage `json:"packages"`
}

func isGovulncheck(t top) bool {
	var c struct {
		Protocol string `json:"protocol_version"`
	}
	return len(t) == 1 && json.Unmarshal(t["config"], &c) == nil && c.Protocol != ""
}

// others are documents that belong elsewhere.
var others = []struct{ member, where string }{
	{"bomFormat", "this is a bill of materials without vulnerabilities: give it to `interlock scan sbom`"},
	{"spdxVersion", "this is a bill of materials: give it to `interlock scan sbom`"},
	{"@context", "this looks like OpenVEX, which says what findings mean: give it to `interlock findings vex import`"},
	{"document", "this looks like a CSAF advisory, which says what findings mean: give it to `interlock findings vex import`"},
}

// Detect tells a document's format.
func Detect(b []byte) (Format, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	var first json.RawMessage
	if err := dec.Decode(&first); err != nil {
		return "", unknown("the document is not JSON: " + untrusted.Explain(b, err))
	}
	if first = bytes.TrimSpace(first); len(first) > 0 && first[0] == '[' {
		return detectList(first)
	}
	var top top
	if err := json.Unmarshal(first, &top); err != nil || top == nil {
		return "", unknown("the document is no JSON object or list")
	}
	for _, m := range members {
		if hasAll(top, m.all) && (m.sure == nil || m.sure(top)) {
			return m.format, nil
		}
	}
	for _, o := range others {
		if _, ok := top[o.member]; ok {
			return "", unknown(o.where)
		}
	}
	return "", unknown("nobody knows this document")
}

func hasAll(top top, names []string) bool {
	for _, n := range names {
		if _, ok := top[n]; !ok {
			return false
		}
	}
	return true
}

func detectList(b []byte) (Format, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil || len(list) == 0 {
		return "", unknown("an empty list doesn't say which tool wrote it").WithHint("an empty list is how gitleaks says that it found nothing; if it is gitleaks: --format gitleaks")
	}
	var item top
	if json.Unmarshal(list[0], &item) == nil && hasAll(item, []string{"RuleID", "Secret"}) {
		return FormatGitleaks, nil
	}
	return "", unknown("nobody knows this list")
}

func unknown(msg string) *core.Error {
	names := make([]string, len(Formats))
	for i, f := range Formats {
		names[i] = string(f)
	}
	return core.E(core.KindInvalid, op, msg).WithHint("these are read, as JSON: " + strings.Join(names, ", "))
}

// settle does what is the same for all formats: paths below the root become
// relative, none leads out of it, and fingerprints are computed at the end.
func settle(r *scanning.Report, o Options) {
	r.Scope.Kind = cmp.Or(o.Scope.Kind, r.Scope.Kind, scanning.ScopeFolder)
	r.Scope.Name, r.Scope.Revision = cmp.Or(o.Scope.Name, r.Scope.Name), cmp.Or(o.Scope.Revision, r.Scope.Revision)
	if o.Scope.Parts != nil || o.Scope.Excluded != nil {
		r.Scope.Parts, r.Scope.Excluded = o.Scope.Parts, o.Scope.Excluded
	}
	root := strings.TrimSuffix(slashes(o.Root), "/")
	for i := range r.Findings {
		f := &r.Findings[i]
		before := f.Location.File
		f.Location.File = inside(before, root)
		if f.Package != nil && f.Package.File != "" {
			f.Package.File = inside(f.Package.File, root)
		}
		if before != "" && f.Location.File == "" {
			r.Gaps = append(r.Gaps, scanning.Gap{What: f.Rule, Why: "its file " + before + " is outside of what was scanned, so it is kept without its place", Reason: scanning.ReasonMalformed})
		}
		if f.Fingerprint == "" || before != f.Location.File {
			f.Fingerprint = scanning.Fingerprint(f)
		}
	}
	for i := range r.Packages {
		r.Packages[i].File = inside(r.Packages[i].File, root)
	}
}

func slashes(p string) string { return strings.ReplaceAll(p, `\`, "/") }

// inside makes a path relative to the root; "" if it leads out.
func inside(file, root string) string {
	if file == "" {
		return ""
	}
	p := path.Clean(slashes(file))
	if rest, ok := strings.CutPrefix(p, root+"/"); ok && root != "" {
		p = rest
	}
	if p == ".." || strings.HasPrefix(p, "../") || p == "." {
		return ""
	}
	return p
}
