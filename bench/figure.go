package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
)

// rounds is how often each side of a trial is measured, after one round that
// does not count. It is odd, so that the median is a value that was seen.
const rounds = 11

// figure is one printed line.
type figure struct {
	name string // "audit/append/64w"
	unit string // "entries/s"
	// floor names what the value is compared with, "" where it stands alone.
	floor string
	bars  []bar
}

// bar is what a figure must reach. A bar on the ratio holds on every machine;
// one on the value was set for a machine of two cores and is only told.
type bar struct {
	ratio           bool
	atLeast, atMost float64 // 0: none
}

func (b bar) holds(value, ratio float64) bool {
	x := value
	if b.ratio {
		x = ratio
	}
	return x >= b.atLeast && (b.atMost == 0 || x <= b.atMost)
}

func (b bar) String() string {
	what, limit := "value", fmt.Sprintf("at least %g", b.atLeast)
	if b.ratio {
		what = "ratio"
	}
	if b.atMost > 0 {
		limit = fmt.Sprintf("at most %g", b.atMost)
	}
	return fmt.Sprintf("the bar for the %s is %s", what, limit)
}

// miss is a bar that was not reached.
type miss struct {
	line string
	bar
}

func (m miss) String() string { return m.line + ": " + m.bar.String() }

// trial measures figures that come from the same rounds.
type trial struct {
	figures []figure
	// rounds that count, odd; 0 is as many as usual. Fewer are for what takes
	// seconds.
	rounds int
	// open makes what the sides need, with files in dir, which is there and
	// empty. It returns notMeasured where the machine lacks something.
	open func(ctx context.Context, dir string) (sides, error)
}

// sides are the two things compared. A round is one call of each, one after the
// other, so that the machine's mood falls on both; each returns a number per
// figure. Where there is no floor, ours stands alone.
type sides struct {
	ours, floor func() ([]float64, error)
	close       func() error
}

// notMeasured is why a trial can't run on this machine.
type notMeasured struct{ why string }

func (e notMeasured) Error() string { return e.why }

// selected reports whether the user asked for any of the trial's figures: only
// is a prefix of their names.
func (t trial) selected(only string) bool {
	return slices.ContainsFunc(t.figures, func(f figure) bool { return strings.HasPrefix(f.name, only) })
}

// measure runs a trial and prints the figures that only selects.
func measure(ctx context.Context, out io.Writer, t trial, only, dir string) ([]miss, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	s, err := t.open(ctx, dir)
	var lacking notMeasured
	if errors.As(err, &lacking) {
		return nil, tell(out, t, only, lacking)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.figures[0].name, err)
	}
	samples, err := s.sample(ctx, cmp.Or(t.rounds, rounds))
	if err = errors.Join(err, s.close()); err != nil {
		return nil, fmt.Errorf("%s: %w", t.figures[0].name, err)
	}
	var misses []miss
	for i, f := range t.figures {
		if !strings.HasPrefix(f.name, only) {
			continue
		}
		l := line{f, column(samples, i)}
		if _, err := fmt.Fprintln(out, l); err != nil {
			return nil, err
		}
		misses = append(misses, l.misses()...)
	}
	return misses, nil
}

func tell(out io.Writer, t trial, only string, why notMeasured) error {
	for _, f := range t.figures {
		if !strings.HasPrefix(f.name, only) {
			continue
		}
		if _, err := fmt.Fprintf(out, "# %s\tnot measured: %s\n", f.name, why.why); err != nil {
			return err
		}
	}
	return nil
}

// pair is what one round gave for one figure; floor is 0 where there is none.
type pair struct{ value, floor float64 }

// sample runs the rounds. Who goes first changes with each.
func (s sides) sample(ctx context.Context, rounds int) ([][]pair, error) {
	var samples [][]pair
	for i := range rounds + 1 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r, err := s.round(i%2 == 1)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			samples = append(samples, r)
		}
	}
	return samples, nil
}

func (s sides) round(floorFirst bool) ([]pair, error) {
	var floors []float64
	var err error
	if s.floor != nil && floorFirst {
		if floors, err = alone(s.floor); err != nil {
			return nil, err
		}
	}
	values, err := alone(s.ours)
	if err != nil {
		return nil, err
	}
	if s.floor != nil && !floorFirst {
		if floors, err = alone(s.floor); err != nil {
			return nil, err
		}
	}
	pairs := make([]pair, len(values))
	for i, v := range values {
		pairs[i].value = v
		if floors != nil {
			pairs[i].floor = floors[i]
		}
	}
	return pairs, nil
}

// alone runs one side without the other one's garbage.
func alone(side func() ([]float64, error)) ([]float64, error) {
	runtime.GC()
	return side()
}

func column(samples [][]pair, i int) []pair {
	out := make([]pair, len(samples))
	for n, row := range samples {
		out[n] = row[i]
	}
	return out
}

// line is a measured figure.
type line struct {
	figure
	pairs []pair
}

// String is the printed form: name, median value, unit, compared with, median
// of the rounds' ratios, spread of the value and of the ratio.
func (l line) String() string {
	values, floors, ratios := l.columns()
	compared, ratio, spread := "-", "-", extent(values)
	if l.floor != "" {
		compared = l.floor + "=" + number(median(floors))
		ratio = fmt.Sprintf("%.3g", median(ratios))
		spread += " ratio " + extent(ratios)
	}
	return strings.Join([]string{l.name, number(median(values)), l.unit, compared, ratio, spread}, "\t")
}

func (l line) columns() (values, floors, ratios []float64) {
	for _, p := range l.pairs {
		values, floors = append(values, p.value), append(floors, p.floor)
		ratios = append(ratios, p.value/p.floor)
	}
	return values, floors, ratios
}

func (l line) misses() []miss {
	values, _, ratios := l.columns()
	var out []miss
	for _, b := range l.bars {
		if !b.holds(median(values), median(ratios)) {
			out = append(out, miss{l.String(), b})
		}
	}
	return out
}

// median is the middle one; of an even number, the upper of the two.
func median(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	return s[len(s)/2]
}

func extent(xs []float64) string {
	return "[" + number(slices.Min(xs)) + ".." + number(slices.Max(xs)) + "]"
}

// number writes a figure for people: whole from a hundred on, three digits below.
func number(x float64) string {
	if x >= 100 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3g", x)
}
