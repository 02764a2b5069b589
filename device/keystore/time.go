package keystore

import (
	"time"

	"github.com/interlock-security/interlock/link"
)

// Limits of an upper bound of time.
const (
	// agreement is how far two clocks may differ and still confirm each other.
	agreement = 5 * time.Minute
	// freshness is how long a word about the time lasts.
	freshness = 24 * time.Hour
	// driftOf is the part of a span that a bad crystal may be off by (1/2000 is
	// five times the worst that is sold).
	driftOf = 2000
)

// heard is a time that has certainly not passed yet, and when it was learned.
type heard struct {
	at    time.Time
	since time.Duration
}

// anchor sets the lower bound, from where the boot-time clock carries it on.
func (s *Store[B]) anchor(at int64) { s.base, s.setAt = at, s.o.Elapsed() }

// lower is the trusted time now: what was last known plus what the boot-time
// clock has counted since. No wall clock takes part (TRUST F18).
func (s *Store[B]) lower() int64 { return s.base + (s.o.Elapsed() - s.setAt).Microseconds() }

// Time returns the bounds of time that the device can vouch for. Lower never
// goes back. Upper is zero unless [Store.Heard] gave one within a day.
func (s *Store[B]) Time() link.TrustedTime {
	s.mu.Lock()
	defer s.mu.Unlock()
	return link.TrustedTime{Lower: time.UnixMicro(s.lower()).UTC(), Upper: s.latest()}
}

func (s *Store[B]) latest() time.Time {
	passed := s.o.Elapsed() - s.upper.since
	if s.upper.at.IsZero() || passed < 0 || passed > freshness {
		return time.Time{}
	}
	return s.upper.at.Add(passed + passed/driftOf).UTC()
}

// Observe raises the lower bound to a time that a witness has signed. An
// earlier time changes nothing.
func (s *Store[B]) Observe(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := t.UnixMicro(); at > s.lower() {
		s.anchor(at)
	}
}

// Heard takes what the server said the time is, over its authenticated link,
// and what this machine's clock says. Where the two agree and neither is below
// what is certain, the later of them bounds the time from above: to make an
// expired order live again, somebody must hold the server and the device's
// clock alike. Where they differ nothing is learned; an old bound runs out by
// itself.
func (s *Store[B]) Heard(server, wall time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	later, earlier := server, wall
	if wall.After(server) {
		later, earlier = wall, server
	}
	if later.Sub(earlier) > agreement || earlier.Before(time.UnixMicro(s.lower()).Add(-agreement)) {
		return
	}
	at := later.Add(time.Second) // the server's word is cut to the second
	if floor := time.UnixMicro(s.lower()); at.Before(floor) {
		at = floor
	}
	if next := (heard{at, s.o.Elapsed()}); s.upper.at.IsZero() || !next.at.Before(s.latest().Add(-agreement)) {
		s.upper = next
	}
}
