package main

import (
	"context"
	"io"
	"time"
)

// drawLine shows on a terminal what line says, four times a second, until gone is
// called, which takes it away. Where nobody looks it draws nothing.
func drawLine(e *env, line func(now time.Time) string) (gone func()) {
	width, _ := screen(e.err)
	if width == 0 {
		return func() {}
	}
	ctx, stop := context.WithCancel(e.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		redraw(ctx, e.err, width, line)
	}()
	return func() {
		stop()
		<-ended
	}
}

func redraw(ctx context.Context, w io.Writer, width int, line func(now time.Time) string) {
	const wipe = "\r\x1b[K"
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			_, _ = io.WriteString(w, wipe)
			return
		case now := <-tick.C:
			_, _ = io.WriteString(w, wipe+fit(line(now), width-1))
		}
	}
}
