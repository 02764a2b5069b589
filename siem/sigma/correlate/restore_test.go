package correlate_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/correlate"
)

// table is where a stage would keep groups: rows in a database.
type table struct {
	t    testing.TB
	rows map[correlate.Key]row
}

type row struct {
	body []byte
	due  int64
}

// commit writes what changed, as the transaction does that moves the cursor.
func (x *table) commit(s *correlate.State) {
	x.t.Helper()
	err := s.Changes(func(k correlate.Key, body []byte, due int64) error {
		x.rows[k] = row{slices.Clone(body), due}
		return nil
	}, func(k correlate.Key) error {
		if _, ok := x.rows[k]; !ok {
			x.t.Errorf("%+v is dropped and was never put", k)
		}
		delete(x.rows, k)
		return nil
	})
	if err != nil {
		x.t.Fatal(err)
	}
	if n := s.Stats().Groups; n != len(x.rows) {
		x.t.Fatalf("%d rows of %d groups", len(x.rows), n)
	}
}

// restore makes a state from the rows, in any order.
func (x *table) restore(r *rand.Rand, e *sigma.Engine, c correlate.Config, watermark doing) *correlate.State {
	x.t.Helper()
	s := correlate.New(e, c)
	keys := slices.SortedFunc(maps.Keys(x.rows), func(a, b correlate.Key) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for _, k := range keys {
		if err := s.Restore(k, x.rows[k].body); err != nil {
			x.t.Fatal(err)
		}
	}
	if !watermark.at.IsZero() {
		s.Resume(watermark.at)
	}
	return s
}

// randomSet is several correlations of the rules a to c, the first of which
// feeds others.
func randomSet(r *rand.Rand) (*sigma.Engine, string) {
	for {
		text := detections("a", "b", "c") + correlation(0, "inner", "  type: event_count\n  rules: [a]\n  group-by: [u]\n  timespan: 30s\n  generate: true\n  condition: {gte: 2}")
		text += correlation(1, "outer", "  type: temporal_ordered\n  rules: [inner, b]\n  group-by: [u]\n  timespan: 90s\n  generate: true")
		for i := range 3 {
			body, _ := randomRule(r)
			text += correlation(2+i, fmt.Sprint("corr", i), body)
		}
		rules, err := sigma.Parse("x.yml", []byte(strings.TrimSuffix(text, "---\n")))
		if err != nil {
			continue
		}
		if e, err := sigma.Compile(rules, sigma.Options{}); err == nil {
			return e, text
		}
	}
}

// TestAStoppedStateGoesOn: a state that is written and restored at random
// points, and killed in between so that it takes what came since once more,
// fires what one fires that was never stopped: byte for byte, evictions too.
func TestAStoppedStateGoesOn(t *testing.T) {
	evictions := 0
	for seed := range rounds(t) / 5 {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		e, text := randomSet(r)
		story := randomStory(r, e, 60)
		config := func(out *[]string) correlate.Config {
			return correlate.Config{Memory: pick(r, int64(4_000), 20_000, 0), Evicted: func(ev correlate.Eviction) { *out = append(*out, fmt.Sprintf("evicted %+v", ev)) }}
		}
		do := func(s *correlate.State, d doing, out *[]string) {
			emit := func(f correlate.Firing) {
				f.Correlation = nil
				*out = append(*out, fmt.Sprintf("%+v", f))
			}
			if d.fact.Rule != nil {
				s.Take(d.fact, emit)
			} else {
				s.Advance(d.at, emit)
			}
		}
		var want, got []string
		cfg := config(&want)
		whole := correlate.New(e, cfg)
		for _, d := range story {
			do(whole, d, &want)
		}
		evictions += int(strings.Count(strings.Join(want, "\n"), "evicted"))
		for i := range want {
			want[i] = stripPointers(want[i])
		}

		cfg.Evicted = func(ev correlate.Eviction) { got = append(got, fmt.Sprintf("evicted %+v", ev)) }
		rows := &table{t: t, rows: make(map[correlate.Key]row)}
		s := correlate.New(e, cfg)
		var watermark doing
		committed, firm := 0, 0 // steps and outputs that are safe
		for i := 0; i < len(story); i++ {
			do(s, story[i], &got)
			switch r.IntN(8) {
			case 0, 1:
				rows.commit(s)
				committed, firm = i+1, len(got)
				for _, d := range story[:committed] {
					if d.fact.Rule == nil && d.at.After(watermark.at) {
						watermark = d
					}
				}
			case 2: // killed
				s = rows.restore(r, e, cfg, watermark)
				i, got = committed-1, got[:firm]
			}
		}
		for i := range got {
			got[i] = stripPointers(got[i])
		}
		if !reflect.DeepEqual(got, want) {
			i := 0
			for i < len(got) && i < len(want) && got[i] == want[i] {
				i++
			}
			t.Fatalf("seed %d, memory %d\n%s\noutput %d\ngot  %v\nwant %v", seed, cfg.Memory, text, i, strings.Join(got[i:min(i+3, len(got))], "\n"), strings.Join(want[i:min(i+3, len(want))], "\n"))
		}
	}
	if evictions < 100 {
		t.Errorf("%d evictions; that proves nothing", evictions)
	}
}

func stripPointers(s string) string {
	if i := strings.Index(s, "Correlation:0x"); i >= 0 {
		j := i + strings.IndexByte(s[i:], ' ')
		return s[:i] + s[j:]
	}
	return s
}

func TestChangesSayWhenAGroupIsDue(t *testing.T) {
	b := one(t, threeEvents)
	rows := &table{t: t, rows: make(map[correlate.Key]row)}
	b.next("a", 1, "u", "x")
	b.next("a", 2, "u", "x")
	rows.commit(b.s)
	for k, row := range rows.rows {
		if want := second(62).Add(correlate.Lateness).UnixMicro(); row.due != want || k.Group != `["x"]` {
			t.Errorf("%+v due %d, want %d", k, row.due, want)
		}
	}
	none := func(correlate.Key, []byte, int64) error { return errors.New("changed") }
	if err := b.s.Changes(none, nil); err != nil {
		t.Error(err)
	}
	b.next("a", 3, "u", "y")
	if err := b.s.Changes(none, nil); err == nil || err.Error() != "changed" {
		t.Errorf("the error of a row: %v", err)
	}
}

func TestRestoreRefusesWhatIsNotItsOwn(t *testing.T) {
	b := one(t, threeEvents)
	b.next("a", 1, "u", "x")
	rows := &table{t: t, rows: make(map[correlate.Key]row)}
	rows.commit(b.s)
	for k, row := range rows.rows {
		for want, change := range map[core.Kind]correlate.Key{
			core.KindDamaged:  {Scope: k.Scope, Rule: k.Rule, Group: `["x","y"]`},
			core.KindNotFound: {Scope: k.Scope, Rule: "other", Group: k.Group},
		} {
			if err := correlate.New(b.e, correlate.Config{}).Restore(change, row.body); core.KindOf(err) != want {
				t.Errorf("%+v: %v", change, err)
			}
		}
		if err := b.s.Restore(k, row.body); core.KindOf(err) != core.KindDamaged {
			t.Errorf("twice: %v", err)
		}
	}
}

// FuzzRestore: damaged bytes are an error, never a panic, and what is accepted
// is written back as it was.
func FuzzRestore(f *testing.F) {
	bodies := []string{
		threeEvents, threeUsers, "  type: value_avg\n  rules: [a]\n  timespan: 60s\n  condition: {gte: 3, field: f}",
		"  type: temporal_ordered\n  rules: [a, b]\n  timespan: 60s\n  condition: a and not b",
	}
	var engines []*sigma.Engine
	for i, body := range bodies {
		b := one(f, body)
		engines = append(engines, b.e)
		for n := range 5 {
			b.next(pick(rand.New(rand.NewPCG(1, uint64(n))), "a", "b"), float64(n), "u", fmt.Sprint(n%2), "f", "1.5", sigma.FieldAttempt, fmt.Sprint(n))
		}
		_ = b.s.Changes(func(k correlate.Key, body []byte, _ int64) error { // it has no error of its own
			f.Add(uint8(i), k.Group, body)
			f.Add(uint8(i), k.Group, body[:len(body)-1])
			return nil
		}, nil)
	}
	f.Fuzz(func(t *testing.T, which uint8, group string, body []byte) {
		e := engines[int(which)%len(engines)]
		s := correlate.New(e, correlate.Config{})
		k := correlate.Key{Scope: "s", Rule: e.Correlations()[0].Shape(), Group: group}
		if err := s.Restore(k, body); err != nil {
			if core.KindOf(err) != core.KindDamaged || s.Stats().Groups != 0 {
				t.Fatalf("%v, %+v left", err, s.Stats())
			}
			return
		}
		s.Take(correlate.Fact{Scope: "s", Rule: e.Rules()[0], Event: id(77), At: second(1), Received: second(1), Fields: []sigma.Field{{Name: "u", Value: "0"}, {Name: "f", Value: "1"}}}, nil)
		s.Advance(second(1e6), nil)
		again := correlate.New(e, correlate.Config{})
		if err := again.Restore(k, body); err != nil {
			t.Fatal(err)
		}
		first := written(t, again)
		third := correlate.New(e, correlate.Config{})
		for k, body := range first {
			if err := third.Restore(k, body); err != nil {
				t.Fatal(err)
			}
		}
		if second := written(t, third); !maps.EqualFunc(first, second, bytes.Equal) {
			t.Fatalf("%v became %v", first, second)
		}
	})
}

// written is all that a state holds, by way of a change in every group.
func written(t *testing.T, s *correlate.State) map[correlate.Key][]byte {
	out := make(map[correlate.Key][]byte)
	err := s.Dump(func(k correlate.Key, body []byte) { out[k] = slices.Clone(body) })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAChangedRuleGoesOnOrBeginsAnew: with another threshold or timespan it goes
// on with the windows it has; what counts something else has others.
func TestAChangedRuleGoesOnOrBeginsAnew(t *testing.T) {
	b := one(t, threeEvents)
	shape := b.e.Correlations()[0].Shape()
	for change, same := range map[string]bool{
		"gte: 3|gte: 2": true, "timespan: 60s|timespan: 2h": true, "group-by: [u]|group-by: [v]": false, "rules: [a]|rules: [a, b]": false,
		"event_count|value_count": false, "timespan: 60s|timespan: 60s\n  window: tumbling": false,
	} {
		old, with, _ := strings.Cut(change, "|")
		body := strings.Replace(threeEvents, old, with, 1)
		if strings.Contains(body, "value_count") {
			body = strings.Replace(body, "{gte", "{field: u, gte", 1)
		}
		if got := one(t, body).e.Correlations()[0].Shape(); (got == shape) != same {
			t.Errorf("%s: %s, was %s", change, got, shape)
		}
	}
	b.next("a", 0, "u", "x")
	b.next("a", 1, "u", "x")
	rows := &table{t: t, rows: make(map[correlate.Key]row)}
	rows.commit(b.s)
	next := one(t, strings.Replace(threeEvents, "timespan: 60s", "timespan: 2h", 1))
	next.s = rows.restore(rand.New(rand.NewPCG(1, 1)), next.e, correlate.Config{}, doing{})
	if f := next.take(3, "a", 3000, 3000, "u", "x"); named(f) != "1 2 3" {
		t.Errorf("%+v", f)
	}
}
