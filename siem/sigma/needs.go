package sigma

import (
	"cmp"
	"slices"
)

// Needs says whether the detection at index i of [Engine.Rules] could hold for
// an event that has no other fields than those for which has is true, whatever
// their values. Where it can't, lacks is the shortest list of fields that the
// event would need besides; none where no field would help: a placeholder has
// no values, or the condition contradicts itself.
//
// With takes, where it is not nil, says of a whole value whether the field ever
// has it; a field that only lacks the value is told as "EventID 4688".
//
// It asks what the rule asks once filters and placeholders are applied.
func (e *Engine) Needs(i int, has func(field string) bool, takes func(field, value string) bool) (can bool, lacks []string) {
	n := needs{has, takes}
	return n.holds(e.asked[i])
}

type needs struct {
	has   func(field string) bool
	takes func(field, value string) bool
}

// holds reports whether x can be true and what that takes.
func (n needs) holds(x *expr) (can bool, lacks []string) {
	switch x.op {
	case opLeaf:
		return n.leaf(x.leaf)
	case opNot:
		return n.fails(x.kids[0])
	case opAnd:
		return n.every(x.kids, n.holds)
	}
	return n.some(x.kids, n.holds)
}

// fails reports whether x can be false. What asks of a field that is not there
// is.
func (n needs) fails(x *expr) (can bool, lacks []string) {
	switch x.op {
	case opLeaf:
		return true, nil
	case opNot:
		return n.holds(x.kids[0])
	case opAnd:
		return n.some(x.kids, n.fails)
	}
	return n.every(x.kids, n.fails)
}

func (n needs) leaf(p *predicate) (can bool, lacks []string) {
	for _, field := range []string{p.field, p.other} {
		if field != "" && !n.has(field) && !slices.Contains(lacks, field) {
			lacks = append(lacks, field)
		}
	}
	if whole := p.test == testEqual || p.test == testNumber; whole && lacks == nil && n.takes != nil && p.field != "" && !n.takes(p.field, p.text) {
		lacks = append(lacks, p.field+" "+p.text)
	}
	return len(lacks) == 0, lacks
}

type question func(*expr) (bool, []string)

func (n needs) every(kids []*expr, ask question) (can bool, lacks []string) {
	can = true
	for _, k := range kids {
		ok, fields := ask(k)
		if !ok && len(fields) == 0 {
			return false, nil // nothing helps
		}
		can = can && ok
		for _, f := range fields {
			if !slices.Contains(lacks, f) {
				lacks = append(lacks, f)
			}
		}
	}
	return can, lacks
}

func (n needs) some(kids []*expr, ask question) (can bool, lacks []string) {
	for _, k := range kids {
		ok, fields := ask(k)
		if ok {
			return true, nil
		}
		if len(fields) > 0 && (lacks == nil || cmp.Or(cmp.Compare(len(fields), len(lacks)), slices.Compare(fields, lacks)) < 0) {
			lacks = fields
		}
	}
	return false, lacks
}
