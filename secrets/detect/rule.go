package detect

import (
	"regexp"

	"github.com/interlock-security/interlock/core"
)

// Kind is what sort of secret was leaked. It is part of a leak's fingerprint, so
// that two rules that know the same kind under different names stay one leak.
type Kind string

// The kinds.
const (
	KindPassword   Kind = "password"
	KindToken      Kind = "token"       // bearer of an API or a service
	KindCloudKey   Kind = "cloud-key"   // cloud account credentials
	KindPrivateKey Kind = "private-key" // any format
	KindConnection Kind = "connection"  // a password within a connection string or URL
	KindHash       Kind = "hash"        // a password's hash, which can be cracked offline
	KindWebhook    Kind = "webhook"     // a URL that is itself the right to post
	KindKey        Kind = "key"         // symmetric keys, seeds, session secrets
)

// Verdict is what can be said of a secret without asking anybody.
type Verdict int

// The verdicts. An invalid secret (a checksum that doesn't hold, a placeholder)
// is no leak.
const (
	Unknown Verdict = iota
	Valid
	Invalid
)

// Rule says what a secret looks like.
type Rule struct {
	// ID is stable and kebab-case; ignore files and fingerprints name it.
	ID    string
	Title string // for people, a noun phrase
	Kind  Kind
	// Severity of a leak that nothing more is known of.
	Severity core.Severity
	// Keywords are literals of which one must stand in the text, in any case;
	// the pattern is tried around them. A rule without keywords is tried on
	// every text, which costs.
	Keywords []string
	// Regex is RE2. Its group Group is the secret; 0 takes the first group that
	// is not empty, or else all of the match.
	Regex string
	Group int
	// Entropy is the least Shannon entropy of the secret in bits a character.
	Entropy float64
	// Path is RE2 on the slash path. A rule with a path and no regex finds the
	// file itself.
	Path string
	// Allow lists what is no leak although it looks like one.
	Allow []Allow
	// Requires are other rules that must be found near for this one to count.
	Requires []Require
	// Check judges the secret by itself: checksum, structure, known examples.
	Check func(secret []byte) Verdict
	Tags  []string
	// Silent rules are never reported; they are there for others to require.
	Silent bool
}

// Target is what an allowlist's pattern is held against.
type Target string

// The targets.
const (
	TargetSecret Target = "secret"
	TargetMatch  Target = "match"
	TargetLine   Target = "line"
)

// Allow is one exception of a rule, or of all of them.
type Allow struct {
	Description string
	// Source names whose exception it is, where that has to be told: see
	// [Config].Tell. "" is what a rule knows of its own secrets.
	Source string
	// All asks that every criterion holds; else one is enough.
	All       bool
	Paths     []*regexp.Regexp
	Commits   []string
	Target    Target
	Patterns  []*regexp.Regexp
	StopWords []string
}

// Require is a rule that must match too, within so many lines and columns; nil
// means anywhere in the same text.
type Require struct {
	Rule          string
	WithinLines   *int
	WithinColumns *int
}

// Text is what a grammar reads.
type Text struct {
	// Path is the slash path relative to what is scanned, "" where there is none.
	Path string
	Body []byte
	// Commit is the revision it comes from, for allowlists that name one.
	Commit string
}

// Hit is a secret within a text, as byte offsets. Match is the whole of what was
// recognised ("password = hunter2"), the secret its part.
type Hit struct {
	Rule                 string
	Start, End           int
	MatchStart, MatchEnd int
	Verdict              Verdict
}

// Grammar finds what no single pattern can, by reading a text as what it is: an
// assignment in one of twenty languages, a command line, the configuration of a
// switch, a file of a known format. It is pure, safe for concurrent use, and
// never reads outside of the text.
type Grammar interface {
	// Rules describes all that it can report; a hit names one of them. Their
	// entropy, allowlists and Check are applied to hits; their keywords and
	// regexes are not used.
	Rules() []Rule
	// Keywords are the literals, in any case, at which At is called. None means
	// that At is never called.
	Keywords() []string
	// At is called at each place of the text where a keyword stands: at is the
	// offset of its first byte, n its length.
	At(t Text, at, n int, emit func(Hit))
	// Wants reports whether the grammar reads texts of this path as a whole; All
	// is called for those.
	Wants(path string) bool
	All(t Text, emit func(Hit))
}
