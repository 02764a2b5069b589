package search

import (
	"cmp"
	"slices"
)

// Windows collects the places in which each of several patterns may match.
type Windows struct{ all []window }

type window struct {
	id       int32
	from, to int
}

// Add notes a place for a pattern.
func (w *Windows) Add(id int32, from, to int) {
	if n := len(w.all) - 1; n >= 0 {
		if last := &w.all[n]; last.id == id && from <= last.to && to >= last.from {
			last.from, last.to = min(last.from, from), max(last.to, to)
			return
		}
	}
	w.all = append(w.all, window{id, from, to})
}

// Len is how many are held.
func (w *Windows) Len() int { return len(w.all) }

// Merged hands over, pattern by pattern and in order, what overlaps as one: a
// match of one window may begin within another one.
func (w *Windows) Merged(each func(id int32, from, to int)) {
	slices.SortFunc(w.all, func(a, b window) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.from, b.from))
	})
	for i := 0; i < len(w.all); {
		at := w.all[i]
		for i++; i < len(w.all) && w.all[i].id == at.id && w.all[i].from <= at.to; i++ {
			at.to = max(at.to, w.all[i].to)
		}
		each(at.id, at.from, at.to)
	}
	w.all = w.all[:0]
}
