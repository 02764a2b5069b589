package main

import (
	"fmt"
	"sync"
	"time"
)

// scanBar shows on a terminal how far a scan is. Its report method is a
// scanning.Target's Progress.
type scanBar struct {
	began time.Time
	// finish takes the bar away.
	finish func()

	mu          sync.Mutex
	done, total int64
	what        string
}

// drawScan begins to show progress where somebody sees it.
func drawScan(e *env) *scanBar {
	b := &scanBar{began: time.Now()}
	b.finish = sync.OnceFunc(drawLine(e, b.line))
	return b
}

// report takes what is done so far; total is 0 where nobody knows.
func (b *scanBar) report(done, total int64, what string) {
	b.mu.Lock()
	b.done, b.total, b.what = done, total, what
	b.mu.Unlock()
}

// step is report for one of several things that are done in turn.
func (b *scanBar) step(name string) func(done, total int64, what string) {
	b.report(0, 0, name)
	return func(done, total int64, what string) { b.report(done, total, name+what) }
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
