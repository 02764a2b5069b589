package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/policy"
)

func TestMedianIsTheMiddleOne(t *testing.T) {
	for _, row := range []struct {
		xs   []float64
		want float64
	}{
		{[]float64{4}, 4},
		{[]float64{9, 1, 5}, 5},
		{[]float64{1, 2, 3, 1000}, 3},
		{[]float64{7, 7, 7, 0, 7}, 7},
	} {
		before := slices.Clone(row.xs)
		if got := median(row.xs); got != row.want {
			t.Errorf("median of %v is %v, want %v", row.xs, got, row.want)
		}
		if !slices.Equal(row.xs, before) {
			t.Errorf("the samples were reordered: %v", row.xs)
		}
	}
}

func TestLine(t *testing.T) {
	against := figure{name: "audit/append/64w", unit: "entries/s", floor: "raw/append/64w"}
	by := figure{name: "policy/guard/1000", unit: "µs-cpu"}
	for _, row := range []struct {
		line line
		want string
	}{
		// The ratio is of the rounds, 0.8, and not of the medians, 0.5.
		{line{against, []pair{{1000, 1000}, {40, 50}, {100, 200}}}, "audit/append/64w\t100\tentries/s\traw/append/64w=200\t0.8\t[40..1000] ratio [0.5..1]"},
		{line{by, []pair{{5.5, 0}, {5.123, 0}, {1.5, 0}}}, "policy/guard/1000\t5.12\tµs-cpu\t-\t-\t[1.5..5.5]"},
		{line{by, []pair{{123456.7, 0}}}, "policy/guard/1000\t123457\tµs-cpu\t-\t-\t[123457..123457]"},
	} {
		if got := row.line.String(); got != row.want {
			t.Errorf("got  %q\nwant %q", got, row.want)
		}
	}
}

func TestBars(t *testing.T) {
	for _, row := range []struct {
		bar          bar
		value, ratio float64
		holds        bool
		says         string
	}{
		{bar{ratio: true, atLeast: 0.7}, 1, 0.7, true, "the bar for the ratio is at least 0.7"},
		{bar{ratio: true, atLeast: 0.7}, 1e6, 0.69, false, "the bar for the ratio is at least 0.7"},
		{bar{ratio: true, atMost: 3}, 1, 3, true, "the bar for the ratio is at most 3"},
		{bar{ratio: true, atMost: 3}, 1, 3.1, false, "the bar for the ratio is at most 3"},
		{bar{atLeast: 60_000}, 59_999, 9, false, "the bar for the value is at least 60000"},
		{bar{atMost: 10}, 9.9, 99, true, "the bar for the value is at most 10"},
	} {
		if row.bar.holds(row.value, row.ratio) != row.holds || row.bar.String() != row.says {
			t.Errorf("%+v with value %v and ratio %v: want %v, %q", row.bar, row.value, row.ratio, row.holds, row.says)
		}
	}
}

// script is a trial that gives what it is told and writes down who ran when.
type script struct {
	order  []string
	closed bool
	fail   error
}

func (s *script) side(who string, numbers ...float64) func() ([]float64, error) {
	return func() ([]float64, error) {
		s.order = append(s.order, who)
		return numbers, s.fail
	}
}

func (s *script) trial() trial {
	return trial{
		figures: []figure{
			{name: "x/rate", unit: "per s", floor: "raw/rate", bars: []bar{{ratio: true, atLeast: 0.7}}},
			{name: "x/rate/p50", unit: "ms", floor: "raw/rate/p50", bars: []bar{{ratio: true, atMost: 3}, {atMost: 5}}},
		},
		open: func(context.Context, string) (sides, error) {
			return sides{s.side("ours", 60, 9), s.side("floor", 100, 4), func() error { s.closed = true; return nil }}, nil
		},
	}
}

