package sigma_test

import (
	"iter"
	"slices"
)

// smaller makes the case smaller in one place after the other. Each step comes
// with what takes it back; a step that is not taken back stays.
func (c *madeCase) smaller() iter.Seq2[int, func()] {
	return func(yield func(int, func()) bool) {
		n := 0
		step := func(undo func()) bool { n++; return yield(n, undo) }
		_ = dropEach(&c.rules, 1, step) &&
			dropEach(&c.vouched, 0, step) &&
			dropEach(&c.sources, 1, step) &&
			(!c.aliases || setTo(&c.aliases, false, step)) &&
			c.event.smaller(step) &&
			smallerRules(c.rules, step)
	}
}

// dropEach leaves out one element after the other, down to least.
func dropEach[T any](list *[]T, least int, step func(func()) bool) bool {
	for i := 0; i < len(*list) && len(*list) > least; i++ {
		old := *list
		*list = slices.Delete(slices.Clone(old), i, i+1)
		if !step(func() { *list = old }) {
			return false
		}
	}
	return true
}

func setTo[T comparable](at *T, to T, step func(func()) bool) bool {
	old := *at
	if old == to {
		return true
	}
	*at = to
	return step(func() { *at = old })
}

// shorten tries the halves of a text, then each letter left out.
func shorten(s *string, step func(func()) bool) bool {
	letters := []rune(*s)
	tries := []string{string(letters[:len(letters)/2]), string(letters[len(letters)/2:])}
	for i := range letters {
		tries = append(tries, string(slices.Delete(slices.Clone(letters), i, i+1)))
	}
	for _, to := range tries {
		if !setTo(s, to, step) {
			return false
		}
	}
	return true
}

func (n *madeNode) smaller(step func(func()) bool) bool {
	for i := 0; i < len(n.kids); i++ {
		keys, kids := n.keys, n.kids
		n.kids = slices.Delete(slices.Clone(kids), i, i+1)
		if n.kind == 'o' {
			n.keys = slices.Delete(slices.Clone(keys), i, i+1)
		}
		if !step(func() { n.keys, n.kids = keys, kids }) {
			return false
		}
	}
	for i := range n.kids {
		if n.kind == 'o' && !setTo(&n.keys[i].escaped, false, step) {
			return false
		}
		if kid := n.kids[i]; kid.kind == 'a' && len(kid.kids) == 1 {
			if !setTo(&n.kids[i], kid.kids[0], step) {
				return false
			}
		}
		if !n.kids[i].smaller(step) {
			return false
		}
	}
	if n.kind == 's' {
		return setTo(&n.escaped, false, step) && shorten(&n.text, step)
	}
	return true
}

func smallerRules(rules []*madeRule, step func(func()) bool) bool {
	for _, r := range rules {
		ok := dropEach(&r.selections, 1, step) && r.condition.smaller(&r.condition, step)
		for _, s := range r.selections {
			ok = ok && dropEach(&s.maps, 1, step)
			for i := range s.maps {
				ok = ok && dropEach(&s.maps[i], 1, step)
				for _, it := range s.maps[i] {
					ok = ok && it.smaller(step)
				}
			}
		}
		if !ok {
			return false
		}
	}
	return true
}

func (c *madeCondition) smaller(at **madeCondition, step func(func()) bool) bool {
	for _, k := range c.kids {
		if !setTo(at, k, step) {
			return false
		}
	}
	if len(c.kids) > 2 && !dropEach(&c.kids, 2, step) {
		return false
	}
	for i := range c.kids {
		if !c.kids[i].smaller(&c.kids[i], step) {
			return false
		}
	}
	return true
}

func (it *madeItem) smaller(step func(func()) bool) bool {
	if !dropEach(&it.mods, 0, step) || !dropEach(&it.vals, 1, step) {
		return false
	}
	for i := range it.vals {
		if it.vals[i].quoted && !shorten(&it.vals[i].text, step) {
			return false
		}
	}
	return true
}
