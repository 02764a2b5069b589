package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// scanBar shows on a terminal how far a scan is. Its report method is a
// scanning.Target's Progress.
type scanBar struct {
	w     io.Writer
	began time.Time
	stop  context.CancelFunc
	ended chan struct{}

	mu          sync.Mutex
	done, total int64
	what        string
}

// drawScan begins to show progress where somebody sees it.
func drawScan(e *env) *scanBar {
	b := &scanBar{w: e.err, began: time.Now(), stop: func() {}, ended: make(chan struct{})}
	width, _ := screen(e.err)
	if width == 0 {
		close(b.ended)
		return b
	}
	ctx, stop := context.WithCancel(e.ctx)
	b.stop = stop
	go b.draw(ctx, width)
	return b
}

// report takes what is done so far; total is 0 where nobody knows.
func (b *scanBar) report(done, total int64, what string) {
	b.mu.Lock()
	b.done, b.total, b.what = done, total, what
	b.mu.Unlock()
}

func (b *scanBar) draw(ctx context.Context, width int) {
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
func (b *scanBar) line(now time.Time) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	took := now.Sub(b.began).Round(time.Second)
	if b.total > 0 {
		return fmt.Sprintf("%3d%%  %s of %s  %s  %s", min(100, b.done*100/b.total), grouped(int(b.done)), grouped(int(b.total)), took, onOneLine(b.what))
	}
	return fmt.Sprintf("%s  %s  %s", grouped(int(b.done)), took, onOneLine(b.what))
}

// finish takes the bar away.
func (b *scanBar) finish() {
	b.stop()
	<-b.ended
}
