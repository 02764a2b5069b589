package vex

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/scanning/priority"
)

// mandatory are the tests of CSAF 2.0, 6.1.x, that concern what we write: what
// the JSON schema can't say. They are written from the standard's text over the
// document's own JSON, and know nothing of the encoder.
func mandatory(doc []byte) (wrong []string) {
	var f csafFile
	if err := json.Unmarshal(doc, &f); err != nil {
		return []string{err.Error()}
	}
	m := &mandatoryTests{file: &f, defined: map[string]int{}}
	m.productTree()
	m.tracking()
	cves := map[string]int{}
	for i := range f.Vulnerabilities {
		v := &f.Vulnerabilities[i]
		if v.CVE != "" {
			cves[v.CVE]++
		}
		m.vulnerability(v)
	}
	for cve, n := range cves {
		m.check("6.1.23", n == 1, cve+" is used more than once")
	}
	m.check("6.1.27.11", len(f.Vulnerabilities) > 0, "no vulnerabilities")
	return m.wrong
}

type mandatoryTests struct {
	file    *csafFile
	defined map[string]int
	wrong   []string
}

func (m *mandatoryTests) check(test string, ok bool, what string) {
	if !ok {
		m.wrong = append(m.wrong, test+": "+what)
	}
}

func (m *mandatoryTests) productTree() {
	t := m.file.ProductTree
	m.check("6.1.27.4", t != nil, "no product tree")
	if t == nil {
		return
	}
	for _, p := range t.Names {
		m.defined[p.ID]++
		m.check("6.1.13", p.Helper == nil || packageURL.MatchString(p.Helper.PURL), "invalid purl "+p.Helper.PURL)
	}
	for _, r := range t.Relationships {
		m.check("6.1.3", r.Product.ID != r.Reference && r.Product.ID != r.RelatesTo, "circular "+r.Product.ID)
		m.defined[r.Product.ID]++
	}
	for id, n := range m.defined {
		m.check("6.1.2", n == 1, id+" is defined more than once")
	}
	for _, r := range t.Relationships {
		m.refer(r.Reference, r.RelatesTo)
	}
}

func (m *mandatoryTests) refer(ids ...string) {
	for _, id := range ids {
		m.check("6.1.1", m.defined[id] > 0, id+" is not defined")
	}
}

func (m *mandatoryTests) tracking() {
	t := &m.file.Document.Tracking
	numbers, seen := []int{}, map[string]bool{}
	for i, r := range t.History {
		n, err := strconv.Atoi(r.Number)
		m.check("6.1.30", err == nil, "a version that is no integer: "+r.Number)
		m.check("6.1.22", !seen[r.Number], "twice revision "+r.Number)
		seen[r.Number] = true
		numbers = append(numbers, n)
		m.check("6.1.14", i == 0 || !when(r.Date).Before(when(t.History[i-1].Date)), "the history is not in order of its dates")
		m.check("6.1.18", n != 0 || t.Status == "draft", "a released document with revision 0")
	}
	m.check("6.1.14", slices.IsSorted(numbers), "the history is not in order of its numbers")
	for i, n := range numbers {
		m.check("6.1.21", n == numbers[0]+i && numbers[0] <= 1, "an item is missing in the history")
	}
	m.check("6.1.16", len(t.History) > 0 && t.Version == t.History[len(t.History)-1].Number, "the version is not that of the last revision")
	m.check("6.1.17", t.Version != "0" || t.Status == "draft", "version 0 is no draft")
}

func (m *mandatoryTests) vulnerability(v *csafVulnerability) {
	groups := map[string][]string{"affected": nil, "not affected": nil, "fixed": nil, "investigated": nil}
	of := map[string]string{"known_affected": "affected", "first_affected": "affected", "last_affected": "affected", "known_not_affected": "not affected", "fixed": "fixed", "first_fixed": "fixed", "under_investigation": "investigated"}
	where := map[string]string{}
	for list, ids := range v.ProductStatus {
		m.refer(ids...)
		for _, id := range ids {
			m.check("6.1.6", where[id] == "" || where[id] == of[list], id+" is "+where[id]+" and "+of[list])
			where[id] = of[list]
			groups[of[list]] = append(groups[of[list]], id)
		}
	}
	m.check("6.1.27.7", len(where) > 0, "no product status")
	m.check("6.1.27.5", len(v.Notes) > 0, "no notes")
	m.check("6.1.27.8", v.CVE != "" || len(v.IDs) > 0, "no CVE and no id")
	m.explained(v, groups)
	m.scores(v)
	dates := map[string]bool{}
	for _, in := range v.Involvements {
		key := in.Party + " " + in.Date
		m.check("6.1.24", !dates[key], "two involvements of "+key)
		dates[key] = true
	}
}

