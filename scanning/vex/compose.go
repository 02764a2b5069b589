package vex

import (
	"cmp"
	"slices"
	"strings"
)

// Settle makes the statements of a document agree: where two speak of the same
// vulnerability in the same product the more careful one stays, and of two that
// say the same the newer. Statements come apart into one a product; they are
// ordered by vulnerability and product, so that the same judgements make the same
// document.
func (d *Document) Settle() {
	at := map[string]int{}
	var out []Statement
	for i := range d.Statements {
		for _, s := range apart(&d.Statements[i]) {
			key := s.key()
			j, twice := at[key]
			if !twice {
				at[key] = len(out)
				out = append(out, s)
				continue
			}
			late, early := &s, &out[j]
			if c := cmp.Or(cmp.Compare(early.Status.rank(), late.Status.rank()), early.At.Compare(late.At)); c > 0 {
				late, early = early, late
			}
			stays := *late
			stays.Aliases = unique(append(slices.Clone(late.Aliases), early.Aliases...))
			out[j] = stays
		}
	}
	slices.SortStableFunc(out, func(a, b Statement) int { return cmp.Compare(a.key(), b.key()) })
	d.Statements = out
}

// apart makes a statement for each product, and for each part of one.
func apart(s *Statement) []Statement {
	var out []Statement
	for _, p := range s.Products {
		for i := range max(len(p.Parts), 1) {
			one, product := *s, Product{PURL: p.PURL, Name: p.Name}
			if len(p.Parts) > 0 {
				product.Parts = p.Parts[i : i+1]
			}
			one.Products = []Product{product}
			out = append(out, one)
		}
	}
	return out
}

func (s *Statement) key() string {
	p := s.Products[0]
	return strings.Join(append([]string{s.Vulnerability, p.PURL}, p.Parts...), "\x00")
}

// Advisory is the document as CSAF has it: by vulnerability, with a title and a
// publisher who has a web site.
func (d *Document) Advisory(title string, by Publisher, label TLP) *Advisory {
	a := &Advisory{
		Format: "CSAF 2.0", ID: cmp.Or(d.ID, contentID(d.Statements)), Title: title, Publisher: by, TLP: label, State: "final", Category: CategoryVEX,
		Published: d.Issued, Updated: latest(d.Updated, d.Issued),
	}
	at := map[string]int{}
	for i := range d.Statements {
		s := &d.Statements[i]
		j, known := at[s.Vulnerability]
		if !known {
			j = len(a.Vulnerabilities)
			at[s.Vulnerability] = j
			a.Vulnerabilities = append(a.Vulnerabilities, Vulnerability{ID: s.Vulnerability})
		}
		v := &a.Vulnerabilities[j]
		v.Aliases = unique(append(v.Aliases, s.Aliases...))
		v.Findings = append(v.Findings, *s)
	}
	return a
}
