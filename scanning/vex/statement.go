package vex

import (
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/untrusted"
)

// Status is what a statement says of a vulnerability in a product.
type Status string

// The statuses, in OpenVEX's words, from the least careful to the most.
const (
	NotAffected        Status = "not_affected"
	Fixed              Status = "fixed"
	UnderInvestigation Status = "under_investigation"
	Affected           Status = "affected"
)

// careful ranks statuses: of two that contradict each other the higher counts.
var careful = []Status{NotAffected, Fixed, UnderInvestigation, Affected}

func (s Status) rank() int { return slices.Index(careful, s) }

// Justifications are the reasons for not_affected that OpenVEX and CSAF share.
var Justifications = []string{
	"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
	"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist",
}

// Statement is one claim: these vulnerabilities' meaning in these products.
type Statement struct {
	// Vulnerability is its main name; Aliases are the others.
	Vulnerability string
	Aliases       []string
	Products      []Product
	Status        Status
	// Justification is one of [Justifications]; Impact says it in words.
	Justification, Impact string
	// Action is what to do where it is affected.
	Action string
	Notes  string
	// At is when it was last known to be true.
	At time.Time
	// Author, Document and Draft, Withdrawn are the document's.
	Author    string
	Document  string
	Draft     bool
	Withdrawn bool
	// Source is where the document came from, as the caller knows it: a path, an
	// address. [Document.From] sets it.
	Source string
}

// Product is what a statement is about: a package, or a product and the parts of
// it (both as package urls). Without parts the product is meant as a whole.
type Product struct {
	PURL  string
	Parts []string
	// Name is for people.
	Name string
}

// Document is a file of statements.
type Document struct {
	Format     string
	ID         string
	Author     string
	Role       string
	Version    int
	Issued     time.Time
	Updated    time.Time
	Tooling    string
	Statements []Statement
	// Gaps is what couldn't be read: products without package url, unknown words.
	Gaps []scanning.Gap
}

// From notes where the document came from, in each statement.
func (d *Document) From(source string) *Document {
	for i := range d.Statements {
		d.Statements[i].Source = source
	}
	return d
}

func (d *Document) gap(what, why string, reason scanning.Reason) {
	if len(d.Gaps) < maxStatements {
		d.Gaps = append(d.Gaps, scanning.Gap{What: clip(what), Why: clip(why), Reason: reason})
	}
}

const (
	op            = "vex.Decode"
	maxStatements = 50_000
	maxText       = 16 << 10
)

func clip(s string) string { return strings.TrimSpace(untrusted.Clip(s, maxText)) }

func clips(list []string) []string {
	var out []string
	for _, s := range list {
		if s = clip(s); s != "" && len(out) < 1000 {
			out = append(out, s)
		}
	}
	return out
}

// when reads a time; a statement without one is as old as can be.
func when(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
