package vex

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

const openVEXContext = "https://openvex.dev/ns/v0.2.0"

// The parts of OpenVEX 0.2.0. Before 0.2 vulnerabilities and products were plain
// texts, which [openVulnerability] and [openProduct] read too.
type openDocument struct {
	Context     string          `json:"@context"`
	ID          string          `json:"@id"`
	Author      string          `json:"author"`
	Role        string          `json:"role,omitempty"`
	Timestamp   string          `json:"timestamp"`
	LastUpdated string          `json:"last_updated,omitempty"`
	Version     openVersion     `json:"version"`
	Tooling     string          `json:"tooling,omitempty"`
	Statements  []openStatement `json:"statements"`
}

type openVersion int

// UnmarshalJSON takes the quoted number of versions before 0.2.
func (v *openVersion) UnmarshalJSON(b []byte) error {
	n, err := strconv.Atoi(strings.Trim(string(b), `"`))
	*v = openVersion(n)
	return err
}

type openStatement struct {
	Vulnerability openVulnerability `json:"vulnerability"`
	Timestamp     string            `json:"timestamp,omitempty"`
	LastUpdated   string            `json:"last_updated,omitempty"`
	Products      []openProduct     `json:"products,omitempty"`
	Status        string            `json:"status"`
	StatusNotes   string            `json:"status_notes,omitempty"`
	Justification string            `json:"justification,omitempty"`
	Impact        string            `json:"impact_statement,omitempty"`
	Action        string            `json:"action_statement,omitempty"`
}

type openVulnerability struct {
	ID      string   `json:"@id,omitempty"`
	Name    string   `json:"name"`
	Aliases []string `json:"aliases,omitempty"`
}

// UnmarshalJSON takes the plain text of versions before 0.2.
func (v *openVulnerability) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		return json.Unmarshal(b, &v.Name)
	}
	type plain openVulnerability
	return json.Unmarshal(b, (*plain)(v))
}

type openProduct struct {
	openComponent
	Subcomponents []openComponent `json:"subcomponents,omitempty"`
}

type openComponent struct {
	ID          string            `json:"@id,omitempty"`
	Identifiers map[string]string `json:"identifiers,omitempty"`
}

// UnmarshalJSON takes the plain text of versions before 0.2.
func (p *openProduct) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		return json.Unmarshal(b, &p.ID)
	}
	type plain openProduct
	return json.Unmarshal(b, (*plain)(p))
}

// purl is the component's package url: its identifier, or its id if it is one.
func (c *openComponent) purl() string {
	if u := c.Identifiers["purl"]; u != "" {
		return clip(u)
	}
	if strings.HasPrefix(c.ID, "pkg:") {
		return clip(c.ID)
	}
	return ""
}

func decodeOpenVEX(b []byte) (*Document, error) {
	var o openDocument
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, malformed("the document is not OpenVEX: " + err.Error())
	}
	if len(o.Statements) > maxStatements {
		return nil, core.E(core.KindTooLarge, op, fmt.Sprintf("the document has more than %d statements", maxStatements)).WithHint("split it")
	}
	d := &Document{
		Format: "OpenVEX", ID: clip(o.ID), Author: clip(o.Author), Role: clip(o.Role), Version: int(o.Version),
		Issued: when(o.Timestamp), Updated: when(o.LastUpdated), Tooling: clip(o.Tooling),
	}
	for i := range o.Statements {
		d.Statements = append(d.Statements, d.openStatement(&o.Statements[i], i))
	}
	return d, nil
}

