package store

import (
	"context"
	"sync"
	"time"
)

// gate lets readers in and can hold new ones off until those inside have left.
// Unlike a [sync.RWMutex] it gives up after a while: a reader that never leaves,
// or one that waits for the very writer that is closing the gate, delays the
// reset of the log but blocks nobody for good.
type gate struct {
	mu      sync.Mutex
	inside  int
	shut    chan struct{} // nil when open; closed when it opens again
	drained chan struct{} // closed when the last reader leaves
}

func (g *gate) enter(ctx context.Context) error {
	for {
		g.mu.Lock()
		if g.shut == nil {
			g.inside++
			g.mu.Unlock()
			return nil
		}
		wait := g.shut
		g.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.inside == 0 && g.drained != nil {
		close(g.drained)
		g.drained = nil
	}
}

// close holds new readers off and reports whether all others left in time.
// [gate.open] must follow in either case.
func (g *gate) close(patience time.Duration) bool {
	g.mu.Lock()
	g.shut = make(chan struct{})
	if g.inside == 0 {
		g.mu.Unlock()
		return true
	}
	drained := make(chan struct{})
	g.drained = drained
	g.mu.Unlock()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-drained:
		return true
	case <-t.C:
		return false
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drained = nil
	close(g.shut)
	g.shut = nil
}
