package correlate_test

import "testing"

// TestNoNumberIsTooLargeToCount: numbers come from events, so from strangers.
// One that no sum can hold must neither be left out nor make every further
// condition false.
func TestNoNumberIsTooLargeToCount(t *testing.T) {
	for _, kind := range []string{"value_sum", "value_avg"} {
		for _, huge := range []string{"1.7e308", "1e400"} {
			b := one(t, "  type: "+kind+"\n  rules: [a]\n  group-by: [u]\n  timespan: 60s\n  condition: {gt: 100, field: n}")
			fired := 0
			for n := range 3 {
				fired += len(b.take(n, "a", float64(n), float64(n), "u", "x", "n", huge))
			}
			if fired += len(b.advance(1000)); fired == 0 {
				t.Errorf("%s of three times %s did not fire: %+v", kind, huge, b.s.Stats())
			}
			if late := len(b.take(9, "a", 2000, 2000, "u", "x", "n", "200")) + len(b.advance(9000)); late == 0 {
				t.Errorf("%s after %s did not fire", kind, huge)
			}
		}
	}
}

// TestAHugeNumberHidesNoOther: after one event of each sign the sum still moves.
func TestAHugeNumberHidesNoOther(t *testing.T) {
	b := one(t, "  type: value_sum\n  rules: [a]\n  timespan: 60s\n  condition: {gt: 100, field: n}")
	fired := 0
	for n, text := range []string{"1.7e308", "1.7e308", "-1.7e308", "-1.7e308", "-1e400", "1e400", "200"} {
		fired += len(b.take(n, "a", float64(n), float64(n), "n", text))
	}
	if last := b.s.Stats(); fired < 3 || last.Correlations[0].Unreadable > 0 {
		t.Errorf("%d firings: %+v", fired, last)
	}
}
