package correlate_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/correlate"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func second(s float64) time.Time { return epoch.Add(time.Duration(s*1e6) * time.Microsecond) }

// detections is one rule each, of the names.
func detections(names ...string) string {
	var out strings.Builder
	for i, name := range names {
		fmt.Fprintf(&out, "title: %s\nid: 11111111-1111-4111-8111-%012d\nname: %s\nauthor: A\nlogsource: {product: linux}\ndetection:\n  s: {event: %s}\n  condition: s\n---\n", name, i, name, name)
	}
	return out.String()
}

// correlation is a document of the name around a body.
func correlation(n int, name, body string) string {
	return fmt.Sprintf("title: %s\nid: 22222222-2222-4222-8222-%012d\nname: %s\nauthor: A\ncorrelation:\n%s\n---\n", name, n, name, body)
}

func compile(t testing.TB, text string) *sigma.Engine {
	t.Helper()
	rules, err := sigma.Parse("x.yml", []byte(strings.TrimSuffix(text, "---\n")))
	if err != nil {
		t.Fatal(err, text)
	}
	e, err := sigma.Compile(rules, sigma.Options{})
	if err != nil {
		t.Fatal(err, text)
	}
	return e
}

// bench is a state and what it fired.
type bench struct {
	t     testing.TB
	e     *sigma.Engine
	s     *correlate.State
	fired []correlate.Firing
	n     int
}

func newBench(t testing.TB, c correlate.Config, text string) *bench {
	t.Helper()
	e := compile(t, text)
	return &bench{t: t, e: e, s: correlate.New(e, c)}
}

func id(n int) (u core.UUID) {
	binary.BigEndian.PutUint64(u[8:], uint64(n))
	return u
}

// take counts a match; fields are name, value, name, value.
func (b *bench) take(n int, rule string, at, received float64, fields ...string) []correlate.Firing {
	return b.fact(correlate.Fact{Event: id(n), At: second(at), Received: second(received), Provenance: core.ProvenanceLocal}, rule, fields...)
}

func (b *bench) fact(f correlate.Fact, rule string, fields ...string) []correlate.Firing {
	b.t.Helper()
	if f.Rule = b.e.Named(rule); f.Rule == nil {
		b.t.Fatalf("no rule %s", rule)
	}
	for i := 0; i < len(fields); i += 2 {
		f.Fields = append(f.Fields, sigma.Field{Name: fields[i], Value: fields[i+1]})
	}
	b.fired = nil
	b.s.Take(f, func(f correlate.Firing) { b.fired = append(b.fired, f) })
	return b.fired
}

// next is a match at the time of its arrival.
func (b *bench) next(rule string, at float64, fields ...string) []correlate.Firing {
	b.n++
	return b.take(b.n, rule, at, at, fields...)
}

func (b *bench) advance(at float64) []correlate.Firing {
	b.fired = nil
	b.s.Advance(second(at), func(f correlate.Firing) { b.fired = append(b.fired, f) })
	return b.fired
}

func named(fs []correlate.Firing) string {
	var out []string
	for _, f := range fs {
		var ids []string
		for _, e := range f.Events {
			ids = append(ids, fmt.Sprint(binary.BigEndian.Uint64(e.ID[8:])))
		}
		out = append(out, strings.Join(ids, " "))
	}
	return strings.Join(out, " | ")
}

const (
	threeEvents = "  type: event_count\n  rules: [a]\n  group-by: [u]\n  timespan: 60s\n  condition: {gte: 3}"
	threeUsers  = "  type: value_count\n  rules: [a]\n  timespan: 60s\n  condition: {gte: 3, field: u}"
)

func one(t testing.TB, body string) *bench {
	return newBench(t, correlate.Config{}, detections("a", "b", "c")+correlation(1, "corr", body))
}

