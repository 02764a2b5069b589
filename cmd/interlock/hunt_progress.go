package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/interlock-security/interlock/siem/hunt"
)

// huntBar shows on a terminal how far a hunt is.
type huntBar struct {
	p     *hunt.Progress
	total atomic.Int64
	began time.Time
	// done takes the bar away.
	done func()
}

// drawHunt begins to show progress where somebody sees it.
func drawHunt(e *env, paths []string, config *hunt.Config) *huntBar {
	b := &huntBar{p: config.Progress, began: time.Now(), done: func() {}}
	if width, _ := screen(e.err); width == 0 {
		return b
	}
	ctx, stop := context.WithCancel(e.ctx)
	go func() { b.total.Store(hunt.Size(ctx, paths)) }()
	gone := drawLine(e, b.line)
	b.done = func() {
		stop()
		gone()
	}
	return b
}

// line is one state of the bar.
func (b *huntBar) line(now time.Time) string {
	took := now.Sub(b.began)
	read, total, events := b.p.Read.Load(), b.total.Load(), int(b.p.Events.Load())
	rate := float64(events) / max(took.Seconds(), 1e-3)
	done, left := size(read), ""
	if total > 0 && read > 0 {
		done = fmt.Sprintf("%3d%% %s of %s", min(100, read*100/total), size(read), size(total))
		eta := time.Duration(float64(took) * float64(max(0, total-read)) / float64(read))
		left = fmt.Sprintf(", %s left", eta.Round(time.Second))
	}
	return fmt.Sprintf("%s  %s events, %s/s, %s matches%s", done, grouped(events), grouped(int(rate)), grouped(int(b.p.Matches.Load())), left)
}
