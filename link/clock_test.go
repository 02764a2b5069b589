package link_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// timing is an order's and a root's dates, relative to issued.
type timing struct{ expires, review time.Duration }

// TRUST F18: every time-dependent decision of CheckOrder, for orders and roots
// of many dates, at many true times, and for every clock that a device may have:
// whatever leads away from safety and passes with that clock passes with the
// right one. And what protects is never refused because of a wrong clock.
func TestWrongClockIsNeverMorePermissive(t *testing.T) {
	clocks := map[string]func(now time.Time) link.TrustedTime{
		// What a device makes of a wall clock it can't trust: no upper bound, and
		// a lower bound from build and saved state, whatever the clock says.
		"1970":   func(time.Time) link.TrustedTime { return link.TrustedTime{} },
		"saved":  func(now time.Time) link.TrustedTime { return link.TrustedTime{Lower: now.Add(-240 * time.Hour)} },
		"-1 d":   func(now time.Time) link.TrustedTime { return link.TrustedTime{Lower: now.Add(-24 * time.Hour)} },
		"frozen": func(now time.Time) link.TrustedTime { return link.TrustedTime{Lower: issued} },
		"exact":  func(now time.Time) link.TrustedTime { return link.TrustedTime{Lower: now, Upper: now} },
		"wide": func(now time.Time) link.TrustedTime {
			return link.TrustedTime{Lower: now.Add(-time.Hour), Upper: now.Add(time.Hour)}
		},
		"+1 d": func(now time.Time) link.TrustedTime {
			return link.TrustedTime{Lower: now, Upper: now.Add(24 * time.Hour)}
		},
		"2038": func(now time.Time) link.TrustedTime {
			return link.TrustedTime{Lower: now, Upper: time.Date(2038, 1, 19, 0, 0, 0, 0, time.UTC)}
		},
		"no lower": func(now time.Time) link.TrustedTime { return link.TrustedTime{Upper: now} },
		// Bounds that contradict each other: the clock jumped while it was read.
		"jumping": func(now time.Time) link.TrustedTime {
			return link.TrustedTime{Lower: now, Upper: now.Add(-24 * time.Hour)}
		},
		"jumped to 1970": func(now time.Time) link.TrustedTime { return link.TrustedTime{Lower: now, Upper: time.Unix(0, 0)} },
	}
	dates := []timing{{time.Hour, 365 * 24 * time.Hour}, {7 * 24 * time.Hour, 24 * time.Hour}, {time.Minute, time.Minute}}
	offsets := []time.Duration{0, time.Second, 59 * time.Second, time.Minute, 61 * time.Second, 59 * time.Minute, time.Hour, 61 * time.Minute, 24 * time.Hour, 8 * 24 * time.Hour, 400 * 24 * time.Hour, 12 * 365 * 24 * time.Hour}
	for _, d := range dates {
		s := quorumSite(t)
		s.root.ReviewBy = issued.Add(d.review).UnixMicro()
		tr := s.trust()
		for _, k := range []link.OrderType{link.OrderRelease, link.OrderBypass, link.OrderZeroize, link.OrderServerAddress, link.OrderArm, link.OrderQuarantine, link.OrderStop} {
			o := newOrder(t, k, nil)
			o.Expires = issued.Add(d.expires).UnixMicro()
			row, _ := link.DirectionOf(k)
			env := s.signed(k, o)
			for _, off := range offsets {
				now := issued.Add(off)
				at := here()
				at.Now = link.TrustedTime{Lower: now, Upper: now}
				_, right := tr.CheckOrder(env, at)
				for name, clock := range clocks {
					at.Now = clock(now)
					_, got := tr.CheckOrder(env, at)
					if row.Direction.Away() && got == nil && right != nil {
						t.Errorf("%s at +%s with clock %s passes; with the right one: %v", k, off, name, right)
					}
					if k == link.OrderStop && got != nil {
						t.Errorf("a stop at +%s with clock %s: %v", off, name, got)
					}
					if !row.Direction.Away() && right == nil && got != nil {
						t.Errorf("%s at +%s with clock %s is refused: %v", k, off, name, got)
					}
				}
			}
		}
	}
}

