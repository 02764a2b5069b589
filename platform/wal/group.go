package wal

import (
	"context"
	"slices"
	"sync"
)

// Group lets many callers share one commit, typically one fsync: while a commit
// runs, the next batch gathers. Results of single items go into T, which is
// therefore usually a pointer.
type Group[T any] struct {
	max    int
	commit func([]T) error

	mu    sync.Mutex
	queue []*waiting[T]
	busy  bool // somebody leads
}

type waiting[T any] struct {
	item T
	err  error
	done chan struct{} // closed after the commit that held item
	lead chan struct{} // closed to hand over the lead
}

// NewGroup returns a group whose commits hold at most maxBatch items. Commits
// never overlap. An error of commit goes to every caller whose item was in it.
func NewGroup[T any](maxBatch int, commit func([]T) error) *Group[T] {
	return &Group[T]{max: max(maxBatch, 1), commit: commit}
}

// Do returns after item's commit. If ctx ends while the item still waits in
// the queue, it is taken out and ctx's error returned; once a commit holds it,
// Do waits for the outcome, so that "it failed" is never said of something
// that then happens.
func (g *Group[T]) Do(ctx context.Context, item T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &waiting[T]{item: item, done: make(chan struct{}), lead: make(chan struct{})}
	g.mu.Lock()
	g.queue = append(g.queue, w)
	if !g.busy {
		g.busy = true
		close(w.lead)
	}
	g.mu.Unlock()
	select {
	case <-w.done:
		return w.err
	case <-w.lead:
		g.run()
		return w.err
	case <-ctx.Done():
		return g.abandon(ctx, w)
	}
}

// run commits one batch, which begins with the leader's own item, and hands the
// lead to the first of those who gathered meanwhile.
func (g *Group[T]) run() {
	g.mu.Lock()
	n := min(len(g.queue), g.max)
	batch := slices.Clone(g.queue[:n])
	g.queue = slices.Delete(g.queue, 0, n)
	g.mu.Unlock()

	items := make([]T, n)
	for i, w := range batch {
		items[i] = w.item
	}
	err := g.commit(items)
	g.mu.Lock()
	if g.busy = len(g.queue) > 0; g.busy {
		close(g.queue[0].lead)
	}
	g.mu.Unlock()
	for _, w := range batch {
		w.err = err
		close(w.done)
	}
}

// abandon takes w out of the queue. If w was given the lead or is in a commit
// by now, it must go through with it.
func (g *Group[T]) abandon(ctx context.Context, w *waiting[T]) error {
	g.mu.Lock()
	i := slices.Index(g.queue, w)
	select {
	case <-w.lead:
		g.mu.Unlock()
		g.run()
		return w.err
	default:
	}
	if i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
		g.mu.Unlock()
		return ctx.Err()
	}
	g.mu.Unlock()
	<-w.done
	return w.err
}
