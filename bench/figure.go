package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// figure is one measured pair: the thing and what it is compared with. Both
// sides run in every round, one after the other, so that the machine's mood
// falls on both.
type figure struct {
	name string // "audit/append/64w"
	unit string // "entries/s"
	// floor is what the value is compared with, "" where the figure stands
	// alone against a stated number.
	floor string
	// round measures once and returns the value and the floor's value.
	round func() (value, floor float64, err error)
}

// rounds is how often each figure is measured.
const rounds = 5

// measure runs a figure's rounds and prints its line: name, median value, unit,
// compared with, ratio of the medians, spread of the value over the rounds.
func measure(out io.Writer, f figure) error {
	var values, floors []float64
	for range rounds {
		v, b, err := f.round()
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		values, floors = append(values, v), append(floors, b)
	}
	compared, ratio := "-", "-"
	if f.floor != "" {
		compared = fmt.Sprintf("%s=%.4g", f.floor, median(floors))
		ratio = fmt.Sprintf("%.2f", median(values)/median(floors))
	}
	_, err := fmt.Fprintf(out, "%s\t%.4g\t%s\t%s\t%s\t[%.4g..%.4g]\n",
		f.name, median(values), f.unit, compared, ratio, slices.Min(values), slices.Max(values))
	return err
}

func median(xs []float64) float64 {
	s := slices.Clone(xs)
	slices.Sort(s)
	return s[len(s)/2]
}

// selected reports whether the user asked for this figure: ONLY is a prefix.
func selected(only, name string) bool { return strings.HasPrefix(name, only) }
