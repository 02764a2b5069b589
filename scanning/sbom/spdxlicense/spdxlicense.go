// Package spdxlicense tells whether a text is a licence expression of SPDX
// (annex D of specification 2.3) whose identifiers are on SPDX's list. SBOM
// formats refuse or misread anything else, and package managers write anything.
//
// The lists are SPDX's, version 3.17, as CycloneDX's schema (Apache-2.0) has
// them. A younger identifier is taken for a name, which both formats can hold.
package spdxlicense

import (
	_ "embed"
	"strings"
)

//go:embed licences.txt
var licences string

//go:embed exceptions.txt
var exceptions string

var ids, exceptionIDs = index(licences), index(exceptions)

// index maps the folded identifier to how SPDX writes it.
func index(list string) map[string]string {
	m := map[string]string{}
	for _, id := range strings.Fields(list) {
		m[strings.ToLower(id)] = id
	}
	return m
}

// ID returns how SPDX writes an identifier, "" if it isn't on the list.
func ID(s string) string { return ids[strings.ToLower(s)] }

const (
	maxLength = 2000
	maxDepth  = 50
)

// Expression returns the canonical form of an expression, "" if it is none.
// References to licences in this document or another (LicenseRef-) are none
// here: nothing would resolve them.
func Expression(s string) string {
	if len(s) > maxLength {
		return ""
	}
	p := parser{words: words(s)}
	out, ok := p.or(0)
	if !ok || len(p.words) != 0 {
		return ""
	}
	return out
}

func words(s string) []string {
	return strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s))
}

type parser struct{ words []string }

func (p *parser) next() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

// take drops the next word if it is w, in capitals or small letters as both are
// written.
func (p *parser) take(w string) bool {
	if n := p.next(); n != w && n != strings.ToLower(w) {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *parser) or(depth int) (string, bool)  { return p.list("OR", p.and, depth) }
func (p *parser) and(depth int) (string, bool) { return p.list("AND", p.simple, depth) }

func (p *parser) list(op string, operand func(int) (string, bool), depth int) (string, bool) {
	out, ok := operand(depth)
	for ok && p.take(op) {
		var more string
		more, ok = operand(depth)
		out += " " + op + " " + more
	}
	return out, ok
}

func (p *parser) simple(depth int) (string, bool) {
	if depth > maxDepth {
		return "", false
	}
	if p.take("(") {
		inner, ok := p.or(depth + 1)
		return "(" + inner + ")", ok && p.take(")")
	}
	word := p.next()
	id, plus := strings.CutSuffix(word, "+")
	out := ID(word)
	if out == "" && plus && ID(id) != "" {
		out = ID(id) + "+"
	}
	if out == "" {
		return "", false
	}
	p.words = p.words[1:]
	if !p.take("WITH") {
		return out, true
	}
	exception := exceptionIDs[strings.ToLower(p.next())]
	if exception == "" {
		return "", false
	}
	p.words = p.words[1:]
	return out + " WITH " + exception, true
}

// All joins several declared licences to one expression, "" if any of them is
// none.
func All(expressions []string) string {
	parts := make([]string, len(expressions))
	for i, e := range expressions {
		if parts[i] = Expression(e); parts[i] == "" {
			return ""
		}
		if len(expressions) > 1 && strings.Contains(parts[i], " OR ") {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, " AND ")
}
