package detect

import (
	"time"

	"github.com/interlock-security/interlock/core"
)

// Leak is a secret found in the open.
type Leak struct {
	Rule     string        `json:"rule"`
	Title    string        `json:"title"`
	Kind     Kind          `json:"kind"`
	Severity core.Severity `json:"severity"`
	Place
	// Redacted shows the first and last four bytes of a secret that is long
	// enough to bear it, and less of a shorter one.
	Redacted string `json:"redacted"`
	// Excerpt is the line with every secret in it redacted.
	Excerpt string  `json:"excerpt,omitempty"`
	Entropy float64 `json:"entropy"`
	// Decoded names the encodings that were taken off, outermost first.
	Decoded []string `json:"decoded,omitempty"`
	Verdict Verdict  `json:"verdict"`
	Tags    []string `json:"tags,omitempty"`
	// Allowed says who excuses it: [AllowedInLine], or the Source of an allowlist.
	// It is "" unless the configuration tells of those.
	Allowed string `json:"allowed,omitempty"`
	// Sample is set where it was made up to show or to test something: it says who is
	// likely not concerned, and is no proof.
	Sample bool `json:"sample,omitempty"`
	// Fingerprint is of rule kind, path and the line without its secret: it
	// stays the same when lines move and when the secret is changed in place,
	// and nobody can guess a short password from it.
	Fingerprint string `json:"fingerprint"`
	// MatchLine is the line on which what was recognised begins, which may be
	// above the secret's own. Ignore files name it.
	MatchLine int `json:"-"`
	// Secret is for those who check or rotate it. It can't be marshalled.
	Secret core.Secret `json:"-"`
}

// Place is where a leak is. Lines and columns count from 1, columns in bytes.
type Place struct {
	Path      string `json:"path"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	EndLine   int    `json:"end_line"`
	EndColumn int    `json:"end_column"`
	// Inner is the path within an archive or an image, outermost first.
	Inner []string `json:"inner,omitempty"`
	// Of a repository's history.
	Commit string    `json:"commit,omitempty"`
	Author string    `json:"author,omitempty"`
	Email  string    `json:"email,omitempty"`
	Date   time.Time `json:"date,omitzero"`
}
