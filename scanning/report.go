package scanning

import (
	"time"
)

// Outcome is what a report amounts to. Only clean is clean.
type Outcome string

// The outcomes.
const (
	OutcomeClean      Outcome = "clean"
	OutcomeFindings   Outcome = "findings"
	OutcomeIncomplete Outcome = "incomplete"
)

// Report is what one scanner says of one scope.
type Report struct {
	Tool     Tool      `json:"tool"`
	Scope    Scope     `json:"scope"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Findings []Finding `json:"findings"`
	// Gaps is what was not scanned, and why.
	Gaps []Gap `json:"gaps,omitempty"`
	// Suppressed is what the scanner found and was told not to tell. It counts
	// for nothing, but that silence about it proves nothing either.
	Suppressed []Suppressed `json:"suppressed,omitempty"`
	// Packages is the inventory, where the scanner takes one.
	Packages []Package `json:"packages,omitempty"`
	// Scanned counts what was read: files, bytes, packages, commits.
	Scanned map[string]int64 `json:"scanned,omitempty"`
}

// Outcome says incomplete before it says findings: what is missing may be worse
// than what was found.
func (r *Report) Outcome() Outcome {
	switch {
	case len(r.Gaps) > 0:
		return OutcomeIncomplete
	case len(r.Findings) > 0:
		return OutcomeFindings
	}
	return OutcomeClean
}

// Suppressed is a finding that somebody keeps out of the report.
type Suppressed struct {
	Finding Finding `json:"finding"`
	// By says who, in words for a list: "in the line", ".gitleaksignore", "baseline".
	By string `json:"by"`
	// InSource is a mark in the text itself; else it is kept elsewhere.
	InSource bool `json:"in_source,omitempty"`
	// Guessed is a judgement of the scanner's own: nobody has accepted it.
	Guessed bool `json:"guessed,omitempty"`
}

// Tool is what scanned, exactly enough to say that a later scan ran the same
// detector.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Rules is a hash of the rules, or the state of the database, that judged.
	Rules string `json:"rules,omitempty"`
	// Database is when the newest entry of the database was made.
	Database time.Time `json:"database,omitzero"`
	// Detectors are the rules or ecosystems that were asked; a finding of
	// another one is not fixed by this scan's silence. Nil means all the tool has.
	Detectors []string `json:"detectors,omitempty"`
}

// ScopeKind is what sort of thing was scanned.
type ScopeKind string

// The kinds of scope.
const (
	ScopeFolder ScopeKind = "folder"
	ScopeGit    ScopeKind = "git" // a repository with its history
	ScopeImage  ScopeKind = "image"
	ScopeHost   ScopeKind = "host"
	ScopeStream ScopeKind = "stream" // standard input, events
	ScopeSBOM   ScopeKind = "sbom"
)

// Scope is what was scanned. Two scans are of the same scope when kind and name
// are equal and neither left a part out that the other had.
type Scope struct {
	Kind ScopeKind `json:"kind"`
	// Name is stable between scans: the repository's remote or folder name, the
	// image's reference, the device.
	Name string `json:"name"`
	// Revision is what of it: a commit, a digest.
	Revision string `json:"revision,omitempty"`
	// Parts are the sub-paths that were scanned; nil means all.
	Parts []string `json:"parts,omitempty"`
	// Excluded are patterns that were left out on purpose.
	Excluded []string `json:"excluded,omitempty"`
}

// Gap is something that was not scanned.
type Gap struct {
	// What is a path or a part's name, Why a sentence with what to do.
	What string `json:"what"`
	Why  string `json:"why"`
	// Reason groups gaps: unreadable, too-large, too-deep, malformed, stale,
	// missing-tool, timeout, unsupported.
	Reason Reason `json:"reason"`
}

// Reason groups gaps.
type Reason string

// The reasons.
const (
	ReasonUnreadable  Reason = "unreadable"
	ReasonTooLarge    Reason = "too-large"
	ReasonTooDeep     Reason = "too-deep"
	ReasonTooMany     Reason = "too-many"
	ReasonMalformed   Reason = "malformed"
	ReasonStale       Reason = "stale"
	ReasonMissingTool Reason = "missing-tool"
	ReasonTimeout     Reason = "timeout"
	ReasonUnsupported Reason = "unsupported"
)
