package sigma

import (
	"fmt"
	"slices"
	"strings"
)

// asks are the words of the modifiers that decide what is asked, and what they
// are with a not.
var asks = map[string][2]string{
	"":           {"is", "is not"},
	"contains":   {"contains", "does not contain"},
	"startswith": {"starts with", "does not start with"},
	"endswith":   {"ends with", "does not end with"},
	"re":         {"matches", "does not match"},
	"cidr":       {"lies in", "does not lie in"},
	"gt":         {"is more than", "is not more than"},
	"gte":        {"is at least", "is less than"},
	"lt":         {"is less than", "is at least"},
	"lte":        {"is at most", "is more than"},
}

// objects are the words of the modifiers that say what stands for the value.
var objects = map[string]string{
	"fieldref": "what is in the field", "base64": "the base64 of", "base64offset": "the base64 of",
	"wide": "the UTF-16 of", "utf16le": "the UTF-16 of", "utf16": "the UTF-16 of", "utf16be": "the big-endian UTF-16 of",
}

// describe says in words what q asks, and of what.
func (t *told) describe(q *Question, e *expr) {
	anyLeaf(e, func(p *predicate) bool { q.Field = p.field; return true })
	field, mods, _ := strings.Cut(q.Key, "|")
	if q.Key != "" {
		q.Field = field
	}
	q.Words = words(q.Field, strings.Split(mods, "|"))
	if q.Field == "" {
		have := t.x.saying(e)
		q.Have, q.Names = have.texts, have.names
		return
	}
	have := t.x.have(t.rule.Logsource, q.Field)
	q.Have, q.Names, q.Null, q.Unread = have.texts, have.names, have.null, have.slot < 0
}

func words(field string, mods []string) string {
	verb, not, before, after, object := "", 0, "", "", ""
	for _, m := range mods {
		switch _, known := asks[m]; {
		case known && m != "":
			verb = m
		case m == "neq":
			not = 1
		case m == "cased":
			after = " (case counts)"
		case m == "windash":
			after = " (with any dash)"
		case slices.Contains(timeModifiers, m):
			before = "(its " + m + ") "
		case objects[m] != "":
			object = " " + objects[m] + object // the last is the outermost
		}
	}
	if field == "" && verb == "" {
		verb = "contains"
	}
	return before + asks[verb][not] + object + after
}

// Few values are named, more are counted.
const maxNamed = 3

// String reads as a sentence: `Image ends with "\cmd.exe"`.
func (q *Question) String() string { return q.say(q.Values, len(q.Values)) }

// Found is q with those of its values alone that hold: `Image ends with
// "\cmd.exe" (one of 20)`.
func (q *Question) Found() string {
	if q.All {
		return q.String()
	}
	var found []Wanted
	for _, w := range q.Values {
		if w.Holds {
			found = append(found, w)
		}
	}
	switch n := len(q.Values); {
	case len(found) == n || len(found) == 0:
		return q.String()
	case len(found) == 1:
		return fmt.Sprintf("%s (one of %d)", q.say(found, n), n)
	default:
		return fmt.Sprintf("%s (%d of %d)", q.say(found, n), len(found), n)
	}
}

func (q *Question) say(values []Wanted, of int) string {
	subject := q.Field
	if subject == "" {
		subject = "some value"
	}
	if len(values) == 1 {
		return subject + " " + q.predicate(values[0])
	}
	how := "any of "
	if q.All && !strings.Contains(q.Words, " not") {
		how = "all of "
	}
	what := fmt.Sprintf("%d values", len(values))
	if len(values) <= maxNamed {
		named := make([]string, len(values))
		for i, w := range values {
			named[i] = w.String()
		}
		if what = strings.Join(named, ", "); len(values) < of {
			how = ""
		}
	}
	return subject + " " + q.Words + " " + how + what
}

