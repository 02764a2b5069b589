package scanning

import (
	"time"

	"github.com/interlock-security/interlock/core"
)

// Class is what sort of thing is wrong.
type Class string

// The classes.
const (
	ClassSecret        Class = "secret"
	ClassVulnerability Class = "vulnerability" // of a package
	ClassCode          Class = "code"
	ClassWeb           Class = "web"
	ClassHost          Class = "host"
	ClassProvenance    Class = "provenance" // signature or build origin
)

// Classes lists them.
var Classes = []Class{ClassSecret, ClassVulnerability, ClassCode, ClassWeb, ClassHost, ClassProvenance}

// Finding is one thing that a scanner says is wrong, before anybody has judged
// it. What people and the product make of it is the lifecycle's.
type Finding struct {
	// Rule is the detector's own name for what it found: "github-pat",
	// "GO-2024-2611", "G401".
	Rule     string        `json:"rule"`
	Class    Class         `json:"class"`
	Title    string        `json:"title"`
	Detail   string        `json:"detail,omitempty"`
	Severity core.Severity `json:"severity"`
	Location Location      `json:"location"`
	// Package is set for vulnerabilities.
	Package *Package `json:"package,omitempty"`
	// Aliases are other names of the same advisory: CVE, GHSA, distribution.
	Aliases []string `json:"aliases,omitempty"`
	// Advice is what to do, in one sentence with its version.
	Advice string `json:"advice,omitempty"`
	// Fixed lists the versions in which it is fixed, lowest first.
	Fixed []string `json:"fixed,omitempty"`
	// Reach says whether the vulnerable part is used at all.
	Reach    Reach    `json:"reach,omitempty"`
	Risk     Risk     `json:"risk,omitzero"`
	Redacted string   `json:"redacted,omitempty"`
	Tags     []string `json:"tags,omitempty"`
	Links    []string `json:"links,omitempty"`
	// VEX is set where a statement says what it means here.
	VEX *Exploitability `json:"vex,omitempty"`
	// Fingerprint is the same for the same thing in every scan, never made of a
	// line number. See [Fingerprint].
	Fingerprint string `json:"fingerprint"`
}

// Location is where it is. Lines and columns count from 1; 0 is unknown.
type Location struct {
	// File is a slash path relative to the scope.
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	EndLine int    `json:"end_line,omitempty"`
	// Inner is the path within an archive or an image, outermost first.
	Inner []string `json:"inner,omitempty"`
	// Layer is the digest of an image's layer.
	Layer string `json:"layer,omitempty"`
	// Context is the code around it without what changes (the secret itself),
	// as the fingerprint uses it.
	Context string    `json:"-"`
	URL     string    `json:"url,omitempty"`
	Commit  string    `json:"commit,omitempty"`
	Author  string    `json:"author,omitempty"`
	Date    time.Time `json:"date,omitzero"`
}

// Reach says whether what is vulnerable is reachable.
type Reach string

// The words. Unknown is treated as reachable.
const (
	ReachUnknown     Reach = ""
	ReachImported    Reach = "imported"
	ReachNotImported Reach = "not-imported"
)

// Risk is what is known of an advisory beyond its text.
type Risk struct {
	// CVSS is the vector string, Score its base score.
	CVSS  string  `json:"cvss,omitempty"`
	Score float64 `json:"score,omitempty"`
	// EPSS is the probability of exploitation in 30 days, 0 to 1.
	EPSS float64 `json:"epss,omitempty"`
	// KEV is since when it is known to be exploited (CISA's list or our own
	// events).
	KEV        time.Time `json:"kev,omitzero"`
	Published  time.Time `json:"published,omitzero"`
	Modified   time.Time `json:"modified,omitzero"`
	Ransomware bool      `json:"ransomware,omitempty"`
	// SSVC is the decision of CISA's tree: Track, Track*, Attend, Act.
	SSVC string `json:"ssvc,omitempty"`
}

// Exploitability is a VEX statement that applies.
type Exploitability struct {
	// Status: not_affected, affected, fixed, under_investigation.
	Status        string `json:"status"`
	Justification string `json:"justification,omitempty"`
	Statement     string `json:"statement,omitempty"`
	// Source is the document and its author.
	Source string    `json:"source"`
	At     time.Time `json:"at,omitzero"`
}

// Package is a piece of software that somebody else made.
type Package struct {
	// Ecosystem is OSV's word: Go, npm, PyPI, Maven, crates.io, NuGet, RubyGems,
	// Packagist, "Debian:12", "Alpine:v3.20", "Red Hat" ... with its release
	// where the ecosystem has releases.
	Ecosystem string `json:"ecosystem"`
	Name      string `json:"name"`
	// Version is as the ecosystem writes it; "" is unknown, which is a gap.
	Version string `json:"version"`
	// Source is the source package of a distribution, whose name and version
	// its advisories use; empty where it is the same.
	Source        string `json:"source,omitempty"`
	SourceVersion string `json:"source_version,omitempty"`
	PURL          string `json:"purl,omitempty"`
	// Direct is asked for by the project itself, Dev only for building and
	// testing it.
	Direct   bool              `json:"direct,omitempty"`
	Dev      bool              `json:"dev,omitempty"`
	Licenses []string          `json:"licenses,omitempty"` // SPDX expressions
	Hashes   map[string]string `json:"hashes,omitempty"`   // "sha256": hex
	// Requires are the purls that it depends on, where the source says.
	Requires []string `json:"requires,omitempty"`
	// File is the lockfile or database that says so.
	File  string `json:"file,omitempty"`
	Layer string `json:"layer,omitempty"`
}