func (d *Document) openStatement(o *openStatement, i int) Statement {
	s := Statement{
		Vulnerability: clip(cmp.Or(o.Vulnerability.Name, o.Vulnerability.ID)), Aliases: clips(o.Vulnerability.Aliases), Status: Status(o.Status),
		Justification: clip(o.Justification), Impact: clip(o.Impact), Action: clip(o.Action), Notes: clip(o.StatusNotes),
		At: latest(when(o.LastUpdated), when(o.Timestamp), d.Updated, d.Issued), Author: d.Author, Document: d.ID,
	}
	what := fmt.Sprintf("statement %d (%s)", i, s.Vulnerability)
	if s.Status.rank() < 0 {
		d.gap(what, "nobody knows its status "+quote(o.Status), scanning.ReasonUnsupported)
	}
	for j := range o.Products {
		p := &o.Products[j]
		url := p.purl()
		if url == "" {
			d.gap(what, "its product "+quote(p.ID)+" has no package url, so it matches nothing", scanning.ReasonUnsupported)
			continue
		}
		product := Product{PURL: url, Name: clip(p.ID)}
		for k := range p.Subcomponents {
			if part := p.Subcomponents[k].purl(); part != "" {
				product.Parts = append(product.Parts, part)
			}
		}
		if len(p.Subcomponents) > 0 && len(product.Parts) == 0 {
			d.gap(what, "no part of its product has a package url, so it matches nothing", scanning.ReasonUnsupported)
			continue // without its parts it would speak of the whole product
		}
		s.Products = append(s.Products, product)
	}
	return s
}

// latest is the first of the times that is set: a statement's own go before its
// document's.
func latest(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// EncodeOpenVEX writes the document as OpenVEX 0.2.0. Where a statement has both
// a justification and an impact statement the latter goes to the notes, since
// the schema takes one. A document without id gets one of its content.
func EncodeOpenVEX(w io.Writer, d *Document) error {
	o := openDocument{
		Context: openVEXContext, ID: d.ID, Author: cmp.Or(d.Author, "unknown"), Role: d.Role, Timestamp: stamp(d.Issued), Version: openVersion(max(d.Version, 1)), Tooling: d.Tooling,
		Statements: []openStatement{},
	}
	if !d.Updated.IsZero() {
		o.LastUpdated = stamp(d.Updated)
	}
	for i := range d.Statements {
		e, err := encodeOpenStatement(&d.Statements[i])
		if err != nil {
			return err
		}
		o.Statements = append(o.Statements, e)
	}
	if len(o.Statements) == 0 {
		return core.E(core.KindInvalid, "vex.EncodeOpenVEX", "the document has no statements, which the format demands")
	}
	if o.ID == "" {
		o.ID = contentID(o)
	}
	return encode(w, "vex.EncodeOpenVEX", o)
}

func contentID(v any) string {
	b, _ := json.Marshal(v) // texts and numbers
	h := sha256.Sum256(b)
	return "urn:interlock:vex:" + hex.EncodeToString(h[:16])
}

func encode(w io.Writer, op string, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return core.Wrap(core.KindUnavailable, op, enc.Encode(v))
}

func encodeOpenStatement(s *Statement) (openStatement, error) {
	o := openStatement{
		Vulnerability: openVulnerability{Name: s.Vulnerability, Aliases: unique(s.Aliases)}, Status: string(s.Status), StatusNotes: s.Notes,
		Products: encodeOpenProducts(s.Products),
	}
	if !s.At.IsZero() {
		o.Timestamp = stamp(s.At)
	}
	switch s.Status {
	case NotAffected:
		if slices.Contains(Justifications, s.Justification) {
			o.Justification = s.Justification
			o.StatusNotes = strings.TrimSpace(s.Notes + "\n" + s.Impact)
		} else if o.Impact = s.Impact; o.Impact == "" {
			return o, core.E(core.KindInvalid, "vex.EncodeOpenVEX", s.Vulnerability+" is said not to affect without saying why").WithHint("give a justification or an impact statement")
		}
	case Affected:
		o.Action = cmp.Or(s.Action, "No action is known yet.")
	}
	return o, nil
}

func encodeOpenProducts(products []Product) []openProduct {
	var out []openProduct
	for _, p := range products {
		o := openProduct{openComponent: openComponent{ID: p.PURL}}
		for _, part := range unique(p.Parts) {
			o.Subcomponents = append(o.Subcomponents, openComponent{ID: part})
		}
		out = append(out, o)
	}
	return out
}

func unique(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}
