package sigma_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// counter is a correlation, its base rule and one window.
type counter struct {
	t    *testing.T
	c    *sigma.Correlation
	base *sigma.Rule
	w    sigma.Window
	n    int
}

func newCounter(t *testing.T, body string) *counter {
	t.Helper()
	e, err := sigma.Compile(parse(t, header+"  s: {a: 1}\n  condition: s\n---\n"+correlation+body), sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &counter{t: t, c: e.Correlations()[0], base: e.Rules()[0]}
}

// add counts one event of the user at the second, received at another.
func (c *counter) add(at, received float64, user string) *sigma.Firing {
	c.n++
	return c.take(fmt.Sprint("e", c.n), at, received, user, true)
}

func (c *counter) take(id string, at, received float64, user string, authentic bool) *sigma.Firing {
	fact := sigma.Fact{Event: id, At: second(at), Received: second(received), Provenance: core.ProvenanceUnauthenticated, Fields: map[string]string{}}
	if authentic {
		fact.Provenance = core.ProvenanceLocal
	}
	if user != "" {
		fact.Fields["u"] = user
	}
	return c.c.Add(&c.w, fact, c.base)
}

func second(s float64) time.Time { return epoch.Add(time.Duration(s * float64(time.Second))) }

const (
	threeEvents = "  type: event_count\n  rules: [base]\n  group-by: [u]\n  timespan: 60s\n  condition: {gte: 3}\n"
	threeUsers  = "  type: value_count\n  rules: [base]\n  timespan: 60s\n  condition: {gte: 3, field: u}\n"
)

func TestEventCountFiresOnceAndThenNamesNewEvents(t *testing.T) {
	c := newCounter(t, threeEvents)
	if c.add(0, 0, "x") != nil || c.add(1, 1, "x") != nil {
		t.Fatal("fired below the threshold")
	}
	f := c.add(2, 2, "x")
	if f == nil || len(f.Events) != 3 || !f.First.Equal(second(0)) || !f.Last.Equal(second(2)) {
		t.Fatalf("third event: %+v", f)
	}
	if f = c.add(3, 3, "x"); f == nil || len(f.Events) != 1 || f.Events[0].Event != "e4" {
		t.Errorf("fourth event: %+v", f)
	}
	if f = c.take("e4", 3, 4, "x", true); f != nil {
		t.Errorf("the same event fired again: %+v", f)
	}
}

func TestWindowIsHalfOpen(t *testing.T) {
	for _, row := range []struct {
		last float64
		want bool
	}{{59.999999, true}, {60, false}} {
		c := newCounter(t, threeEvents)
		c.add(0, 0, "x")
		c.add(30, 30, "x")
		if got := c.add(row.last, row.last, "x") != nil; got != row.want {
			t.Errorf("last event at %v s: fired %t", row.last, got)
		}
	}
}

func TestLateAndUnorderedEventsCountAtTheirOwnTime(t *testing.T) {
	c := newCounter(t, threeEvents)
	c.add(40, 40, "x")
	c.add(20, 200, "x")
	if f := c.add(0, 339, "x"); f == nil || !f.First.Equal(second(0)) || !f.Last.Equal(second(40)) {
		t.Errorf("a late event within the tolerance: %+v", f)
	}
	c = newCounter(t, threeEvents)
	c.add(0, 0, "x")
	c.add(1, 1, "x")
	c.c.Advance(&c.w, second(60).Add(sigma.Lateness+2*time.Second))
	if len(c.w.Entries) != 0 {
		t.Errorf("%d entries kept past timespan and tolerance", len(c.w.Entries))
	}
	if f := c.add(2, 400, "x"); f != nil {
		t.Errorf("fired past the tolerance: %+v", f)
	}
}

// TestSpooledEventsKeepTheirDistance: a device that was away for a day hands in
// its events at once; they lie as far apart as they lay.
func TestSpooledEventsKeepTheirDistance(t *testing.T) {
	c := newCounter(t, threeEvents)
	for i := range 5 {
		if f := c.add(float64(i)*3600, 86400, "x"); f != nil {
			t.Errorf("fired: %+v", f)
		}
	}
}

func TestClocksAheadHoldNothingOpen(t *testing.T) {
	c := newCounter(t, threeEvents)
	for i := range 3 {
		f := c.add(1e9+float64(i)*1e6, float64(i), "x")
		if got := f != nil; got != (i == 2) {
			t.Errorf("event %d: fired %t; a time ahead must count as the time of arrival", i, got)
		}
	}
}

func TestValueCountCountsDistinctValues(t *testing.T) {
	c := newCounter(t, threeUsers)
	for i, user := range []string{"a", "a", "b", "", "b", "A"} {
		f := c.add(float64(i), float64(i), user)
		if got := f != nil; got != (user == "A") {
			t.Errorf("event %d of %q: fired %t", i, user, got)
		}
	}
}

// TestHammeringDoesNotPushOthersOut: a thousand tries on one account between
// the others must not make them forgotten.
func TestHammeringDoesNotPushOthersOut(t *testing.T) {
	c := newCounter(t, threeUsers)
	c.add(0, 0, "a")
	for i := range 1000 {
		c.add(1+float64(i)/100, 1, "root")
	}
	f := c.add(30, 30, "b")
	if f == nil || uint64(len(f.Events))+f.Lost != 1002 || c.w.Lost != 0 {
		t.Errorf("firing %+v, lost %d", f, c.w.Lost)
	}
}

// TestStandingComesFromAuthenticatedEventsAlone (TRUST F17): forged events can
// fire a rule, but give it no standing, and take none from real ones.
func TestStandingComesFromAuthenticatedEventsAlone(t *testing.T) {
	c := newCounter(t, threeEvents)
	c.take("f1", 0, 0, "x", false)
	c.take("f2", 1, 1, "x", false)
	if f := c.take("f3", 2, 2, "x", false); f == nil || f.Provenance.Authenticated() {
		t.Fatalf("three forged events: %+v", f)
	}
	c.take("r1", 3, 3, "x", true)
	if f := c.take("r2", 4, 4, "x", true); f == nil || f.Provenance.Authenticated() {
		t.Fatalf("two real ones: %+v", f)
	}
	if f := c.take("r3", 5, 5, "x", true); f == nil || f.Provenance != core.ProvenanceLocal {
		t.Fatalf("three real ones among forged: %+v", f)
	}
}

func TestConditionsThatWaitForTheWindowToClose(t *testing.T) {
	body := strings.Replace(threeEvents, "{gte: 3}", "{lt: 3, gte: 1}", 1)
	c := newCounter(t, body)
	if c.add(0, 0, "x") != nil || c.add(1, 1, "x") != nil {
		t.Fatal("decided before the window closed")
	}
	if f := c.c.Advance(&c.w, second(59)); f != nil {
		t.Fatalf("decided early: %+v", f)
	}
	f := c.c.Advance(&c.w, second(62).Add(sigma.Lateness))
	if f == nil || len(f.Events) != 2 || len(c.w.Entries) != 0 {
		t.Errorf("closed window: %+v, %d entries left", f, len(c.w.Entries))
	}
}

func TestGroupsTellAbsentFromEmptyAndLongFromLong(t *testing.T) {
	c := newCounter(t, threeEvents)
	key := func(fields map[string]string) string {
		k, _ := c.c.Group(sigma.Fact{Fields: fields}, c.base)
		return k
	}
	long := strings.Repeat("x", 5000)
	keys := map[string]bool{}
	for _, f := range []map[string]string{{}, {"u": ""}, {"u": "null"}, {"u": `","`}, {"u": long}, {"u": long + "y"}} {
		keys[key(f)] = true
	}
	if len(keys) != 6 {
		t.Errorf("%d groups of 6: %v", len(keys), keys)
	}
	for k := range keys {
		if len(k) > 300 {
			t.Errorf("a key of %d bytes", len(k))
		}
	}
}

func TestAliasesGiveAGroupAnotherFieldInARule(t *testing.T) {
	e, err := sigma.Compile(parse(t, header+"  s: {a: 1}\n  condition: s\n---\n"+correlation+
		"  type: event_count\n  rules: [base]\n  group-by: [ip]\n  timespan: 5s\n  condition: {gte: 1}\n  aliases:\n    ip: {base: src_ip}\n"), sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := e.NewView()
	v.Reset()
	if err := v.Load([]byte(`{"a":1,"src_ip":"192.0.2.1","ip":"no"}`)); err != nil {
		t.Fatal(err)
	}
	e.Match(v, linux, func(m sigma.Match) {
		if m.Alerts {
			t.Error("a rule that only feeds a correlation raises an alert")
		}
		_, group := e.Correlations()[0].Group(sigma.Fact{Fields: m.Fields()}, m.Rule)
		if group["ip"] != "192.0.2.1" {
			t.Errorf("group %v", group)
		}
	})
}

// TestEchoesOfAnAttemptCountOnce: sshd tells of one failed login in up to three
// lines, in any order, and with passwords off in none but the echo.
func TestEchoesOfAnAttemptCountOnce(t *testing.T) {
	// A capital letter is a guess of the connection, a small one an echo.
	for lines, want := range map[string]int{"a": 1, "aa": 1, "aA": 1, "Aa": 1, "aAa": 1, "AA": 2, "aAAa": 2, "aBbA": 2, "ab": 2} {
		c := newCounter(t, threeEvents)
		for i, ch := range lines {
			fields := map[string]string{"u": "x", sigma.FieldAttempt: strings.ToLower(string(ch))}
			if ch >= 'a' {
				fields[sigma.FieldEcho] = "true"
			}
			c.c.Add(&c.w, sigma.Fact{Event: fmt.Sprint(i), At: second(1), Received: second(1), Fields: fields}, c.base)
		}
		if len(c.w.Entries) != want {
			t.Errorf("%q: %d failed logins, want %d", lines, len(c.w.Entries), want)
		}
	}
}

// TestAGuessAfterItsToldEchoAddsNothing: the alert has counted that login.
func TestAGuessAfterItsToldEchoAddsNothing(t *testing.T) {
	c := newCounter(t, threeEvents)
	add := func(id, attempt, echo string) *sigma.Firing {
		return c.c.Add(&c.w, sigma.Fact{Event: id, At: second(1), Received: second(1), Fields: map[string]string{
			"u": "x", sigma.FieldAttempt: attempt, sigma.FieldEcho: echo,
		}}, c.base)
	}
	add("1", "a", "")
	add("2", "b", "")
	if f := add("3", "c", "true"); f == nil || len(f.Events) != 3 {
		t.Fatalf("third login, by its echo: %+v", f)
	}
	if f := add("4", "c", ""); f != nil {
		t.Errorf("its guess: %+v", f)
	}
	if f := add("5", "d", ""); f == nil || len(f.Events) != 1 {
		t.Errorf("fourth login: %+v", f)
	}
}