func TestEventCountFiresOnceAndThenNamesNewEvents(t *testing.T) {
	b := one(t, threeEvents)
	if b.next("a", 0, "u", "x") != nil || b.next("a", 1, "u", "x") != nil {
		t.Fatal("fired below the threshold")
	}
	f := b.next("a", 2, "u", "x")
	if named(f) != "1 2 3" || !f[0].First.Equal(second(0)) || !f[0].Last.Equal(second(2)) || f[0].Value != 3 || !f[0].Alerts {
		t.Fatalf("third event: %+v", f)
	}
	if f[0].Key.Group != `["x"]` || !slices.Equal(f[0].Key.Fields(f[0].Correlation), []sigma.Field{{Name: "u", Value: "x"}}) {
		t.Errorf("group %+v", f[0].Key)
	}
	if f = b.next("a", 3, "u", "x"); named(f) != "4" || f[0].Value != 4 {
		t.Errorf("fourth event: %+v", f)
	}
	if f = b.take(4, "a", 3, 4, "u", "x"); f != nil {
		t.Errorf("the same event fired again: %+v", f)
	}
}

func TestWindowIsHalfOpen(t *testing.T) {
	for _, row := range []struct {
		last float64
		want bool
	}{{59.999999, true}, {60, false}} {
		b := one(t, threeEvents)
		b.next("a", 0, "u", "x")
		b.next("a", 30, "u", "x")
		if got := b.next("a", row.last, "u", "x") != nil; got != row.want {
			t.Errorf("last event at %v s: fired %t", row.last, got)
		}
	}
}

func TestLateAndUnorderedEventsCountAtTheirOwnTime(t *testing.T) {
	b := one(t, threeEvents)
	b.take(1, "a", 40, 40, "u", "x")
	b.take(2, "a", 20, 200, "u", "x")
	if f := b.take(3, "a", 0, 339, "u", "x"); named(f) != "3 2 1" {
		t.Errorf("a late event within the tolerance: %+v", f)
	}
	b = one(t, threeEvents)
	b.next("a", 0, "u", "x")
	b.next("a", 1, "u", "x")
	b.advance(60 + correlate.Lateness.Seconds() + 2)
	if st := b.s.Stats(); st.Events != 0 || st.Groups != 0 || st.Bytes != 0 {
		t.Errorf("kept past timespan and tolerance: %+v", st)
	}
	if f := b.take(3, "a", 2, 400, "u", "x"); f != nil {
		t.Errorf("fired past the tolerance: %+v", f)
	}
}

// TestSpooledEventsKeepTheirDistance: a device that was away for a day hands in
// its events at once; they lie as far apart as they lay.
func TestSpooledEventsKeepTheirDistance(t *testing.T) {
	b := one(t, threeEvents)
	for i := range 5 {
		if f := b.take(i, "a", float64(i)*3600, 86400, "u", "x"); f != nil {
			t.Errorf("fired: %+v", f)
		}
	}
	if late := b.s.Stats().Late; late != 5 {
		t.Errorf("%d late", late)
	}
}

func TestClocksAheadHoldNothingOpen(t *testing.T) {
	b := one(t, threeEvents)
	for i := range 3 {
		f := b.take(i, "a", 1e9+float64(i)*1e6, float64(i), "u", "x")
		if got := f != nil; got != (i == 2) {
			t.Errorf("event %d: fired %t; a time ahead must count as the time of arrival", i, got)
		}
	}
}

func TestValueCountCountsDistinctValues(t *testing.T) {
	b := one(t, threeUsers)
	for i, user := range []string{"a", "a", "b", "", "b", "A"} {
		fields := []string{"u", user}
		if user == "" {
			fields = nil
		}
		if got := b.next("a", float64(i), fields...) != nil; got != (user == "A") {
			t.Errorf("event %d of %q: fired %t", i, user, got)
		}
	}
}

func TestValueCountOfSeveralFields(t *testing.T) {
	b := one(t, strings.Replace(threeUsers, "field: u", "field: [u, host]", 1))
	for i, pair := range [][]string{{"u", "a", "host", "b"}, {"u", "ab", "host", ""}, {"u", "a"}, {"u", "a", "host", "b"}, {"u", "b", "host", "a"}} {
		if got := b.next("a", float64(i), pair...) != nil; got != (i == 4) {
			t.Errorf("event %d: fired %t", i, got)
		}
	}
}

