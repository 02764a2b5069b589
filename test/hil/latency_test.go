package hil

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/test/hil/control"
)

// trips is how often the way from the edge to the effect is measured.
const trips = 200

// bar is how much longer than the bare work the way may take, at p50. Bare is
// what no implementation can do without: one fsync and one transaction of the
// firewall, in the same guest, in the same minutes.
const bar = 3.0

// measured has the device's parts do 200 trips and prints them as multiples of
// the bare work. Absolute times are printed and judged by nobody: the machine
// is emulated.
func (l *loop) measured(ctx context.Context) (string, error) {
	if err := l.m.do(ctx, "agent.kill", nil, nil); err != nil {
		return "", err
	}
	var got control.Tripped
	began := time.Now()
	if err := l.m.do(ctx, "trips", control.Trips{Count: trips}, &got); err != nil {
		return "", err
	}
	// The multiples don't depend on the guest's clock; the times do.
	pace := float64(got.Elapsed) / float64(time.Since(began).Microseconds())
	if err := errors.Join(l.m.do(ctx, "agent.start", control.Start{}, nil), l.watching(ctx)); err != nil {
		return "", err
	}
	for _, list := range [][]int64{got.Event, got.Kernel, got.Contained, got.Durable, got.Both, got.Fsync, got.Apply} {
		if len(list) != trips {
			return "", fmt.Errorf("%d of %d trips were measured", len(list), trips)
		}
	}
	bare := at(got.Fsync, 50) + at(got.Apply, 50)
	multiple := at(got.Both, 50) / bare
	if multiple > bar {
		return "", fmt.Errorf("p50 is %.2f× the bare work, over %.1f×:\n%s", multiple, bar, table(got, bare, pace))
	}
	return fmt.Sprintf("p50 %.2f× of bare fsync and bare nft, at most %.1f× is allowed\n%s", multiple, bar, table(got, bare, pace)), nil
}

// table is everything that was measured, for people.
func table(got control.Tripped, bare, pace float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "       bare: fsync p50 %s, nft p50 %s, together %s; the guest's clock ran at %.2f× of this host's\n", ms(at(got.Fsync, 50)), ms(at(got.Apply, 50)), ms(bare), pace)
	for _, row := range []struct {
		name string
		list []int64
	}{
		{"the kernel has the edge", got.Kernel},
		{"the latch is told", got.Event},
		{"contained", got.Contained},
		{"durable (state and spool)", got.Durable},
		{"contained and durable", got.Both},
	} {
		p50, p99 := at(row.list, 50), at(row.list, 99)
		fmt.Fprintf(&b, "       edge → %-26s p50 %9s = %.2f×   p99 %9s = %.2f×\n", row.name, ms(p50), p50/bare, ms(p99), p99/bare)
	}
	return b.String()
}

// at returns a percentile, in microseconds.
func at(list []int64, percent int) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return float64(sorted[min(len(sorted)-1, len(sorted)*percent/100)])
}

func ms(us float64) string { return fmt.Sprintf("%.2f ms", us/1000) }