// The same with random dates and bounds.
func TestRandomBoundsAreNeverMorePermissive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := quorumSite(t)
	tr := s.trust()
	passed := 0
	for range 400 {
		o := newOrder(t, link.OrderRelease, nil)
		o.Expires = o.Issued + 1 + r.Int64N(int64(link.MaxOrderLife/time.Microsecond))
		env := s.signed(link.OrderRelease, o)
		now := issued.Add(time.Duration(r.Int64N(int64(2 * link.MaxOrderLife))))
		at := here()
		at.Now = link.TrustedTime{Lower: now, Upper: now}
		_, right := tr.CheckOrder(env, at)
		at.Now = link.TrustedTime{Lower: now.Add(-time.Duration(r.Int64N(1e15))), Upper: now.Add(time.Duration(r.Int64N(1e14)))}
		_, got := tr.CheckOrder(env, at)
		if got == nil {
			passed++
		}
		if got == nil && right != nil {
			t.Fatalf("passes within %+v, at %s: %v", at.Now, now, right)
		}
	}
	if passed < 20 {
		t.Errorf("only %d passed; the test proves little", passed)
	}
}

// After a power cut with the server dead: a device that can't tell the time
// takes an order that names its fresh presence code and that the root role
// signed beside the release role.
func TestDeviceWithoutTimeTakesAPresentOrderOfTheRootRole(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	give := func(code string, names ...string) *link.Envelope {
		return s.envelope(link.NamespaceApproval, encodeOrder(t, newOrder(t, link.OrderRelease, link.ReleaseParams{Presence: code})), names...)
	}
	all := []string{"anna", "ben", "anna/recovery", "ben/recovery"}
	at := here()
	at.Now = link.TrustedTime{Lower: issued.AddDate(0, -1, 0)}
	at.Presence, at.PresenceAge = "402917", 10*time.Minute
	if _, err := tr.CheckOrder(give("402917", all...), at); err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name string
		env  *link.Envelope
		at   func(*link.Context)
	}{
		{"no code", give("", all...), nil},
		{"wrong code", give("402918", all...), nil},
		{"code of yesterday", give("402917", all...), func(c *link.Context) { c.PresenceAge = 24 * time.Hour }},
		{"code from the future", give("402917", all...), func(c *link.Context) { c.PresenceAge = -1 }},
		{"no code shown", give("402917", all...), func(c *link.Context) { c.Presence = "" }},
		{"release role alone", give("402917", "anna", "ben", "cora"), nil},
		{"one recovery key", give("402917", "anna", "ben", "cora/recovery"), nil},
		{"root role alone", give("402917", "anna/recovery", "ben/recovery"), nil},
		{"certainly expired", give("402917", all...), func(c *link.Context) { c.Now.Lower = issued.Add(2 * time.Hour) }},
		{"certainly past the review", give("402917", all...), func(c *link.Context) { c.Now.Lower = issued.AddDate(2, 0, 0) }},
	}
	for _, row := range rows {
		c := at
		if row.at != nil {
			row.at(&c)
		}
		_, err := tr.CheckOrder(row.env, c)
		if kind := core.KindOf(err); kind != core.KindDenied && kind != core.KindExpired {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

// TRUST F23: past the review date the old set of people releases nothing, and
// the device still tightens.
func TestPastReviewOnlyTightens(t *testing.T) {
	s := quorumSite(t)
	s.root.ReviewBy = issued.Add(time.Minute).UnixMicro()
	tr := s.trust()
	at := here()
	for _, k := range link.AllOrderTypes {
		row, _ := link.DirectionOf(k)
		_, err := tr.CheckOrder(s.signed(k, newOrder(t, k, nil)), at)
		if row.Direction.Away() != (core.KindOf(err) == core.KindExpired) || !row.Direction.Away() && err != nil {
			t.Errorf("%s: %v", k, err)
		}
	}
	// A new root is still taken: it is the way out.
	next := s.next()
	next.root.ReviewBy = issued.AddDate(1, 0, 0).UnixMicro()
	env := next.signRoot(s.quorum()...)
	tr2, err := tr.Update(env, s.logged(env))
	if err != nil {
		t.Fatal(err)
	}
	o := newOrder(t, link.OrderRelease, nil)
	o.RootVersion = 2
	if _, err := tr2.CheckOrder(s.signed(link.OrderRelease, o), at); err != nil {
		t.Error(err)
	}
}