// TestHammeringDoesNotPushOthersOut: a thousand tries on one account between
// the others must not make them forgotten.
func TestHammeringDoesNotPushOthersOut(t *testing.T) {
	b := one(t, threeUsers)
	b.next("a", 0, "u", "a")
	for i := range 1000 {
		b.take(100+i, "a", 1+float64(i)/100, 1, "u", "root")
	}
	f := b.next("a", 30, "u", "b")
	if len(f) != 1 || uint64(len(f[0].Events))+f[0].Lost != 1002 || f[0].Lost == 0 {
		t.Errorf("firing %+v", f)
	}
	if cut := b.s.Stats().Correlations[0].CutEvents; cut != f[0].Lost {
		t.Errorf("%d cut", cut)
	}
}

// TestStandingComesFromAuthenticatedEventsAlone (TRUST F17): forged events can
// fire a rule, but give it no standing, and take none from real ones.
func TestStandingComesFromAuthenticatedEventsAlone(t *testing.T) {
	b := one(t, threeEvents)
	add := func(n int, p core.Provenance) []correlate.Firing {
		return b.fact(correlate.Fact{Event: id(n), At: second(float64(n)), Received: second(float64(n)), Provenance: p}, "a", "u", "x")
	}
	add(0, core.ProvenanceUnauthenticated)
	add(1, core.ProvenanceUnauthenticated)
	if f := add(2, core.ProvenanceUnauthenticated); len(f) != 1 || f[0].Provenance.Authenticated() {
		t.Fatalf("three forged events: %+v", f)
	}
	add(3, core.ProvenanceDevice)
	if f := add(4, core.ProvenanceLocal); len(f) != 1 || f[0].Provenance.Authenticated() {
		t.Fatalf("two real ones: %+v", f)
	}
	if f := add(5, core.ProvenanceDevice); len(f) != 1 || f[0].Provenance != core.ProvenanceLocal {
		t.Fatalf("three real ones among forged: %+v", f)
	}
}

func TestConditionsThatWaitForTheWindowToClose(t *testing.T) {
	b := one(t, strings.Replace(threeEvents, "{gte: 3}", "{lt: 3, gte: 1}", 1))
	if b.next("a", 0, "u", "x") != nil || b.next("a", 1, "u", "x") != nil {
		t.Fatal("decided before the window closed")
	}
	if f := b.advance(59); f != nil {
		t.Fatalf("decided early: %+v", f)
	}
	f := b.advance(62 + correlate.Lateness.Seconds())
	if named(f) != "1 2" || b.s.Stats().Events != 0 {
		t.Errorf("closed window: %+v, %+v left", f, b.s.Stats())
	}
}

func TestGroupsTellAbsentFromEmptyAndLongFromLong(t *testing.T) {
	b := one(t, strings.Replace(threeEvents, "gte: 3", "gte: 1", 1))
	long := strings.Repeat("x", 5000)
	keys := map[string]bool{}
	for _, fields := range [][]string{{}, {"u", ""}, {"u", "null"}, {"u", `","`}, {"u", long}, {"u", long + "y"}, {"u", "\xff"}, {"u", "\xfe"}, {"u", "\x00\u202e\\"}} {
		for _, scope := range []string{"one", "two"} {
			b.n++
			f := b.fact(correlate.Fact{Event: id(b.n), Scope: scope, At: second(0), Received: second(0)}, "a", fields...)
			k := f[0].Key
			keys[k.Scope+k.Group] = true
			if len(k.Group) > 300 || k.Scope != scope {
				t.Errorf("key %+v", k)
			}
			if got := k.Fields(f[0].Correlation); len(got) != len(fields)/2 || len(fields) > 0 && len(fields[1]) < 100 && fields[1] > "\xf0" != strings.Contains(got[0].Value, "sha256") {
				t.Errorf("%q: fields %q", fields, got)
			}
		}
	}
	if len(keys) != 18 {
		t.Errorf("%d groups of 18: %v", len(keys), keys)
	}
}

