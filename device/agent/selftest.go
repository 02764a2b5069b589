package agent

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

// The agent tests itself once a day, and soon after it started. The instant is
// random: a site's devices don't all drive their loops at once, and nobody can
// wait for the moment.
const (
	firstTest = 10 * time.Minute
	testEvery = 24 * time.Hour
	// keepProven is how often it is written down when sensors last showed that
	// they work.
	keepProven = time.Hour
)

// selfTests tests until ctx ends.
func (a *Agent) selfTests(ctx context.Context) {
	next := firstTest + rand.N(keepProven-firstTest)
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.cfg.Clock.After(min(next, keepProven)):
		}
		a.noteProven()
		if next -= keepProven; next > 0 {
			continue
		}
		if _, err := a.doctor(ctx, "schedule"); err != nil && ctx.Err() == nil {
			a.cfg.Log.Error("the daily self-test was not done", slog.Any("error", err))
		}
		next = testEvery - time.Hour + rand.N(2*time.Hour)
	}
}

// noteProven keeps when each sensor last showed that it works, to the hour: what
// moves all day must not write all day.
func (a *Agent) noteProven() {
	now := map[string]int64{}
	for _, s := range a.mon.Statuses() {
		if last := a.lastProven(s); !last.IsZero() {
			now[s.ID.String()] = last.Truncate(keepProven).UnixMicro()
		}
	}
	same := true
	a.view(func(_ string, b *body) {
		for id, at := range now {
			same = same && b.Proven[id] == at
		}
	})
	if !same {
		a.later(func(b *body) error { b.Proven = now; return nil })
	}
}
