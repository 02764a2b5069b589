package main

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/interlock-security/interlock/siem/hunt"
)

// huntBar shows on a terminal how far a hunt is.
type huntBar struct {
	w     io.Writer
	p     *hunt.Progress
	total atomic.Int64
	began time.Time
	stop  context.CancelFunc
	ended chan struct{}
}

// drawHunt begins to show progress where somebody sees it.
func drawHunt(e *env, paths []string, config *hunt.Config) *huntBar {
	b := &huntBar{w: e.err, p: config.Progress, began: time.Now(), stop: func() {}, ended: make(chan struct{})}
	width, _ := screen(e.err)
	if width == 0 {
		close(b.ended)
		return b
	}
	ctx, stop := context.WithCancel(e.ctx)
	b.stop = stop
	go func() { b.total.Store(hunt.Size(ctx, paths)) }()
	go b.draw(ctx, width)
	return b
}

func (b *huntBar) draw(ctx context.Context, width int) {
	defer close(b.ended)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			_, _ = io.WriteString(b.w, "\r\x1b[K")
			return
		case now := <-tick.C:
			_, _ = io.WriteString(b.w, "\r\x1b[K"+fit(b.line(now), width-1))
		}
	}
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

// done takes the bar away.
func (b *huntBar) done() {
	b.stop()
	<-b.ended
}
