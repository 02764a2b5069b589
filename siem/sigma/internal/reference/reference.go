// Package reference is a second reading of the Sigma specification: slow,
// obvious, and written without a look at how the engine does it. Only tests
// import it, siem/sigma's above all, which hold the engine against it on real
// rules, real events and on made-up ones. It shares no code with the engine:
// rules come through a YAML decoder into plain values, events through
// encoding/json, and every question is answered by a loop over all values.
//
// Names in brackets are sections of the specification: [Rules ...] of
// "Sigma Rules Specification" 2.0.0, [Modifiers ...] of "Sigma Modifiers" 2.1.0,
// [Filters ...] of "Sigma Filters Specification".
//
// # Where the specification is silent
//
//	question                                  what holds here
//	letters that differ in case only          equal if upper case and back makes them equal (ſ = s, K = k, ı = i)
//	composed and combining letters            different: no Unicode normalisation
//	names of fields                           case counts; a dot in a name is as good as nesting
//	an array                                  each element is a value of the field; "any" element is enough
//	an object                                 is no value; it makes `exists` true
//	a key that stands twice                   both values count
//	a number's, a boolean's text              as it stands in the JSON
//	a rule's number                           equal as text or as a decimal number (64-bit), whatever form the event has
//	what reads as a decimal number            sign, digits, point, exponent; no hexadecimal, infinity or blanks
//	null                                      there is no value but null: absent, null, {} and [] alike
//	`neq`                                     negation of the whole question: true where the field is missing
//	`neq` over a list                         different from all of them
//	keywords                                  in any one value, not across values, not in names of fields
//	keywords with startswith, endswith, re    asked of each value
//	what the receiver vouches for (interlock.)  an event can't claim it for itself; it is still text for keywords
//	`windash`                                 a dash or slash that begins a word: other dashes are no options
//	times                                     as they are written, the zone is not looked at; weeks are those of ISO 8601
//	a placeholder without a value             its item holds for nothing
//	a filter                                  its condition is joined to the rule's by `and`; `any` is every rule that its logsource covers
//	encodings after contains, startswith      the wildcards are added last
//	fieldref                                  any value of the one against any value of the other, as text
//	networks                                  an IPv4 address in IPv6 form is the IPv4 one; zones and brackets don't count
//	bytes that are not UTF-8, lone surrogates  U+FFFD
package reference

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Rule is one detection as its file says it.
type Rule struct {
	ID, Category, Product, Service string
	// Paths lists the names in an event that carry a rule's field. Nil means
	// that name alone.
	Paths func(field string) []string

	selections map[string]selection
	condition  condition
}

// Parse reads the detections of a rule file with its filters, skipping
// correlations.
func Parse(text []byte, placeholders map[string][]string) ([]*Rule, error) {
	var out []*Rule
	var filters []map[string]any
	for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc map[string]any
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out, applyAll(filters, out, placeholders)
		}
		if err != nil {
			return nil, err
		}
		if doc["filter"] != nil {
			filters = append(filters, doc)
		}
		if doc["detection"] == nil {
			continue
		}
		r, err := rule(doc, placeholders)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", doc["id"], err)
		}
		out = append(out, r)
	}
}

// rule reads one document [Rules, Components].
func rule(doc map[string]any, placeholders map[string][]string) (*Rule, error) {
	r := source(doc)
	return r, r.read(doc["detection"], placeholders)
}

// source is a rule of which only the head is read.
func source(doc map[string]any) *Rule {
	source, _ := doc["logsource"].(map[string]any)
	return &Rule{
		ID:       strings.ToLower(strings.TrimSpace(fmt.Sprint(doc["id"]))),
		Category: lowerText(source["category"]), Product: lowerText(source["product"]), Service: lowerText(source["service"]),
		selections: make(map[string]selection),
	}
}