func TestMeasureInterleavesAndJudges(t *testing.T) {
	var s script
	var out bytes.Buffer
	misses, err := measure(t.Context(), &out, s.trial(), "", filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	want := "x/rate\t60\tper s\traw/rate=100\t0.6\t[60..60] ratio [0.6..0.6]\n" +
		"x/rate/p50\t9\tms\traw/rate/p50=4\t2.25\t[9..9] ratio [2.25..2.25]\n"
	if out.String() != want {
		t.Errorf("printed %q", out.String())
	}
	if len(misses) != 2 || !misses[0].ratio || !strings.HasPrefix(misses[0].line, "x/rate\t") || misses[1].ratio {
		t.Errorf("misses: %v", misses)
	}
	if len(s.order) != 2*(rounds+1) || rounds < 5 || !slices.Equal(s.order[:4], []string{"ours", "floor", "floor", "ours"}) || !s.closed {
		t.Errorf("%d sides ran, %v, closed %v", len(s.order), s.order, s.closed)
	}
}

func TestOnlyPrintsWhatItSelects(t *testing.T) {
	var s script
	var out bytes.Buffer
	misses, err := measure(t.Context(), &out, s.trial(), "x/rate/p", filepath.Join(t.TempDir(), "x"))
	if err != nil || strings.Count(out.String(), "\n") != 1 || !strings.HasPrefix(out.String(), "x/rate/p50\t") || len(misses) != 1 {
		t.Errorf("%v, %v: %q", err, misses, out.String())
	}
}

func TestOnlyNarrowsByPrefix(t *testing.T) {
	for only, want := range map[string]string{
		"audit":                     "audit/append/64w audit/append/1w",
		"audit/append/64w/p50":      "audit/append/64w",
		"journal/append/frames500/": "journal/append/frames500/postgres",
		"policy/guard/1000":         "policy/guard/1000",
	} {
		chosen, err := choose(figures(), only)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range chosen {
			names = append(names, c.figures[0].name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%q selects %q, want %q", only, got, want)
		}
	}
	if all, err := choose(figures(), ""); err != nil || len(all) != len(figures()) {
		t.Errorf("%d of all, %v", len(all), err)
	}
	if _, err := choose(figures(), "append"); err == nil {
		t.Error("a prefix of no figure selects something")
	}
}

func TestNamesAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, tr := range figures() {
		for _, f := range tr.figures {
			if seen[f.name] || f.unit == "" || strings.ContainsAny(f.name+f.unit+f.floor, "\t\n") {
				t.Errorf("%+v", f)
			}
			seen[f.name] = true
		}
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	tr := new(script).trial()
	tr.open = func(context.Context, string) (sides, error) { return sides{}, notMeasured{"there is no such server"} }
	var out bytes.Buffer
	misses, err := measure(t.Context(), &out, tr, "x/rate/p50", filepath.Join(t.TempDir(), "x"))
	if err != nil || len(misses) != 0 || out.String() != "# x/rate/p50\tnot measured: there is no such server\n" {
		t.Errorf("%v, %v: %q", err, misses, out.String())
	}
}

func TestFaultsEndTheRun(t *testing.T) {
	s := script{fail: errors.New("disk on fire")}
	var out bytes.Buffer
	_, err := measure(t.Context(), &out, s.trial(), "", filepath.Join(t.TempDir(), "x"))
	if err == nil || !strings.Contains(err.Error(), "x/rate: disk on fire") || !s.closed || out.Len() > 0 {
		t.Errorf("%v, closed %v, printed %q", err, s.closed, out.String())
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := measure(ended, &out, new(script).trial(), "", filepath.Join(t.TempDir(), "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("after ^C: %v", err)
	}
}

// TestRecordsAreACollectors holds the events to what the figures say of them.
func TestRecordsAreACollectors(t *testing.T) {
	a, err := records(perFrame, 0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := records(perFrame, 1)
	if err != nil {
		t.Fatal(err)
	}
	size := len(bytes.Join(a, nil)) / perFrame
	if size < 450 || size > 650 || bytes.Equal(a[0], b[0]) {
		t.Errorf("%d bytes an event: %s", size, a[0])
	}
}

// TestThousandPolicies counts what is left for an operator who quarantines:
// policies that name the action, and those that are open to all.
func TestThousandPolicies(t *testing.T) {
	text := thousand()
	set, err := policy.Parse(policy.File{Name: "thousand.cedar", Text: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	left := strings.Count(text, `"device.quarantine"`) + strings.Count(text, "(principal, action, resource)")
	if set.Len() != 1000 || left != 15 {
		t.Errorf("%d of %d policies are left", left, set.Len())
	}
}

// TestSidesDoWhatTheyClaim runs both sides of the figures that need no disk: the
// guard permits, a batch verifies, a rule holds, or they fail.
func TestSidesDoWhatTheyClaim(t *testing.T) {
	for _, tr := range []trial{guard1000(), batchVerify(), detectSSHD()} {
		s, err := tr.open(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.round(true); err != nil {
			t.Errorf("%s: %v", tr.figures[0].name, err)
		}
	}
}

func TestRawFileKeepsEveryByteInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raw")
	r, err := newRawFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.close() }()
	if _, _, err := loop(8, func(w int) error { return r.append(bytes.Repeat([]byte{byte('a' + w)}, 10)) }); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, min(r.at, 1<<16))
	if _, err := r.f.ReadAt(head, 0); err != nil {
		t.Fatal(err)
	}
	for i := 0; i+10 <= len(head); i += 10 {
		if !bytes.Equal(head[i:i+10], bytes.Repeat(head[i:i+1], 10)) || head[i] < 'a' || head[i] > 'h' {
			t.Fatalf("at %d: %q", i, head[i:i+10])
		}
	}
}