func TestAliasesGiveAGroupAnotherFieldInARule(t *testing.T) {
	b := one(t, "  type: event_count\n  rules: [a, b]\n  group-by: [ip]\n  timespan: 5s\n  condition: {gte: 2}\n  aliases:\n    ip: {a: src_ip}")
	b.next("a", 0, "src_ip", "192.0.2.1", "ip", "no")
	if f := b.next("b", 1, "src_ip", "no", "ip", "192.0.2.1"); named(f) != "1 2" || f[0].Key.Group != `["192.0.2.1"]` || !slices.Equal(f[0].Counts, []int{1, 1}) {
		t.Errorf("%+v", f)
	}
}

// TestEchoesOfAnAttemptCountOnce: sshd tells of one failed login in up to three
// lines, in any order, and with passwords off in none but the echo.
func TestEchoesOfAnAttemptCountOnce(t *testing.T) {
	// A capital letter is a guess of the connection, a small one an echo.
	for lines, want := range map[string]int{"a": 1, "aa": 1, "aA": 1, "Aa": 1, "aAa": 1, "AA": 2, "aAAa": 2, "aBbA": 2, "ab": 2} {
		b := one(t, threeEvents)
		for i, ch := range lines {
			fields := []string{"u", "x", sigma.FieldAttempt, strings.ToLower(string(ch))}
			if ch >= 'a' {
				fields = append(fields, sigma.FieldEcho, "true")
			}
			b.take(i, "a", 1, 1, fields...)
		}
		if got := b.s.Stats().Events; got != want {
			t.Errorf("%q: %d failed logins, want %d", lines, got, want)
		}
	}
}

// TestAGuessAfterItsToldEchoAddsNothing: the alert has counted that login.
func TestAGuessAfterItsToldEchoAddsNothing(t *testing.T) {
	b := one(t, threeEvents)
	add := func(n int, attempt, echo string) []correlate.Firing {
		return b.take(n, "a", 1, 1, "u", "x", sigma.FieldAttempt, attempt, sigma.FieldEcho, echo)
	}
	add(1, "a", "")
	add(2, "b", "")
	if f := add(3, "c", "true"); named(f) != "1 2 3" {
		t.Fatalf("third login, by its echo: %+v", f)
	}
	if f := add(4, "c", ""); f != nil {
		t.Errorf("its guess: %+v", f)
	}
	if f := add(5, "d", ""); named(f) != "5" {
		t.Errorf("fourth login: %+v", f)
	}
}

func TestTemporalFiresWhenAllRulesMatched(t *testing.T) {
	b := one(t, "  type: temporal\n  rules: [a, b, c]\n  group-by: [u]\n  timespan: 60s")
	b.next("c", 0, "u", "x")
	b.next("a", 1, "u", "x")
	b.next("b", 2, "u", "y")
	if f := b.next("b", 59, "u", "x"); named(f) != "1 2 4" || f[0].Value != 3 || f[0].Events[0].Ref != 2 {
		t.Errorf("%+v", f)
	}
	if f := b.next("a", 60.5, "u", "x"); f != nil {
		t.Errorf("without c: %+v", f)
	}
}

func TestOrderedWantsTheOrder(t *testing.T) {
	body := "  type: temporal_ordered\n  rules: [a, b]\n  group-by: [u]\n  timespan: 60s"
	b := one(t, body)
	b.next("b", 0, "u", "x")
	if f := b.next("a", 1, "u", "x"); f != nil {
		t.Errorf("b, a: %+v", f)
	}
	if f := b.next("b", 2, "u", "x"); named(f) != "2 3" {
		t.Errorf("b, a, b: %+v", f)
	}
	b = one(t, body)
	b.take(1, "a", 5, 5, "u", "x")
	if f := b.take(1, "b", 5, 5, "u", "x"); f != nil {
		t.Errorf("one event was two steps: %+v", f)
	}
	if f := b.take(2, "b", 5, 5, "u", "x"); named(f) != "1 2" {
		t.Errorf("at the same time, received later: %+v", f)
	}
}
