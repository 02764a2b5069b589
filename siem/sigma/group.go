package sigma

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/interlock-security/interlock/siem/sigma/internal/needle"
)

// testAnyOf is a question that no rule file has: whether one of many texts is in
// a value. It stands for a list of questions about one slot, so that a list of
// four hundred names costs as much as one.
const testAnyOf test = 0xff

// anyOf are the questions that one question stands for.
type anyOf struct {
	members []int32
	ends    *needle.Ends
	parts   *needle.Set
}

// fewest is how many questions are worth being asked together.
const fewest = 4

// together joins those alternatives that are texts looked for in one slot.
func (c *compiler) together(kids []*cond) []*cond {
	bySlot := make(map[int32][]int32)
	for _, k := range kids {
		if k.op == opLeaf && c.joinable(k.pred) {
			at := c.e.predSlot[k.pred]
			bySlot[at] = append(bySlot[at], k.pred)
		}
	}
	var out []*cond
	for _, k := range kids {
		if k.op != opLeaf || !c.joinable(k.pred) || len(bySlot[c.e.predSlot[k.pred]]) < fewest {
			out = append(out, k)
			continue
		}
		at := c.e.predSlot[k.pred]
		if bySlot[at][0] == k.pred { // in the place of the first one
			out = append(out, &cond{op: opLeaf, pred: c.anyOf(at, bySlot[at])})
		}
	}
	return out
}

// joinable reports whether a question is one of those that an index answers
// exactly.
func (c *compiler) joinable(pred int32) bool {
	p := c.e.preds[pred]
	switch p.test {
	case testEqual, testPrefix, testSuffix:
		return !p.cased && c.e.predSlot[pred] >= 0
	case testContains:
		return !p.cased && c.e.predSlot[pred] >= 0 && len(p.text) >= needle.MinLen
	}
	return false
}

// anyOf makes the question that stands for others, once for equal lists.
func (c *compiler) anyOf(slot int32, members []int32) int32 {
	members = slices.Compact(slices.Sorted(slices.Values(members)))
	key := "any" + fmt.Sprint(members)
	if id, ok := c.preds[key]; ok {
		return id
	}
	g := &anyOf{members: members}
	var ends []needle.End
	var parts []string
	for _, m := range members {
		switch p := c.e.preds[m]; p.test {
		case testContains:
			parts = append(parts, p.text)
		case testEqual:
			ends = append(ends, needle.End{Text: p.text, Place: needle.Whole})
		case testPrefix:
			ends = append(ends, needle.End{Text: p.text, Place: needle.Head})
		default:
			ends = append(ends, needle.End{Text: p.text, Place: needle.Tail})
		}
	}
	if len(ends) > 0 {
		g.ends = needle.NewEnds(ends)
	}
	if len(parts) > 0 {
		g.parts = needle.NewSet(parts, c.e.rarity.of)
	}
	id := c.newPred(key, &predicate{test: testAnyOf}, slot, -1)
	c.e.any[id] = g
	return id
}

// holds reports whether one of the texts is in a folded value.
func (g *anyOf) holds(folded []byte, room *needle.Found) bool {
	return g.ends != nil && g.ends.Any(folded, room) || g.parts != nil && g.parts.Any(folded, room)
}

// cheapFirst orders what must all hold, or of which one is enough, by what it
// costs to ask: it decides nothing else.
func (c *compiler) cheapFirst(kids []*cond) {
	slices.SortStableFunc(kids, func(a, b *cond) int { return cmp.Compare(c.effort(a), c.effort(b)) })
}

func (c *compiler) effort(x *cond) int {
	if x.op != opLeaf {
		sum := 0
		for _, k := range x.kids {
			sum += c.effort(k)
		}
		return sum
	}
	n := 1
	switch c.e.preds[x.pred].test {
	case testContains, testCIDR:
		n = 5
	case testAnyOf, testRef, testTime:
		n = 10
	case testWild:
		n = 20
	case testRegex:
		n = 200
	}
	if c.e.predSlot[x.pred] < 0 {
		n *= 50
	}
	return n
}
