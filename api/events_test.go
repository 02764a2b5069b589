package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
)

var foreign = core.MustID[core.TenantID]("other")

// last asks for the last events and returns their types.
func (r *rig) last(query string) (kinds []string) {
	r.t.Helper()
	code, b := r.ask("anna", "GET", "/v1/events"+query, "")
	if code != http.StatusOK {
		r.t.Fatalf("%d %s", code, b)
	}
	for line := range strings.Lines(string(b)) {
		var e core.Event
		r.must(json.Unmarshal([]byte(line), &e))
		kinds = append(kinds, e.Type)
	}
	return kinds
}

// TestTheLastEventsInOrder: as many as were asked for, the oldest first, the own
// tenant's only, whatever frames they came in.
func TestTheLastEventsInOrder(t *testing.T) {
	r := newRig(t)
	if got := r.last(""); len(got) != 0 {
		t.Errorf("an empty journal says %v", got)
	}
	var want []string
	for i := range 90 { // more frames than one step reads, ticks and strangers between
		n := 1 + i%3
		r.event(tenant, n, fmt.Sprintf("e%02d", i))
		for k := range n {
			want = append(want, fmt.Sprintf("e%02d-%d", i, k))
		}
		if i%4 == 0 {
			r.event(foreign, 2, "foreign")
			r.must(r.frames.Tick(t.Context()))
		}
	}
	for _, n := range []int{0, 1, 2, 7, 20, len(want) - 1, len(want), 10_000} {
		if got := r.last(fmt.Sprintf("?last=%d", n)); !slices.Equal(got, want[max(0, len(want)-n):]) {
			t.Errorf("last=%d: %d events, from %v", n, len(got), got[:min(3, len(got))])
		}
	}
	if got := r.last(""); !slices.Equal(got, want[len(want)-20:]) {
		t.Errorf("without a number: %v", got)
	}
}

// TestEventsLeaveARecord: events name people, so that they were read is in the
// log, and without the log they are not read.
func TestEventsLeaveARecord(t *testing.T) {
	r := newRig(t)
	r.event(tenant, 1, "secret")
	before := r.log.Size()
	r.last("?last=1")
	if r.log.Size() != before+1 {
		t.Errorf("the log grew by %d", r.log.Size()-before)
	}
	r.must(r.log.Close())
	r.refused("anna", "GET", "/v1/events?last=1", "", core.KindUnavailable)
}

// follower is a client that listens.
type follower struct {
	lines  chan string
	cancel context.CancelFunc
	ended  chan struct{}
}

// follow listens from the last n events on. Nothing is read before begin is
// closed, so that a test can have a client that does not read.
func (r *rig) follow(n int, begin <-chan struct{}) *follower {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://interlock/v1/events?last=%d&follow=true", n), nil)
	r.must(err)
	req.Header.Set("Caller", "anna")
	res, err := r.http.Do(req)
	r.must(err)
	f := &follower{lines: make(chan string, 1), cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(f.ended)
		defer func() { _ = res.Body.Close() }()
		select {
		case <-begin:
		case <-ctx.Done():
			return
		}
		in := bufio.NewScanner(res.Body)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			var e core.Event
			if json.Unmarshal(in.Bytes(), &e) != nil {
				e.Type = "unreadable: " + in.Text()
			}
			select {
			case f.lines <- e.Type:
			case <-ctx.Done():
				return
			}
		}
	}()
	r.t.Cleanup(f.end)
	return f
}

func (f *follower) end() {
	f.cancel()
	<-f.ended
}

// wants takes the next lines and compares them.
func (f *follower) wants(t *testing.T, want ...string) {
	t.Helper()
	for i, w := range want {
		select {
		case got := <-f.lines:
			if got != w {
				t.Fatalf("line %d is %q, want %q", i, got, w)
			}
		case <-time.After(3 * time.Minute):
			t.Fatalf("line %d, %q, never came", i, w)
		}
	}
}

var now = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// TestFollowingEvents: the backlog and then each event once, in order, as it
// becomes durable, and never another tenant's.
func TestFollowingEvents(t *testing.T) {
	r := newRig(t)
	r.event(tenant, 2, "old")
	f := r.follow(1, now)
	f.wants(t, "old-1")
	var want []string
	for i := range 20 {
		r.event(foreign, 1, "foreign")
		r.event(tenant, 3, fmt.Sprintf("n%02d", i))
		r.must(r.frames.Tick(t.Context()))
		want = append(want, fmt.Sprintf("n%02d-0", i), fmt.Sprintf("n%02d-1", i), fmt.Sprintf("n%02d-2", i))
	}
	f.wants(t, want...)
}

// TestASlowReaderHoldsUpNobody: one client listens and does not read, far beyond
// what a socket holds. Others get their events, appends go on, and when the slow
// one begins to read it gets everything in order.
func TestASlowReaderHoldsUpNobody(t *testing.T) {
	r := newRig(t)
	begin := make(chan struct{})
	slow, quick := r.follow(0, begin), r.follow(0, now)
	long := strings.Repeat("x", 20_000)
	var want []string
	for i := range 120 {
		name := fmt.Sprintf("%03d%s", i, long)
		r.event(tenant, 1, name)
		want = append(want, name+"-0")
		quick.wants(t, name+"-0")
	}
	close(begin)
	slow.wants(t, want...)
}

// TestAClientThatGoesIsLetGo: its handler ends.
func TestAClientThatGoesIsLetGo(t *testing.T) {
	r := newRig(t)
	f := r.follow(0, now)
	r.event(tenant, 1, "one")
	f.wants(t, "one-0")
	f.end()
	// The rig's shutdown waits for handlers: a handler that stayed would be
	// seen there. Another client works meanwhile.
	other := r.follow(1, now)
	other.wants(t, "one-0")
}

// TestTheEndOfTheServerEndsItsStreams: nobody who listens holds it up.
func TestTheEndOfTheServerEndsItsStreams(t *testing.T) {
	r := newRig(t)
	f := r.follow(0, now)
	r.event(tenant, 1, "one")
	f.wants(t, "one-0")
	close(r.ending)
	select {
	case <-f.ended:
	case <-time.After(3 * time.Minute):
		t.Error("the stream goes on")
	}
}

// TestEventsOfAnotherKindAreNotEvents: rules and ticks stand in the journal too.
func TestEventsOfAnotherKindAreNotEvents(t *testing.T) {
	r := newRig(t)
	_, err := r.frames.Append(t.Context(), journal.Frame{Kind: journal.KindRules, Source: "rules", Records: [][]byte{[]byte("not an event")}})
	r.must(err)
	r.event(tenant, 1, "one")
	if got := r.last("?last=10"); !slices.Equal(got, []string{"one-0"}) {
		t.Errorf("%q", got)
	}
}
