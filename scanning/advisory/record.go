package advisory

import "time"

// Advisory is one OSV record.
type Advisory struct {
	ID        string
	Modified  time.Time
	Published time.Time
	// Withdrawn is zero unless the record was withdrawn; then it matches nothing.
	Withdrawn time.Time
	Aliases   []string
	Related   []string
	Upstream  []string
	Summary   string
	Details   string
	Severity  []Severity
	// Rating is the database's own word: LOW, MODERATE, HIGH, CRITICAL.
	Rating     string
	Affected   []Entry
	References []Reference
}

// Severity is a vector or a word, by the type that OSV names.
type Severity struct{ Type, Score string }

// Reference is a link with OSV's word for what it is.
type Reference struct{ Type, URL string }

// Entry is what an advisory says of one package.
type Entry struct {
	// Ecosystem is OSV's word with its release: "npm", "Debian:12".
	Ecosystem string
	Name      string
	PURL      string
	Severity  []Severity
	Rating    string
	Versions  []string
	Ranges    []Range
	// Imports are the Go packages that are vulnerable, as ecosystem_specific
	// names them. None means that the advisory doesn't say.
	Imports []GoPackage
}

// GoPackage is a package of a Go module, and on which systems it is vulnerable.
type GoPackage struct {
	Path    string
	Symbols []string
	GOOS    []string
	GOARCH  []string
}

// RangeType says how the versions of a range are ordered.
type RangeType uint8

// The types.
const (
	RangeEcosystem RangeType = iota
	RangeSemver
	RangeGit
)

// Range is a list of events on one line of versions.
type Range struct {
	Type   RangeType
	Repo   string
	Events []Event
}

// EventKind is what happens at a version.
type EventKind uint8

// The kinds.
const (
	Introduced EventKind = iota
	Fixed
	LastAffected
	Limit
)

// Event is one of a range's events.
type Event struct {
	Kind    EventKind
	Version string
}

// The versions with a meaning of their own.
const (
	beforeAll = "0" // introduced: sorts before every version
	noLimit   = "*" // limit: contained in it means infinity
)
