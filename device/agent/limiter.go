package agent

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
)

// limiter tells what the other side can cause at will, a few times a minute one
// by one and then as a count: a server that was taken over must not be able to
// fill the spool with its refusals (TRUST F24). Each event type, and in it each
// order type, has a budget of its own, so that a flood of one hides no other.
type limiter struct {
	mu    sync.Mutex
	since time.Time
	keys  map[limited]*spent
}

// limited is what has a budget; its values come from closed lists.
type limited struct{ kind, order string }

type spent struct {
	single, folded int
	severity       core.Severity
	last           time.Time
}

const (
	limiterWindow = time.Minute
	limiterBurst  = 10
)

func (l *limiter) tell(a *Agent, kind string, sev core.Severity, fields map[string]any) {
	l.flush(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	key := limited{kind: kind}
	if order, named := fields["type"]; named {
		key.order = fmt.Sprint(order)
	}
	if l.keys == nil {
		l.keys = map[limited]*spent{}
	}
	s := l.keys[key]
	if s == nil {
		s = new(spent)
		l.keys[key] = s
	}
	if s.single < limiterBurst {
		s.single++
		a.tell(kind, sev, fields)
		return
	}
	s.folded++
	s.severity, s.last = sev, a.cfg.Clock.Now()
}

// flush ends a window and tells what was folded in it.
func (l *limiter) flush(a *Agent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := a.cfg.Clock.Now()
	if !l.since.IsZero() && now.Sub(l.since) < limiterWindow && !now.Before(l.since) {
		return
	}
	for _, key := range slices.SortedFunc(maps.Keys(l.keys), func(x, y limited) int { return slices.Compare([]string{x.kind, x.order}, []string{y.kind, y.order}) }) {
		if s := l.keys[key]; s.folded > 0 {
			a.tell(key.kind, s.severity, map[string]any{
				"type": key.order, "coalesced": map[string]any{"count": s.folded, "first": l.since.UnixMicro(), "last": s.last.UnixMicro()},
			})
		}
	}
	l.since, l.keys = now, nil
}
