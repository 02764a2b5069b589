package vex

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning/priority"
)

const opCSAF = "vex.EncodeCSAF"

// The categories that we write.
const (
	CategoryAdvisory = "csaf_security_advisory"
	CategoryVEX      = "csaf_vex"
)

// EncodeCSAF writes the advisory as CSAF 2.0. While its embargo lasts it must be
// a draft for few (TLP AMBER or RED): anything else is refused, because what has
// been published can't be taken back.
func EncodeCSAF(w io.Writer, a *Advisory, now time.Time) error {
	if err := a.check(now); err != nil {
		return err
	}
	e := csafEncoder{ids: map[string]string{}}
	f := csafFile{Document: csafHead(a)}
	cves := map[string]bool{}
	for i := range a.Vulnerabilities {
		v, err := e.vulnerability(a, &a.Vulnerabilities[i])
		if err != nil {
			return err
		}
		if v.CVE != "" && cves[v.CVE] {
			return core.E(core.KindInvalid, opCSAF, v.CVE+" is the name of two vulnerabilities of the advisory").WithHint("make them one")
		}
		cves[v.CVE] = true
		f.Vulnerabilities = append(f.Vulnerabilities, v)
	}
	f.ProductTree = &csafTree{Names: e.names, Relationships: e.relationships}
	return encode(w, opCSAF, f)
}

func (a *Advisory) check(now time.Time) error {
	switch {
	case a.ID == "" || a.Title == "" || a.Publisher.Name == "":
		return core.E(core.KindInvalid, opCSAF, "an advisory needs an id, a title and a publisher")
	case !absolute(a.Publisher.Namespace):
		return core.E(core.KindInvalid, opCSAF, "the publisher's namespace is not a URL").WithHint("give the address of the publisher's web site")
	case len(a.Vulnerabilities) == 0:
		return core.E(core.KindInvalid, opCSAF, "the advisory has no vulnerabilities")
	case a.Published.IsZero():
		return core.E(core.KindInvalid, opCSAF, "the advisory has no date")
	case now.Before(a.Embargo) && (a.State != "draft" || a.TLP != TLPAmber && a.TLP != TLPRed):
		return core.E(core.KindDenied, opCSAF, "the embargo lasts until "+stamp(a.Embargo)+", so the advisory can only be a draft with TLP AMBER or RED").
			WithHint("wait, shorten the embargo with those who agreed to it, or write a draft")
	}
	return nil
}

func absolute(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != "" && u.Host != ""
}

const embargoText = "Embargoed until "

var embargoDate = regexp.MustCompile(`(?i)embargo(?:ed)? until (\d{4}-\d{2}-\d{2}T[0-9:.]+Z)`)

func embargoOf(text string) time.Time {
	if m := embargoDate.FindStringSubmatch(text); m != nil {
		return when(m[1])
	}
	return time.Time{}
}

func csafHead(a *Advisory) csafDocument {
	d := csafDocument{
		Category: cmp.Or(a.Category, CategoryAdvisory), Version: "2.0", Title: a.Title,
		Publisher:    csafPublisher{Category: cmp.Or(a.Publisher.Category, "vendor"), Contact: a.Publisher.Contact, Name: a.Publisher.Name, Namespace: a.Publisher.Namespace},
		Distribution: &csafDistribution{TLP: &csafTLP{Label: string(cmp.Or(a.TLP, TLPWhite))}},
		Tracking: csafTracking{
			Aliases: unique(a.Aliases), ID: strings.TrimSpace(a.ID), Status: cmp.Or(a.State, "final"), Initial: stamp(a.Published), Current: stamp(latest(a.Updated, a.Published)),
			Generator: &csafGenerator{csafEngine{"interlock"}},
		},
	}
	if !a.Embargo.IsZero() {
		d.Distribution.Text = embargoText + stamp(a.Embargo)
	}
	if a.Summary != "" {
		d.Notes = []csafNote{{"summary", a.Summary}}
	}
	for _, l := range a.Links {
		if absolute(l) {
			d.References = append(d.References, csafReference{Summary: "More about it", URL: l})
		}
	}
	d.Tracking.History = csafHistory(a)
	d.Tracking.Version = d.Tracking.History[len(d.Tracking.History)-1].Number
	return d
}

