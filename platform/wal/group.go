package wal

import (
	"context"
	"runtime"
	"sync"
)

// Group lets many callers share one commit, typically one fsync: while a commit
// runs, the next crowd gathers. Results of single items go into T, which is
// therefore usually a pointer.
type Group[T any] struct {
	max    int
	commit func([]T) error

	mu    sync.Mutex
	queue []*crowd[T] // all but the last are full
	busy  bool        // a leader runs
}

// crowd is what one commit holds.
type crowd[T any] struct {
	items []T
	gone  []int // places of items whose callers gave up
	taken bool
	err   error
	done  chan struct{}
}

// NewGroup returns a group whose commits hold at most maxBatch items. Commits
// never overlap. An error of commit goes to every caller whose item was in it.
func NewGroup[T any](maxBatch int, commit func([]T) error) *Group[T] {
	return &Group[T]{max: max(maxBatch, 1), commit: commit}
}

// Do returns after item's commit. If ctx ends while the item still waits, it
// is left out and ctx's error returned; once a commit holds it, Do waits for
// the outcome, so that "it failed" is never said of something that then
// happens.
func (g *Group[T]) Do(ctx context.Context, item T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c, place := g.join(item)
	select {
	case <-c.done:
	case <-ctx.Done():
		if g.leave(c, place) {
			return ctx.Err()
		}
		<-c.done
	}
	return c.err
}

func (g *Group[T]) join(item T) (*crowd[T], int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) == 0 || len(g.queue[len(g.queue)-1].items) == g.max {
		g.queue = append(g.queue, &crowd[T]{done: make(chan struct{})})
	}
	c := g.queue[len(g.queue)-1]
	c.items = append(c.items, item)
	if !g.busy {
		g.busy = true
		go g.lead()
	}
	return c, len(c.items) - 1
}

// leave reports whether the item could still be left out.
func (g *Group[T]) leave(c *crowd[T], place int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.taken {
		return false
	}
	c.gone = append(c.gone, place)
	return true
}

// lead commits one crowd after the other until nobody waits.
func (g *Group[T]) lead() {
	for c := g.gather(); c != nil; c = g.gather() {
		if items := c.present(); len(items) > 0 {
			c.err = g.commit(items)
		}
		close(c.done)
	}
}

// gather takes the next crowd. Those who were woken by the last commit get the
// chance to join it: a commit costs nearly the same for one and for all.
func (g *Group[T]) gather() *crowd[T] {
	for n := -1; ; {
		g.mu.Lock()
		if len(g.queue) == 0 {
			g.busy = false
			g.mu.Unlock()
			return nil
		}
		c := g.queue[0]
		if len(c.items) == n || len(c.items) == g.max {
			c.taken = true
			g.queue = append(g.queue[:0], g.queue[1:]...)
			g.mu.Unlock()
			return c
		}
		n = len(c.items)
		g.mu.Unlock()
		runtime.Gosched()
	}
}

// present returns the items whose callers still wait.
func (c *crowd[T]) present() []T {
	if len(c.gone) == 0 {
		return c.items
	}
	left := make(map[int]bool, len(c.gone))
	for _, place := range c.gone {
		left[place] = true
	}
	items := make([]T, 0, len(c.items))
	for i, item := range c.items {
		if !left[i] {
			items = append(items, item)
		}
	}
	return items
}