func (m *mandatoryTests) explained(v *csafVulnerability, groups map[string][]string) {
	why, action, flags := map[string]bool{}, map[string]bool{}, map[string]int{}
	for _, f := range v.Flags {
		m.check("6.1.32", len(f.Products) > 0, "a flag without product")
		m.refer(f.Products...)
		for _, id := range f.Products {
			why[id] = true
			flags[id]++
		}
	}
	for id, n := range flags {
		m.check("6.1.33", n == 1, fmt.Sprintf("%s has %d justifications", id, n))
	}
	for _, t := range v.Threats {
		m.refer(t.Products...)
		for _, id := range t.Products {
			why[id] = why[id] || t.Category == "impact"
		}
	}
	for _, r := range v.Remediations {
		m.check("6.1.29", len(r.Products) > 0, "a remediation without product")
		m.refer(r.Products...)
		for _, id := range r.Products {
			action[id] = true
		}
	}
	if m.file.Document.Category != CategoryVEX {
		return
	}
	for _, id := range groups["not affected"] {
		m.check("6.1.27.9", why[id], id+" is not affected and nothing says why")
	}
	for _, id := range groups["affected"] {
		m.check("6.1.27.10", action[id], id+" is affected and nothing says what to do")
	}
}

func (m *mandatoryTests) scores(v *csafVulnerability) {
	scored := map[string]bool{}
	for _, s := range v.Scores {
		m.refer(s.Products...)
		for _, id := range s.Products {
			m.check("6.1.7", !scored[id], id+" has two scores")
			scored[id] = true
		}
		c, err := priority.ParseCVSS(s.CVSS3.Vector)
		m.check("6.1.8", err == nil, "an invalid vector "+s.CVSS3.Vector)
		m.check("6.1.9", err != nil || c.Score == s.CVSS3.Score, fmt.Sprintf("score %v of %s", s.CVSS3.Score, s.CVSS3.Vector))
		words := map[string]float64{"NONE": 0, "LOW": .1, "MEDIUM": 4, "HIGH": 7, "CRITICAL": 9}
		m.check("6.1.9", s.CVSS3.Score >= words[s.CVSS3.Severity], "severity "+s.CVSS3.Severity)
	}
}

// TestCSAFsMandatoryTests writes random advisories, among them contradictory
// ones: each is refused, or passes every test of the standard that applies.
func TestCSAFsMandatoryTests(t *testing.T) {
	schema := csafSchema(t)
	random := rand.New(rand.NewPCG(1, 2))
	written := 0
	for range 250 {
		a := randomAdvisory(random)
		var b bytes.Buffer
		if err := EncodeCSAF(&b, a, day(25)); err != nil {
			continue
		}
		written++
		schema(b.Bytes())
		if wrong := mandatory(b.Bytes()); len(wrong) > 0 {
			t.Fatalf("%s\n%s", strings.Join(wrong, "\n"), b.String())
		}
	}
	if written < 60 {
		t.Errorf("only %d of 250 advisories could be written", written)
	}
}

func randomAdvisory(r *rand.Rand) *Advisory {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	a := advisory()
	a.Embargo, a.State, a.TLP, a.Category = day(1), pick("final", "draft", "interim", ""), TLPWhite, pick(CategoryVEX, CategoryAdvisory)
	a.Revisions = nil
	for range r.IntN(4) {
		a.Revisions = append(a.Revisions, Revision{Number: pick("", "1", "2", "0", "1.0.0", "5"), At: day(1 + r.IntN(9)), Summary: pick("", "x")})
	}
	if r.IntN(3) == 0 {
		a.Vulnerabilities = append(a.Vulnerabilities, Vulnerability{ID: pick("CVE-2024-1", "CVE-2024-2", "ACME-7", ""), Aliases: []string{pick("", "CVE-2024-1", "CVE-2024-3")}})
	}
	for i := range a.Vulnerabilities {
		v := &a.Vulnerabilities[i]
		v.CVSS, v.Score = pick("", v.CVSS, "CVSS:3.1/AV:L", "CVSS:4.0/AV:N"), float64(r.IntN(11))
		v.Contacts = append(v.Contacts, Contact{At: day(1 + r.IntN(2)), Party: "vendor", Status: "open", Summary: "again"})
		v.Findings = nil
		for range 1 + r.IntN(4) {
			v.Findings = append(v.Findings, Statement{
				Status: careful[r.IntN(4)], Justification: pick("", "component_not_present", "vulnerable_code_not_present"), Impact: pick("", "not called"), Action: pick("", "Update"),
				Products: []Product{{PURL: pick("pkg:npm/a@1", "pkg:npm/b@1", "pkg:npm/c@1", "pkg:oci/shop"), Parts: [][]string{nil, {"pkg:npm/d@1"}}[r.IntN(2)]}},
			})
		}
	}
	return a
}