// csafHistory is in the order of its dates. The standard wants numbers without a
// gap, and none below 1 of what is released; others are counted anew.
func csafHistory(a *Advisory) []csafRevision {
	if len(a.Revisions) == 0 {
		return []csafRevision{{Date: stamp(a.Published), Number: "1", Summary: "First version"}}
	}
	list := slices.Clone(a.Revisions)
	slices.SortStableFunc(list, func(x, y Revision) int {
		return latest(x.At, a.Published).Compare(latest(y.At, a.Published))
	})
	first := 1
	if list[0].Number == "0" && a.State == "draft" {
		first = 0
	}
	out := make([]csafRevision, 0, len(list))
	for i, r := range list {
		out = append(out, csafRevision{Date: stamp(latest(r.At, a.Published)), Number: strconv.Itoa(first + i), Summary: cmp.Or(r.Summary, "Revised")})
	}
	return out
}

// csafEncoder numbers products as they come.
type csafEncoder struct {
	ids           map[string]string
	names         []csafProduct
	relationships []csafRelationship
}

// id returns the product's id. A part in a product is a relationship of two.
func (e *csafEncoder) id(purl, part string) string {
	key := purl + "\x00" + part
	if id, ok := e.ids[key]; ok {
		return id
	}
	if part == "" {
		id := e.number(key)
		e.names = append(e.names, csafProduct{Name: purl, ID: id, Helper: &csafHelper{PURL: purl}})
		return id
	}
	whole, inner := e.id(purl, ""), e.id(part, "")
	id := e.number(key)
	e.relationships = append(e.relationships, csafRelationship{"default_component_of", csafProduct{Name: part + " as part of " + purl, ID: id}, inner, whole})
	return id
}

func (e *csafEncoder) number(key string) string {
	id := fmt.Sprintf("CSAFPID-%04d", len(e.ids)+1)
	e.ids[key] = id
	return id
}

func (e *csafEncoder) products(s *Statement) []string {
	var out []string
	for _, p := range s.Products {
		if len(p.Parts) == 0 {
			out = append(out, e.id(p.PURL, ""))
		}
		for _, part := range p.Parts {
			out = append(out, e.id(p.PURL, part))
		}
	}
	return unique(out)
}

// others are names without the main one, each once.
func others(name string, names []string) []string {
	return slices.DeleteFunc(unique(names), func(n string) bool { return n == name })
}

// packageURL is what CSAF's schema takes for one.
var packageURL = regexp.MustCompile(`^pkg:[A-Za-z.\-+][A-Za-z0-9.\-+]*/.+`)

var cveID = regexp.MustCompile(`^CVE-\d{4}-\d{4,}$`)

func (e *csafEncoder) vulnerability(a *Advisory, v *Vulnerability) (csafVulnerability, error) {
	out := csafVulnerability{Title: v.Title, Notes: []csafNote{{"description", cmp.Or(v.Description, v.Title, v.ID, strings.Join(v.Aliases, " "), "No description")}}, ProductStatus: map[string][]string{}}
	for _, id := range append([]string{v.ID}, others(v.ID, v.Aliases)...) {
		if out.CVE == "" && cveID.MatchString(id) {
			out.CVE = id
		} else if id != "" {
			out.IDs = append(out.IDs, csafID{a.Publisher.Name, id})
		}
	}
	if !v.Discovered.IsZero() {
		out.Discovery = stamp(v.Discovered)
	}
	if !v.Released.IsZero() {
		out.Release = stamp(v.Released)
	}
	for i := range v.Findings {
		if err := e.statement(&out, &v.Findings[i]); err != nil {
			return out, err
		}
	}
	switch {
	case len(out.ProductStatus) == 0:
		return out, core.E(core.KindInvalid, opCSAF, v.ID+" speaks of no product")
	case out.CVE == "" && len(out.IDs) == 0:
		return out, core.E(core.KindInvalid, opCSAF, "a vulnerability has no name").WithHint("give it a CVE or a name of your own")
	}
	if err := e.undisputed(out.ProductStatus); err != nil {
		return out, err
	}
	out.Scores, out.Involvements = csafScores(v, out.ProductStatus["known_affected"]), csafInvolvements(v.Contacts)
	for _, c := range v.Credits {
		out.Acknowledgments = append(out.Acknowledgments, csafCredit{Names: []string{c}})
	}
	return out, nil
}

