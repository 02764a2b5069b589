// Package hold is what the judges of numbers have in common: a state that counts
// only once it has held, and the choice of the points that a rule is about.
package hold

import (
	"path"
	"strings"
	"time"
)

// State is what a number means, and what it may be about to mean. The zero value
// knows nothing and takes the first state as it takes every other.
type State[S comparable] struct {
	now, next S
	since     time.Time // when next was first seen
	away      time.Time // when now was last left
	known     bool
	pending   bool
}

// Now returns the state, and whether there is one.
func (s *State[S]) Now() (state S, known bool) { return s.now, s.known }

// See takes what one sample means. It becomes the state once samples have said
// so for that long, which takes two of them unless it is 0.
func (s *State[S]) See(at time.Time, v S, need time.Duration) (changed bool) {
	if s.known && v == s.now {
		s.pending = false
		return false
	}
	if !s.pending {
		s.away = at
	}
	if !s.pending || v != s.next {
		s.next, s.since, s.pending = v, at, true
	}
	if at.Sub(s.since) < need {
		return false
	}
	s.Set(v)
	return true
}

// Away is for how long no sample has meant the state.
func (s *State[S]) Away(at time.Time) time.Duration {
	if !s.pending {
		return 0
	}
	return at.Sub(s.away)
}

// Set makes v the state at once.
func (s *State[S]) Set(v S) { s.now, s.known, s.pending = v, true, false }

// Match says whether a rule's pattern means a point: the point itself, what
// stands behind its last slash, or a pattern of [path.Match] for one of them. An
// empty pattern means every point.
func Match(pattern, point string) bool {
	if pattern == "" || pattern == point {
		return true
	}
	last := point[strings.LastIndexByte(point, '/')+1:]
	for _, name := range []string{point, last} {
		if ok, err := path.Match(pattern, name); err == nil && ok {
			return true
		}
	}
	return false
}

// IsPattern says whether Match can use it.
func IsPattern(pattern string) bool {
	_, err := path.Match(pattern, "")
	return err == nil && len(pattern) <= 128
}