// read takes the search identifiers and the condition of a detection or a filter.
func (r *Rule) read(v any, placeholders map[string][]string) error {
	detection, ok := v.(map[string]any)
	if !ok {
		return errors.New("detection is no map")
	}
	var err error
	for name, body := range detection {
		if name == "condition" || name == "rules" {
			continue
		}
		if r.selections[name], err = readSelection(body, placeholders); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	r.condition, err = readConditions(detection["condition"])
	return err
}

// applyAll joins each filter to the rules it names [Filters, Global Filter].
func applyAll(filters []map[string]any, rules []*Rule, placeholders map[string][]string) error {
	for _, doc := range filters {
		body, _ := doc["filter"].(map[string]any)
		names, ok := body["rules"].([]any)
		if !ok {
			names = []any{body["rules"]}
		}
		f := source(doc)
		if err := f.read(body, placeholders); err != nil {
			return err
		}
		for _, r := range rules {
			everyRule := slices.Contains(names, any("any")) && f.Applies(r.Category, r.Product, r.Service)
			if everyRule || slices.Contains(names, any(r.ID)) {
				asks := r.condition
				r.condition = func(r *Rule, e *Event) bool {
					filter := &Rule{Paths: r.Paths, selections: f.selections}
					return asks(r, e) && f.condition(filter, e)
				}
			}
		}
	}
	return nil
}

func lowerText(v any) string {
	if v == nil {
		return ""
	}
	return strings.ToLower(strings.TrimSpace(fmt.Sprint(v)))
}

// Applies reports whether the rule is about events of that source
// [Rules, LogSource].
func (r *Rule) Applies(category, product, service string) bool {
	return (r.Category == "" || r.Category == category) &&
		(r.Product == "" || r.Product == product) &&
		(r.Service == "" || r.Service == service)
}

// Holds reports whether the rule's condition holds for the event.
func (r *Rule) Holds(e *Event) bool { return r.condition(r, e) }

func (r *Rule) paths(field string) []string {
	if r.Paths == nil {
		return []string{field}
	}
	return append(r.Paths(field), field)
}

// selection is a search identifier: alternatives of items that hold together
// [Rules, Search-Identifier, Lists, Maps].
type selection [][]item

func readSelection(body any, placeholders map[string][]string) (selection, error) {
	list, ok := body.([]any)
	if !ok {
		list = []any{body}
	}
	if len(list) == 0 {
		return nil, errors.New("an empty list")
	}
	var out selection
	for _, entry := range list {
		fields, ok := entry.(map[string]any)
		if !ok {
			fields = map[string]any{"": entry} // a keyword
		}
		var all []item
		for key, value := range fields {
			it, err := readItem(key, value, placeholders)
			if err != nil {
				return nil, err
			}
			all = append(all, it)
		}
		out = append(out, all)
	}
	return out, nil
}

func (s selection) holds(r *Rule, e *Event) bool {
	for _, all := range s {
		ok := true
		for _, it := range all {
			ok = ok && it.holds(r, e)
		}
		if ok {
			return true
		}
	}
	return false
}

// item is one line of a map: a field, its modifiers and its values
// [Rules, Value Modifiers].
type item struct {
	field     string
	mods      []string
	questions []question
}

func readItem(key string, value any, placeholders map[string][]string) (item, error) {
	parts := strings.Split(key, "|")
	it := item{field: parts[0], mods: parts[1:]}
	values, ok := value.([]any)
	if !ok {
		values = []any{value}
	}
	if len(values) == 0 {
		return it, errors.New("an empty list of values")
	}
	for _, v := range values {
		q, err := it.question(v, placeholders)
		if err != nil {
			return it, fmt.Errorf("%s: %w", key, err)
		}
		it.questions = append(it.questions, q)
	}
	return it, nil
}

func (it item) has(mod string) bool { return slices.Contains(it.mods, mod) }

// holds joins the answers: any value is enough, with `all` every one must hold
// [Modifiers, Generic Modifiers].
func (it item) holds(r *Rule, e *Event) bool {
	for _, q := range it.questions {
		yes := q(r, e)
		if it.has("neq") {
			yes = !yes
		}
		if every := it.has("all") || it.has("neq"); yes != every {
			return yes
		}
	}
	return it.has("all") || it.has("neq")
}