// undisputed refuses a product that stands in two lists: whoever reads that can
// take the one he likes.
func (e *csafEncoder) undisputed(lists map[string][]string) error {
	at := map[string]string{}
	for _, list := range slices.Sorted(maps.Keys(lists)) {
		for _, id := range lists[list] {
			if other := at[id]; other != "" {
				return core.E(core.KindInvalid, opCSAF, fmt.Sprintf("%s is said to be %s and %s", quote(e.name(id)), other, list)).WithHint("say one of it")
			}
			at[id] = list
		}
	}
	return nil
}

func (e *csafEncoder) name(id string) string {
	for _, p := range e.names {
		if p.ID == id {
			return p.Name
		}
	}
	for _, r := range e.relationships {
		if r.Product.ID == id {
			return r.Product.Name
		}
	}
	return id
}

// csafInvolvements are one for each party and moment, as the standard wants; of
// several the last status counts.
func csafInvolvements(contacts []Contact) []csafInvolvement {
	var out []csafInvolvement
	at := map[string]int{}
	for _, c := range contacts {
		n := csafInvolvement{Date: stamp(c.At), Party: cmp.Or(c.Party, "other"), Status: cmp.Or(c.Status, "open"), Summary: c.Summary}
		if i, ok := at[n.Party+n.Date]; ok {
			out[i].Status, out[i].Summary = n.Status, strings.TrimSpace(out[i].Summary+"\n"+n.Summary)
			continue
		}
		at[n.Party+n.Date] = len(out)
		out = append(out, n)
	}
	return out
}

// statement puts the products into the list of their status, with what the
// profile demands beside it: why not, or what to do.
func (e *csafEncoder) statement(out *csafVulnerability, s *Statement) error {
	ids := e.products(s)
	if len(ids) == 0 {
		return core.E(core.KindInvalid, opCSAF, "a statement has no product")
	}
	for _, p := range s.Products {
		for _, u := range append([]string{p.PURL}, p.Parts...) {
			if !packageURL.MatchString(u) {
				return core.E(core.KindInvalid, opCSAF, quote(u)+" is no package url")
			}
		}
	}
	list, ok := map[Status]string{NotAffected: "known_not_affected", Affected: "known_affected", Fixed: "fixed", UnderInvestigation: "under_investigation"}[s.Status]
	if !ok {
		return core.E(core.KindInvalid, opCSAF, "nobody knows the status "+quote(string(s.Status)))
	}
	out.ProductStatus[list] = unique(append(out.ProductStatus[list], ids...))
	switch s.Status {
	case NotAffected:
		return out.justify(s, ids)
	case Affected:
		category := "vendor_fix"
		if s.Action == "" {
			category = "none_available"
		}
		out.Remediations = append(out.Remediations, csafRemediation{Category: category, Details: cmp.Or(s.Action, "No action is known yet."), Products: ids})
	}
	return nil
}

func (v *csafVulnerability) justify(s *Statement, ids []string) error {
	known := slices.Contains(Justifications, s.Justification)
	if !known && s.Impact == "" {
		return core.E(core.KindInvalid, opCSAF, "a product is said not to be affected without saying why").WithHint("give a justification or an impact statement")
	}
	if fresh := v.unflagged(ids); known && len(fresh) > 0 {
		v.Flags = append(v.Flags, csafFlag{Label: s.Justification, Products: fresh})
	}
	if s.Impact != "" {
		v.Threats = append(v.Threats, csafThreat{"impact", s.Impact, ids, nil})
	}
	return nil
}

// unflagged are those that have no justification yet: a product has one.
func (v *csafVulnerability) unflagged(ids []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		return slices.ContainsFunc(v.Flags, func(f csafFlag) bool { return slices.Contains(f.Products, id) })
	})
}

// csafScores computes the score anew: one that differs from its vector makes the
// document invalid. CSAF 2.0 knows no CVSS 4.
func csafScores(v *Vulnerability, affected []string) []csafScore {
	c, err := priority.ParseCVSS(v.CVSS)
	if err != nil || len(affected) == 0 || c.Version != "3.1" && c.Version != "3.0" {
		return nil
	}
	word := strings.ToUpper(string(c.Severity()))
	if c.Score == 0 {
		word = "NONE"
	}
	return []csafScore{{Products: affected, CVSS3: &csafCVSS{c.Version, c.Vector, c.Score, word}}}
}
