package wal

import (
	"context"
	"runtime"
	"slices"
	"sync"
)

// Group lets many callers share one commit, typically one fsync: while a commit
// runs, the next batch gathers. Results of single items go into T, which is
// therefore usually a pointer.
type Group[T any] struct {
	max   int
	stage func([]T) (finish func() error)

	mu    sync.Mutex
	queue []*waiting[T]
	busy  bool // somebody leads

	finishing sync.Mutex
}

// waiting is a caller's item. It is told once to lead, or that it is done.
type waiting[T any] struct {
	item T
	err  error
	wake chan bool // true: lead
}

// NewGroup returns a group whose commits hold at most maxBatch items. Commits
// never overlap. An error of commit goes to every caller whose item was in it.
func NewGroup[T any](maxBatch int, commit func([]T) error) *Group[T] {
	return NewPipeline(maxBatch, func(items []T) func() error {
		err := commit(items)
		return func() error { return err }
	})
}

// NewPipeline returns a group whose commits have two parts: stage, which puts
// items in order, for example by writing them, and the function it returns,
// which finishes them, for example by a sync. Neither overlaps with itself and
// both go in the same order, but the next batch is staged while one finishes.
func NewPipeline[T any](maxBatch int, stage func([]T) (finish func() error)) *Group[T] {
	return &Group[T]{max: max(maxBatch, 1), stage: stage}
}

// Do returns after item's commit. If ctx ends while the item still waits in
// the queue, it is taken out and ctx's error returned; once a commit holds it,
// Do waits for the outcome, so that "it failed" is never said of something
// that then happens.
func (g *Group[T]) Do(ctx context.Context, item T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &waiting[T]{item: item, wake: make(chan bool, 1)}
	g.mu.Lock()
	g.queue = append(g.queue, w)
	lead := !g.busy
	g.busy = true
	g.mu.Unlock()
	if !lead {
		select {
		case lead = <-w.wake:
		case <-ctx.Done():
			if g.abandon(w) {
				return ctx.Err()
			}
			lead = <-w.wake
		}
	}
	if lead {
		g.run()
	}
	return w.err
}

// run commits one batch, which begins with the leader's own item. Once it is
// staged, the lead goes to the first of those who gathered meanwhile.
func (g *Group[T]) run() {
	runtime.Gosched() // those who were just woken may join
	g.mu.Lock()
	n := min(len(g.queue), g.max)
	batch := slices.Clone(g.queue[:n])
	g.queue = slices.Delete(g.queue, 0, n)
	g.mu.Unlock()

	items := make([]T, n)
	for i, w := range batch {
		items[i] = w.item
	}
	finish := g.stage(items)
	g.finishing.Lock() // the batch before is finished
	g.mu.Lock()
	g.busy = len(g.queue) > 0
	if g.busy {
		g.queue[0].wake <- true
	}
	g.mu.Unlock()
	err := finish()
	g.finishing.Unlock()
	batch[0].err = err
	for _, w := range batch[1:] {
		w.err = err
		w.wake <- false
	}
}

// abandon takes w out of the queue, unless it has been told to lead or a
// commit holds it: then it must go through with it.
func (g *Group[T]) abandon(w *waiting[T]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.queue, w)
	if i < 0 || len(w.wake) > 0 {
		return false
	}
	g.queue = slices.Delete(g.queue, i, i+1)
	return true
}
