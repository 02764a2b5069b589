package vex

import (
	"time"

	"github.com/interlock-security/interlock/scanning"
)

// TLP is who may see an advisory, as CSAF 2.0 has it.
type TLP string

// The labels. White is everybody (TLP 2.0 calls it CLEAR).
const (
	TLPWhite TLP = "WHITE"
	TLPGreen TLP = "GREEN"
	TLPAmber TLP = "AMBER"
	TLPRed   TLP = "RED"
)

// Advisory is a disclosure: ours to others, or others' to us.
type Advisory struct {
	Format    string
	ID        string
	Title     string
	Summary   string
	Aliases   []string
	Publisher Publisher
	TLP       TLP
	// State is draft, interim or final; Category is CSAF's document category.
	State    string
	Category string
	// Embargo is until when it may not be known to everybody; zero is none.
	Embargo   time.Time
	Published time.Time
	Updated   time.Time
	Withdrawn bool
	// Revisions are oldest first; the last one's number is the version.
	Revisions       []Revision
	Vulnerabilities []Vulnerability
	// Links lead to more.
	Links []string
	Gaps  []scanning.Gap
}

// Publisher is who says it.
type Publisher struct {
	Name, Namespace, Contact string
	// Category is vendor, coordinator, discoverer, user, translator or other.
	Category string
}

// Revision is a version of the advisory.
type Revision struct {
	Number  string
	At      time.Time
	Summary string
}

// Vulnerability is one of an advisory's.
type Vulnerability struct {
	// ID is its CVE if it has one, else the publisher's own name.
	ID          string
	Aliases     []string
	Title       string
	Description string
	CVSS        string
	Score       float64
	Discovered  time.Time
	Released    time.Time
	Findings    []Statement // what it means in which products
	// Contacts are who was told when, and what came of it.
	Contacts []Contact
	Credits  []string
}

// Contact is an entry of the coordination's log.
type Contact struct {
	At time.Time
	// Party is coordinator, discoverer, user, vendor or other; Status is
	// not_contacted, contact_attempted, open, in_progress, disputed or completed.
	Party, Status string
	// Summary says who and what.
	Summary string
}

// Document is what the advisory says of products, as statements.
func (a *Advisory) Document() *Document {
	d := &Document{Format: a.Format, ID: a.ID, Author: a.Publisher.Name, Role: a.Publisher.Category, Issued: a.Published, Updated: a.Updated, Gaps: a.Gaps, Version: max(len(a.Revisions), 1)}
	for _, v := range a.Vulnerabilities {
		for _, s := range v.Findings {
			s.Vulnerability, s.Aliases = v.ID, v.Aliases
			s.Author, s.Document, s.At = a.Publisher.Name, a.ID, latest(s.At, a.Updated, a.Published)
			s.Draft, s.Withdrawn = a.State == "draft", a.Withdrawn
			d.Statements = append(d.Statements, s)
		}
	}
	return d
}
