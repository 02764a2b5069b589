package detect

import (
	"strings"
	"testing"
)

// counting is a grammar that finds what stands behind its keyword.
type counting struct {
	calls, most *int
}

func (counting) Rules() []Rule       { return []Rule{{ID: "counted"}} }
func (counting) Keywords() []string  { return []string{"key=", "far"} }
func (counting) Wants(string) bool   { return false }
func (counting) All(Text, func(Hit)) {}
func (c counting) At(t Text, at, n int, emit func(Hit)) {
	*c.calls++
	*c.most = max(*c.most, len(t.Body))
	if string(t.Body[at:at+n]) != "far" && at+n+4 <= len(t.Body) {
		emit(Hit{Rule: "counted", Start: at + n, End: at + n + 4, MatchStart: at, MatchEnd: at + n + 4})
	}
	emit(Hit{Rule: "counted", Start: -1, End: 3})
	emit(Hit{Rule: "counted", Start: at, End: len(t.Body) + 1})
}

func count(t *testing.T, body string) (calls, most int, leaks []*Leak, gaps []Gap) {
	t.Helper()
	d, err := New(Config{Grammars: []Grammar{counting{&calls, &most}}})
	if err != nil {
		t.Fatal(err)
	}
	gaps = d.Scan(Text{Path: "p", Body: []byte(body)}, func(l *Leak) { leaks = append(leaks, l) })
	return calls, most, leaks, gaps
}

// TestGrammarsSeeANeighbourhood: what they find stands where it stands in the
// text, whatever part of it they saw.
func TestGrammarsSeeANeighbourhood(t *testing.T) {
	for _, before := range []int{0, 1, sight - 1, sight, sight + 1, 5 * sight} {
		body := strings.Repeat(".", before) + "\nkey=abcd\n" + strings.Repeat(".", 2*ahead)
		_, most, leaks, gaps := count(t, body)
		if len(leaks) != 1 || len(gaps) != 0 || most > sight+ahead+len("key=") {
			t.Fatalf("%d before it: %d leaks, gaps %v, %d bytes seen", before, len(leaks), gaps, most)
		}
		if leaks[0].Line != 2 || leaks[0].Column != 5 {
			t.Errorf("%d before it: found at %d:%d", before, leaks[0].Line, leaks[0].Column)
		}
	}
}

// TestTooManyKeywordsAreAGap: a line of nothing but keywords is not read at each
// of them, which is told, and what follows it is read.
func TestTooManyKeywordsAreAGap(t *testing.T) {
	body := strings.Repeat("far", 1<<18) + strings.Repeat(".", 1<<22) + "\nkey=abcd\n"
	calls, _, leaks, gaps := count(t, body)
	if most := leastPlaces + len(body)/bytesPerPlace; calls > most {
		t.Errorf("asked %d times, at most %d are worth it", calls, most)
	}
	if len(gaps) != 1 || !strings.Contains(gaps[0].Why, "were not looked at") {
		t.Errorf("gaps %+v", gaps)
	}
	if len(leaks) != 1 {
		t.Errorf("%d leaks behind the hostile line", len(leaks))
	}
	if _, _, _, gaps := count(t, strings.Repeat("far and away in short lines\n", 1<<16)); len(gaps) != 0 {
		t.Errorf("ordinary lines: gaps %+v", gaps)
	}
}
