package sbom

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/scanning"
)

// Document is a bill of materials, whatever its format.
type Document struct {
	// Format is what it was read from: "CycloneDX 1.5 JSON".
	Format string
	// Subject is what the bill is of.
	Subject Subject
	// Serial is the document's own name, a URI; urn:uuid:... is both formats'
	// favourite. Encoders derive one from the content where it is empty.
	Serial  string
	Created time.Time
	Tools   []Tool
	// Packages are in no order; their Requires are the dependency graph. Those
	// that are Direct are the subject's own dependencies.
	Packages []scanning.Package
	// Gaps is what the bill lacks: parts that the inventory could not read, or
	// components that say too little. A bill without gaps calls itself complete.
	Gaps []scanning.Gap
	// Findings, if there are any, are written as CycloneDX vulnerabilities with
	// the analysis that their VEX statements give. They are never read.
	Findings []scanning.Finding
}

// Subject is the thing that consists of the packages.
type Subject struct {
	Kind    scanning.ScopeKind
	Name    string
	Version string
	PURL    string
	// Digest is "sha256:hex", as images have it.
	Digest string
}

// Tool is a program that took part in making the bill.
type Tool struct{ Name, Version string }

// Report is the bill as the result of a scan: packages and gaps, no findings.
func (d *Document) Report() scanning.Report {
	r := scanning.Report{
		Tool:     scanning.Tool{Name: "sbom", Version: d.Format},
		Scope:    scanning.Scope{Kind: scanning.ScopeSBOM, Name: cmp.Or(d.Subject.Name, d.Serial), Revision: cmp.Or(d.Subject.Digest, d.Subject.Version)},
		Findings: []scanning.Finding{}, Packages: d.Packages, Gaps: d.Gaps, Started: d.Created, Finished: d.Created,
		Scanned: map[string]int64{"packages": int64(len(d.Packages))},
	}
	if len(d.Tools) > 0 {
		r.Tool.Name, r.Tool.Version = d.Tools[0].Name, d.Tools[0].Version
	}
	return r
}

// serial returns the document's name, derived from what is in it where it has
// none: the same content has the same name.
func (d *Document) serial() string {
	if d.Serial != "" {
		return d.Serial
	}
	h := sha256.New()
	_ = json.NewEncoder(h).Encode([]any{d.Subject, d.Created, d.Tools, sorted(d.Packages), d.Gaps})
	b := h.Sum(nil)[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // a UUID of version 8: of one's own making
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// sorted returns the packages in the order in which they are written.
func sorted(packages []scanning.Package) []scanning.Package {
	out := slices.Clone(packages)
	slices.SortFunc(out, func(a, b scanning.Package) int {
		return cmp.Or(
			cmp.Compare(a.Ecosystem, b.Ecosystem), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version),
			cmp.Compare(a.PURL, b.PURL), cmp.Compare(a.File, b.File), cmp.Compare(a.Layer, b.Layer),
		)
	})
	return out
}

// merge makes one of packages that are the same in name, version and place.
// Order is kept.
func merge(packages []scanning.Package) []scanning.Package {
	at := make(map[string]int, len(packages))
	out := packages[:0:0]
	for _, p := range packages {
		key := strings.Join([]string{p.Ecosystem, p.Name, p.Version, p.PURL, p.File, p.Layer}, "\x00")
		i, seen := at[key]
		if !seen {
			at[key] = len(out)
			out = append(out, p)
			continue
		}
		o := &out[i]
		o.Direct, o.Dev = o.Direct || p.Direct, o.Dev && p.Dev
		o.Requires = union(o.Requires, p.Requires)
		o.Licenses = union(o.Licenses, p.Licenses)
		for alg, sum := range p.Hashes {
			if o.Hashes == nil {
				o.Hashes = map[string]string{}
			}
			o.Hashes[alg] = sum
		}
	}
	return out
}

func union(a, b []string) []string {
	seen := make(map[string]bool, len(a)+len(b))
	var out []string
	for _, s := range append(slices.Clone(a), b...) {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}
