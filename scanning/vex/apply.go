package vex

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/sbom/purl"
)

// Policy is whose word counts, of what, and until when.
type Policy struct {
	Trusted []Author
	// Subjects are the package urls of what was scanned (an image, an
	// application): statements about a product and its parts name it.
	Subjects []string
	Now      time.Time
}

// Author is somebody whose statements may silence findings.
type Author struct {
	// Name is as the documents write it, exactly.
	Name string
	// Source, if set, is the only place whose documents count as the author's.
	Source string
	// MaxAge, if set, is how old a statement may be.
	MaxAge time.Duration
}

// Outcome is what statements did to findings.
type Outcome struct {
	// Findings are those given, with VEX set where a statement counts.
	Findings []scanning.Finding
	// Applied and Ignored are all statements that matched a finding.
	Applied []Match
	Ignored []Match
}

// Match is a statement that speaks of a finding.
type Match struct {
	Fingerprint string
	Statement   Statement
	// Why it was ignored, in a sentence.
	Why string
}

// Silenced reports whether a statement that counts says that nothing is to be
// done about the finding.
func Silenced(f *scanning.Finding) bool {
	return f.VEX != nil && (Status(f.VEX.Status) == NotAffected || Status(f.VEX.Status) == Fixed)
}

// Apply holds the statements against the findings. The findings given stay as
// they are.
func Apply(findings []scanning.Finding, statements []Statement, policy Policy) Outcome {
	out := Outcome{Findings: slices.Clone(findings)}
	byName := map[string][]*Statement{}
	for i := range statements {
		s := &statements[i]
		for _, n := range append([]string{s.Vulnerability}, s.Aliases...) {
			byName[n] = append(byName[n], s)
		}
	}
	for i := range out.Findings {
		f := &out.Findings[i]
		if f.Class == scanning.ClassVulnerability && f.Package != nil {
			out.apply(f, matching(f, byName, &policy), &policy)
		}
	}
	return out
}

// matching returns the statements about this vulnerability in this package.
func matching(f *scanning.Finding, byName map[string][]*Statement, policy *Policy) []*Statement {
	seen := map[*Statement]bool{}
	var out []*Statement
	for _, n := range append([]string{f.Rule}, f.Aliases...) {
		for _, s := range byName[n] {
			if !seen[s] && slices.ContainsFunc(s.Products, func(p Product) bool { return covers(&p, f.Package, policy) }) {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	return out
}

// covers reports whether the product is the package, or what was scanned with
// the package among its parts.
func covers(p *Product, pkg *scanning.Package, policy *Policy) bool {
	if len(p.Parts) == 0 && purl.Matches(p.PURL, pkg) {
		return true
	}
	subject := slices.ContainsFunc(policy.Subjects, func(s string) bool {
		have, err := purl.Package(s)
		return err == nil && purl.Matches(p.PURL, &have)
	})
	part := slices.ContainsFunc(p.Parts, func(s string) bool { return purl.Matches(s, pkg) })
	return subject && (part || len(p.Parts) == 0)
}

func (o *Outcome) apply(f *scanning.Finding, matched []*Statement, policy *Policy) {
	newest := map[string]*Statement{}
	for _, s := range matched {
		if why := refuse(s, f, policy); why != "" {
			o.ignore(f, s, why)
			continue
		}
		if old := newest[s.Author]; old != nil {
			late, early := order(s, old)
			o.ignore(f, early, "the same author says "+string(late.Status)+" since "+stamp(late.At))
			s = late
		}
		newest[s.Author] = s
	}
	counts := mostCareful(newest)
	if counts == nil {
		return
	}
	for _, s := range newest {
		if s != counts {
			o.ignore(f, s, fmt.Sprintf("%s says %s, which is more careful or newer", counts.Author, counts.Status))
		}
	}
	o.Applied = append(o.Applied, Match{Fingerprint: f.Fingerprint, Statement: *counts})
	f.VEX = &scanning.Exploitability{
		Status: string(counts.Status), Justification: counts.Justification, Statement: cmp.Or(counts.Impact, counts.Action, counts.Notes),
		Source: strings.TrimSpace(cmp.Or(counts.Source, counts.Document) + " by " + counts.Author), At: counts.At,
	}
	sortMatches(o.Ignored)
}

func (o *Outcome) ignore(f *scanning.Finding, s *Statement, why string) {
	o.Ignored = append(o.Ignored, Match{Fingerprint: f.Fingerprint, Statement: *s, Why: why})
}

func sortMatches(m []Match) {
	slices.SortStableFunc(m, func(a, b Match) int {
		return cmp.Or(cmp.Compare(a.Fingerprint, b.Fingerprint), cmp.Compare(a.Statement.Author, b.Statement.Author), a.Statement.At.Compare(b.Statement.At))
	})
}

// order returns the newer of an author's statements; of two of the same moment
// the more careful one.
func order(a, b *Statement) (late, early *Statement) {
	if c := cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Status.rank(), b.Status.rank())); c < 0 {
		return b, a
	}
	return a, b
}

func mostCareful(byAuthor map[string]*Statement) *Statement {
	var best *Statement
	for _, s := range byAuthor {
		if best == nil || cmp.Or(cmp.Compare(s.Status.rank(), best.Status.rank()), s.At.Compare(best.At), cmp.Compare(s.Author, best.Author)) > 0 {
			best = s
		}
	}
	return best
}

// refuse says why a statement that matches doesn't count, "" if it does.
func refuse(s *Statement, f *scanning.Finding, policy *Policy) string {
	author := policy.author(s)
	switch {
	case author == nil:
		return "its author " + quote(s.Author) + " is not trusted here"
	case s.Withdrawn:
		return "its document is withdrawn"
	case s.Draft:
		return "its document is a draft"
	case s.At.IsZero():
		return "it doesn't say when it was made"
	case s.At.After(policy.Now):
		return "it is dated in the future"
	case author.MaxAge > 0 && policy.Now.Sub(s.At) > author.MaxAge:
		return fmt.Sprintf("it is older than the %d days for which %s's statements count", int(author.MaxAge.Hours()/24), s.Author)
	case s.Status.rank() < 0:
		return "nobody knows its status " + quote(string(s.Status))
	case s.Status == NotAffected && !slices.Contains(Justifications, s.Justification) && s.Impact == "":
		return "it says not_affected and doesn't say why"
	case s.Status == Fixed && !namesVersion(s, f, policy):
		return "it says fixed and doesn't name the version that is"
	}
	return ""
}

// namesVersion reports whether some product that covers the package does so with
// a version: "fixed" of all versions is none.
func namesVersion(s *Statement, f *scanning.Finding, policy *Policy) bool {
	return slices.ContainsFunc(s.Products, func(p Product) bool {
		if !covers(&p, f.Package, policy) {
			return false
		}
		return slices.ContainsFunc(append([]string{p.PURL}, p.Parts...), func(u string) bool {
			q, err := purl.Package(u)
			return err == nil && q.Version != ""
		})
	})
}

func (p *Policy) author(s *Statement) *Author {
	for i := range p.Trusted {
		if a := &p.Trusted[i]; a.Name != "" && a.Name == s.Author && (a.Source == "" || a.Source == s.Source) {
			return a
		}
	}
	return nil
}

func quote(s string) string { return fmt.Sprintf("%.80q", s) }
