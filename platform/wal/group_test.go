package wal_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/interlock-security/interlock/platform/wal"
)

type item struct{ in, out int }

// While one commit runs, the others gather into few.
func TestGroupSharesCommits(t *testing.T) {
	const n, most = 200, 64
	var commits []int
	entered, gathered, first := make(chan struct{}), make(chan struct{}), true
	g := wal.NewGroup(most, func(items []*item) error {
		if first {
			first = false
			close(entered)
			<-gathered
		}
		commits = append(commits, len(items))
		for _, it := range items {
			it.out = it.in * 2
		}
		return nil
	})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			it := &item{in: i}
			if err := g.Do(t.Context(), it); err != nil || it.out != 2*i {
				t.Errorf("item %d: %d, %v", i, it.out, err)
			}
		})
		if i == 0 {
			<-entered
		}
	}
	waitQueued(t, g, n-1)
	close(gathered)
	wg.Wait()
	total := 0
	for _, c := range commits {
		if total += c; c > most {
			t.Errorf("a commit of %d items", c)
		}
	}
	if total != n || len(commits) != 1+(n-1+most-1)/most {
		t.Errorf("commits %v", commits)
	}
}

func TestGroupErrorGoesToEveryItemOfThatCommit(t *testing.T) {
	boom := errors.New("boom")
	g := wal.NewGroup(8, func(items []*item) error {
		if items[0].in < 0 {
			return boom
		}
		return nil
	})
	for _, in := range []int{-1, 1, -1} {
		if err := g.Do(t.Context(), &item{in: in}); (in < 0) != errors.Is(err, boom) {
			t.Errorf("item %d: %v", in, err)
		}
	}
}

// Cancelled while waiting: never committed. Cancelled while being committed:
// the caller hears the true outcome.
func TestGroupCancel(t *testing.T) {
	entered, release := make(chan struct{}, 9), make(chan struct{})
	var seen []int
	g := wal.NewGroup(8, func(items []*item) error {
		entered <- struct{}{}
		<-release
		for _, it := range items {
			seen = append(seen, it.in)
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	errs := [2]error{}
	var wg sync.WaitGroup
	wg.Go(func() { errs[0] = g.Do(ctx, &item{in: 1}) })
	<-entered
	waiting := make(chan struct{})
	wg.Go(func() { defer close(waiting); errs[1] = g.Do(ctx, &item{in: 2}) })
	waitQueued(t, g, 1)
	cancel()
	<-waiting
	close(release)
	wg.Wait()
	if errs[0] != nil || !errors.Is(errs[1], context.Canceled) {
		t.Errorf("errors %v", errs)
	}
	if len(seen) != 1 || seen[0] != 1 {
		t.Errorf("committed %v", seen)
	}
	if err := g.Do(t.Context(), &item{in: 3}); err != nil {
		t.Errorf("the group does not go on: %v", err)
	}
	if err := g.Do(ctx, &item{in: 4}); !errors.Is(err, context.Canceled) {
		t.Errorf("Do with an ended context: %v", err)
	}
}
