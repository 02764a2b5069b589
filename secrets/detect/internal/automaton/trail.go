package automaton

// stride is how far apart a run leaves marks.
const stride = 1 << 10

// trail remembers where the last long run was in which state, and how it ended.
// A run that comes to the same place in the same state ends the same way; so a
// text full of beginnings whose end is far away is read once and not once for
// each of them.
type trail struct {
	marks []trailMark // of the run before, in rising order
	fresh []trailMark // of this one
	next  int         // the first of marks that may still be ahead
	end   int         // of the run before, -1 for none
}

type trailMark struct {
	at    int
	state int32
}

func (t *trail) clear() { t.marks, t.fresh, t.next = t.marks[:0], t.fresh[:0], 0 }

func (t *trail) begin() { t.fresh, t.next = t.fresh[:0], 0 }

// mark notes a place and answers how the run will end, if that is known. An end
// that the run before saw from here on is this one's too.
func (t *trail) mark(at int, state int32, last int) (end int, known bool) {
	for t.next < len(t.marks) && t.marks[t.next].at < at {
		t.next++
	}
	if t.next < len(t.marks) && t.marks[t.next] == (trailMark{at, state}) {
		if t.end >= at {
			last = t.end
		}
		return last, true
	}
	t.fresh = append(t.fresh, trailMark{at, state})
	return 0, false
}

// done keeps the run's marks for the next one.
func (t *trail) done(end int) int {
	if len(t.fresh) > 0 {
		t.marks, t.fresh = t.fresh, t.marks[:0]
		t.end = end
	}
	return end
}
