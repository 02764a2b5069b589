package policy

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
)

// maxLate bounds the records that wait for the audit log. The stop path has a
// ring on disk of its own; these are the stops that came in by another door.
const maxLate = 1024

// deferred is an act that took effect before its record.
type deferred struct {
	who    core.Principal
	action core.Action
	on     core.Resource
	d      core.Decision
	at     time.Time
}

// late holds deferred records in order. When it is full the oldest and the
// newest survive, and what fell out between them is counted.
type late struct {
	mu   sync.Mutex
	wait []deferred
	lost uint64
	wake chan struct{}
}

func newLate() *late { return &late{wake: make(chan struct{}, 1)} }

func (l *late) put(r deferred) {
	l.mu.Lock()
	if len(l.wait) == maxLate {
		l.wait = slices.Delete(l.wait, maxLate/2, maxLate/2+1)
		l.lost++
	}
	l.wait = append(l.wait, r)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *late) first() (deferred, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wait) == 0 {
		return deferred{}, false
	}
	return l.wait[0], true
}

// done drops the first record, unless the queue overflowed meanwhile in a way
// that moved it: it never does, the oldest stay.
func (l *late) done() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wait = slices.Delete(l.wait, 0, 1)
}

// Deferred returns how many acts wait for their record and how many records
// were lost because too many waited. A loss is an alarm.
func (g *Guard) Deferred() (waiting int, lost uint64) {
	g.late.mu.Lock()
	defer g.late.mu.Unlock()
	return len(g.late.wait), g.late.lost
}

// Intervals of [Guard.Run].
const (
	retryEvery   = time.Second
	summaryEvery = time.Minute
)

// Run writes deferred records as soon as the recorder takes them, and once a
// minute a summary for each source of refused strangers. It returns when ctx
// ends.
func (g *Guard) Run(ctx context.Context) error {
	minute := g.clock.After(summaryEvery)
	for {
		var again <-chan time.Time
		if !g.flushLate(ctx) {
			again = g.clock.After(retryEvery)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-g.late.wake:
		case <-again:
		case <-minute:
			g.flushStrangers(ctx)
			minute = g.clock.After(summaryEvery)
		}
	}
}

// flushLate records what waits and reports whether all of it went.
func (g *Guard) flushLate(ctx context.Context) bool {
	for {
		r, ok := g.late.first()
		if !ok {
			return true
		}
		r.d.Reason += "; took effect " + r.at.UTC().Format(time.RFC3339Nano) + ", recorded deferred"
		if _, err := g.rec.Intent(ctx, r.who, r.action, r.on, r.d); err != nil {
			g.o.Log.Warn("a stop's record waits for the audit log", slog.String("actor", r.who.String()), slog.Any("err", err))
			return false
		}
		g.late.done()
	}
}