func (q *Question) predicate(w Wanted) string {
	switch {
	case w.empty():
		return q.Words + " " + w.String() + ", which has no values"
	case !w.presence():
		return q.Words + " " + w.String()
	case w.at.op != opNot:
		return "is there"
	case strings.HasSuffix(q.Key, "|exists"):
		return "is not there"
	}
	return "is null or not there"
}

// String is the value as the rule has it; one that must not be there is null.
func (w Wanted) String() string {
	const most = 120
	if w.presence() {
		return "null"
	}
	if r := []rune(w.Text); len(r) > most {
		return `"` + string(r[:most]) + `…"`
	}
	return `"` + w.Text + `"`
}

// presence reports whether nothing is asked but that the field is there, or is
// not.
func (w Wanted) presence() bool {
	return !w.empty() && !anyLeaf(w.at, func(p *predicate) bool { return p.test != testPresent && p.test != testExists })
}

// Weights of what holds of a question, as the length of a text that stands in
// the event: a long one seldom stands there by chance.
const (
	maxEvidence   = 24
	otherEvidence = 6 // numbers, networks, expressions, another field
)

// empty reports a placeholder that nobody gave values: it holds for no event.
func (w Wanted) empty() bool {
	return !anyLeaf(w.at, func(*predicate) bool { return true })
}

// evidence weighs what holds of q: nothing for which fields there are.
func (q *Question) evidence() int {
	most := 0
	for _, w := range q.Values {
		switch {
		case !w.Holds || w.presence() || w.at.op == opNot: // what is not there is no sign
		case !w.textual():
			most = max(most, otherEvidence)
		default:
			most = max(most, min(len(w.Text), maxEvidence))
		}
	}
	return most
}

func (w Wanted) textual() bool {
	return !anyLeaf(w.at, func(p *predicate) bool { return p.test > testWild })
}

// Bounds on looking for what two texts share, which is their lengths multiplied.
const (
	maxCompared   = 2 << 10
	maxCells      = 2 << 20
	leastInCommon = 2
)

// nearest finds the wanted value that has most in common with what is there, at
// least half of it.
func (q *Question) nearest() *Nearest {
	common := commonPart
	for _, m := range strings.Split(q.Key, "|")[1:] {
		switch {
		case m == "startswith":
			common = commonHead
		case m == "endswith":
			common = commonTail
		case m != "contains" && m != "all" && m != "cased" && m != "windash":
			return nil // what stands in the rule is not what stands in the event
		}
	}
	var best *Nearest
	cells := 0
	for i, w := range q.Values {
		want := longestLiteral(w.Text)
		for _, have := range q.Have {
			have = lower(have[:min(len(have), maxCompared)])
			if cells += len(want) * len(have); w.Holds || w.presence() || cells > maxCells {
				continue
			}
			c := common(want, have)
			if len(c) >= leastInCommon && 2*len(c) >= len(want) && (best == nil || len(c) > len(best.Common)) {
				best = &Nearest{i, c}
			}
		}
	}
	return best
}

// longestLiteral is the longest part of a pattern without wildcards, folded.
func longestLiteral(pattern string) string {
	long := ""
	for _, t := range parsePattern(pattern) {
		if t.kind == tokLit && len(t.text) > len(long) {
			long = t.text
		}
	}
	return lower(long[:min(len(long), maxCompared)])
}

func commonHead(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return strings.ToValidUTF8(a[:n], "")
}

func commonTail(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return strings.ToValidUTF8(a[len(a)-n:], "")
}

// commonPart is the longest text that stands in both.
func commonPart(a, b string) string {
	row := make([]int, len(b)+1)
	end, long := 0, 0
	for i := range a {
		diagonal := 0
		for j := range len(b) {
			above := row[j+1]
			row[j+1] = 0
			if a[i] == b[j] {
				if row[j+1] = diagonal + 1; row[j+1] > long {
					end, long = i+1, row[j+1]
				}
			}
			diagonal = above
		}
	}
	return strings.ToValidUTF8(a[end-long:end], "")
}
