package baseline_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/interlock-security/interlock/siem/baseline"
)

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// office is a log with the rhythm of people: busy by day, quiet by night and on
// Sundays, and in clumps.
func office(r *rand.Rand, at time.Time, busiest float64) uint64 {
	h := float64(at.Hour()) + float64(at.Minute())/60
	rate := busiest * (0.05 + max(0, math.Sin((h-6)/14*math.Pi)))
	if at.Weekday() == time.Sunday {
		rate *= 0.2
	}
	return poisson(r, rate*math.Exp(0.25*r.NormFloat64()))
}

func poisson(r *rand.Rand, rate float64) uint64 {
	if rate > 50 {
		return uint64(max(0, math.Round(rate+math.Sqrt(rate)*r.NormFloat64())))
	}
	n, p := uint64(0), math.Exp(-rate)
	for q := r.Float64(); q > p; n++ {
		q *= r.Float64()
	}
	return n
}

// label is a span in which a source is known to be wrong.
type label struct {
	from, to time.Duration
	kind     baseline.Kind
	count    func(usual uint64) uint64
}

var labels = []label{
	{9*24*time.Hour + 10*time.Hour, 9*24*time.Hour + 16*time.Hour, baseline.TypeSilent, func(uint64) uint64 { return 0 }},
	{15*24*time.Hour + 13*time.Hour, 15*24*time.Hour + 14*time.Hour, baseline.TypeBurst, func(n uint64) uint64 { return 20*n + 200 }},
	{22*24*time.Hour + 2*time.Hour, 22*24*time.Hour + 3*time.Hour, baseline.TypeBurst, func(n uint64) uint64 { return 30*n + 100 }},
}

// TestLabelledReplay replays four weeks of each of thirty made-up logs, with
// spans in which they are known to be wrong: what is found of them, how late,
// and how often something is told that is not.
func TestLabelledReplay(t *testing.T) {
	found, wanted, wrong, weeks := 0, 0, 0, 0
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 5))
		busiest := []float64{8, 60, 900}[seed%3]
		told := replay(r, busiest)
		weeks += 4
		for _, l := range labels {
			wanted++
			if told.within(l) {
				found++
			}
		}
		wrong += told.outside()
	}
	t.Logf("%d of %d labelled spans found, %d told that were none, in %d weeks of logs", found, wanted, wrong, weeks)
	if found < wanted {
		t.Errorf("%d of %d labelled spans found", found, wanted)
	}
	if wrong*10 > weeks {
		t.Errorf("%d wrong verdicts in %d weeks, at most one in ten weeks is bearable", wrong, weeks)
	}
}

type verdicts []struct {
	at   time.Duration
	kind baseline.Kind
}

func replay(r *rand.Rand, busiest float64) (out verdicts) {
	var s baseline.Signal
	for at := time.Duration(0); at < 28*24*time.Hour; at += baseline.Bucket {
		n := office(r, monday.Add(at), busiest)
		for _, l := range labels {
			if at >= l.from && at < l.to {
				n = l.count(n)
			}
		}
		if v := s.Step(monday.Add(at), n); v != nil && v.Kind != baseline.TypeBack {
			out = append(out, struct {
				at   time.Duration
				kind baseline.Kind
			}{at, v.Kind})
		}
	}
	return out
}

func (vs verdicts) within(l label) bool {
	for _, v := range vs {
		if v.kind == l.kind && v.at >= l.from && v.at < l.to {
			return true
		}
	}
	return false
}

func (vs verdicts) outside() int {
	n := 0
	for _, v := range vs {
		in := false
		for _, l := range labels {
			in = in || v.at >= l.from && v.at < l.to+time.Hour
		}
		if !in {
			n++
		}
	}
	return n
}

func TestSilenceSaysWhatIsMissingAndEnds(t *testing.T) {
	var s baseline.Signal
	at := monday
	feed := func(buckets int, n uint64) (last *baseline.Verdict) {
		for range buckets {
			if v := s.Step(at, n); v != nil {
				last = v
			}
			at = at.Add(baseline.Bucket)
		}
		return last
	}
	if v := feed(3*288, 10); v != nil {
		t.Fatalf("a steady log made %+v", v)
	}
	v := feed(3, 0)
	if v == nil || v.Kind != baseline.TypeSilent || v.Expected < 20 || v.For != 3*baseline.Bucket {
		t.Fatalf("three empty buckets made %+v", v)
	}
	if v := feed(288, 0); v != nil {
		t.Errorf("a silence is told once, then came %+v", v)
	}
	if v := feed(1, 10); v == nil || v.Kind != baseline.TypeBack || v.For != 291*baseline.Bucket {
		t.Errorf("its end made %+v", v)
	}
	if want := s.Expected(at); want < 8 || want > 12 {
		t.Errorf("after the silence %v is expected: silence taught something", want)
	}
}

func TestFloodsDoNotBecomeUsual(t *testing.T) {
	var s baseline.Signal
	at := monday
	for range 3 * 288 {
		s.Step(at, 10)
		at = at.Add(baseline.Bucket)
	}
	told := 0
	for range 12 {
		if v := s.Step(at, 10_000); v != nil {
			told++
			if v.Kind != baseline.TypeBurst || v.Score < 6 || v.Count < 20_000 || v.Expected > 60 {
				t.Errorf("a flood made %+v", v)
			}
		}
		at = at.Add(baseline.Bucket)
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	if want := s.Expected(at); want > 100 {
		t.Errorf("an hour of flood made %v usual", want)
	}
}

func TestNothingIsToldOfWhatIsNotKnown(t *testing.T) {
	var s baseline.Signal
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 500 {
		if v := s.Step(monday.Add(time.Duration(i)*baseline.Bucket), uint64(r.IntN(5000))); v != nil {
			t.Fatalf("bucket %d of a new source: %+v", i, v)
		}
	}
}
