package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/platform/jobs"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

var (
	ctx     = context.Background()
	start   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tenant  = core.MustID[core.TenantID]("acme")
	schemas = []store.Migrations{journal.Migrations(), jobs.Migrations()}
)

func TestBothEnginesHaveTheSameSchema(t *testing.T) { storetest.SameSchema(t, jobs.Migrations()) }

func enqueue(t testing.TB, db *store.DB, list ...jobs.Job) {
	t.Helper()
	err := db.Tx(ctx, func(tx *store.Tx) error {
		for _, j := range list {
			if j.Tenant.IsZero() {
				j.Tenant = tenant
			}
			if err := jobs.Enqueue(ctx, tx, j); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// listed shows the keys of a state's jobs, sorted.
func listed(t testing.TB, db *store.DB, s jobs.State) string {
	t.Helper()
	var keys []string
	err := db.View(ctx, func(tx *store.Tx) error {
		list, err := jobs.List(ctx, tx, tenant, s, 1000)
		keys = nil
		for _, j := range list {
			keys = append(keys, j.Key)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	return strings.Join(keys, " ")
}

func troubles(t testing.TB, db *store.DB) (list []jobs.Trouble) {
	t.Helper()
	frames, err := jobs.Troubles.Bind(db).Read(ctx, 0, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		for _, r := range f.Records {
			var tr jobs.Trouble
			if err := json.Unmarshal(r, &tr); err != nil {
				t.Fatal(err)
			}
			list = append(list, tr)
		}
	}
	return list
}

// background runs the runner until the test stops it.
func background(t testing.TB, r *jobs.Runner) (stop func()) {
	t.Helper()
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(running) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

// until asks until the answer is yes; the test's own time limit bounds it.
// step, if given, runs before every question.
func until(t testing.TB, yes func() bool, step func()) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		if step != nil {
			step()
		}
		<-tick.C
	}
}

func TestAJobIsDoneOnceWhenItIsDue(t *testing.T) {
	storetest.Each(t, schemas, func(t *testing.T, db *store.DB) {
		clock := clocktest.New(start)
		ran := make(chan jobs.Job, 10)
		defer background(t, &jobs.Runner{DB: db, Clock: clock, Concurrency: 1, Handlers: map[string]jobs.Handler{
			"order": {Run: func(_ context.Context, j jobs.Job) error { ran <- j; return nil }},
		}})()
		later := jobs.Job{Kind: "order", Key: "later", RunAt: start.Add(time.Hour)}
		enqueue(t, db, later, jobs.Job{Kind: "unknown", Key: "other"}, jobs.Job{Kind: "order", Key: "now", Payload: []byte("p")})
		if j := <-ran; j.Key != "now" || string(j.Payload) != "p" || j.Attempt != 1 || j.Tenant != tenant {
			t.Errorf("ran %+v", j)
		}
		until(t, func() bool { return listed(t, db, jobs.Done) == "now" }, nil)
		// Decided twice, done once, also after it is done; another tenant's
		// job of the same name is another job.
		enqueue(t, db, later, jobs.Job{Kind: "order", Key: "now", Payload: []byte("again")},
			jobs.Job{Tenant: core.MustID[core.TenantID]("other"), Kind: "order", Key: "now"})
		if j := <-ran; j.Tenant.String() != "other" {
			t.Errorf("ran %+v", j)
		}
		if got := listed(t, db, jobs.Waiting); got != "later other" {
			t.Errorf("waiting %q", got)
		}
		clock.Advance(time.Hour)
		until(t, func() bool { return len(ran) > 0 }, func() { clock.Advance(time.Second) }) // its poll may begin after the first step
		if j := <-ran; j.Key != "later" || !j.RunAt.Equal(start.Add(time.Hour)) {
			t.Errorf("ran %+v", j)
		}
		if len(ran) != 0 {
			t.Errorf("ran %+v as well", <-ran)
		}
	})
}

func TestAJobNeedsItsTransaction(t *testing.T) {
	storetest.Each(t, schemas, func(t *testing.T, db *store.DB) {
		_ = db.Tx(ctx, func(tx *store.Tx) error {
			return errors.Join(jobs.Enqueue(ctx, tx, jobs.Job{Tenant: tenant, Kind: "order", Key: "a"}), errors.New("no"))
		})
		if got := listed(t, db, jobs.Waiting); got != "" {
			t.Errorf("waiting %q", got)
		}
	})
}

func TestBadJobsAreRefused(t *testing.T) {
	db := storetest.Open(t, storetest.Config(t, "sqlite"), schemas...)
	for name, j := range map[string]jobs.Job{
		"no kind": {Key: "k"}, "odd kind": {Kind: "A b", Key: "k"}, "no key": {Kind: "k"},
		"long key": {Kind: "k", Key: strings.Repeat("x", 513)}, "key with NUL": {Kind: "k", Key: "a\x00"}, "key not UTF-8": {Kind: "k", Key: "\xff"},
	} {
		err := db.Tx(ctx, func(tx *store.Tx) error { return jobs.Enqueue(ctx, tx, j) })
		if core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := db.Tx(ctx, func(tx *store.Tx) error {
		return jobs.Enqueue(ctx, tx, jobs.Job{Kind: "k", Key: "k", Payload: make([]byte, 1<<20+1)})
	})
	if core.KindOf(err) != core.KindTooLarge {
		t.Errorf("a large payload: %v", err)
	}
	for name, r := range map[string]*jobs.Runner{
		"no database": {}, "no handler": {DB: db, Handlers: map[string]jobs.Handler{"k": {}}},
	} {
		if err := r.Run(ctx); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSeveralRunnersShareTheWorkWithoutDoingAnythingTwice(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			config := storetest.Config(t, engine)
			db := storetest.Open(t, config, schemas...)
			other := db
			if engine == "postgres" {
				other = storetest.Open(t, config)
			}
			var mu sync.Mutex
			ran := make(map[string]int)
			h := map[string]jobs.Handler{"order": {Run: func(_ context.Context, j jobs.Job) error {
				mu.Lock()
				defer mu.Unlock()
				ran[j.Key]++
				return nil
			}}}
			var list []jobs.Job
			for i := range 60 {
				list = append(list, jobs.Job{Kind: "order", Key: fmt.Sprint(i)})
			}
			enqueue(t, db, list...)
			for _, at := range []*store.DB{db, other, other} {
				defer background(t, &jobs.Runner{DB: at, Handlers: h, Concurrency: 3})()
			}
			until(t, func() bool { return len(strings.Fields(listed(t, db, jobs.Done))) == 60 }, nil)
			mu.Lock()
			defer mu.Unlock()
			for key, n := range ran {
				if n != 1 {
					t.Errorf("job %s ran %d times", key, n)
				}
			}
		})
	}
}

func TestFailuresAreTriedAgainWithPausesThenTold(t *testing.T) {
	storetest.Each(t, schemas, func(t *testing.T, db *store.DB) {
		clock := clocktest.New(start)
		var mu sync.Mutex
		var at []time.Duration
		var reported int
		defer background(t, &jobs.Runner{DB: db, Clock: clock, OnError: func(jobs.Job, error) { mu.Lock(); reported++; mu.Unlock() }, Handlers: map[string]jobs.Handler{
			"order": {Attempts: 4, Run: func(_ context.Context, j jobs.Job) error {
				mu.Lock()
				defer mu.Unlock()
				at = append(at, clock.Now().Sub(start))
				if j.Attempt != len(at) {
					t.Errorf("attempt %d of %d", j.Attempt, len(at))
				}
				return core.E(core.KindUnavailable, "order", "nobody answers\x00")
			}},
			"never": {Run: func(context.Context, jobs.Job) error { return core.E(core.KindInvalid, "never", "not a job") }},
		}})()
		enqueue(t, db, jobs.Job{Kind: "order", Key: "a"}, jobs.Job{Kind: "never", Key: "b"})
		until(t, func() bool { return listed(t, db, jobs.Failed) == "a b" }, func() {
			if clock.Waiters() > 0 {
				clock.Advance(100 * time.Millisecond)
			}
		})
		mu.Lock()
		defer mu.Unlock()
		if len(at) != 4 || reported < 5 {
			t.Fatalf("tried at %v, reported %d", at, reported)
		}
		for i, least := range []time.Duration{1, 2, 4} {
			if pause := at[i+1] - at[i]; pause < least*time.Second {
				t.Errorf("pause %d was %v", i+1, pause)
			}
		}
		list := troubles(t, db)
		slices.SortFunc(list, func(a, b jobs.Trouble) int { return strings.Compare(a.Key, b.Key) })
		if len(list) != 2 || list[0].State != jobs.Failed || list[0].Attempt != 4 || !strings.Contains(list[0].Error, "nobody answers") || list[1].Attempt != 1 {
			t.Errorf("told %+v", list)
		}
	})
}

// What can't be repeated and whose outcome nobody knows is never tried again
// without a person.
func TestUncertainJobsAskAPerson(t *testing.T) {
	storetest.Each(t, schemas, func(t *testing.T, db *store.DB) {
		fails := map[string]error{
			"unknown": core.E(core.KindUncertain, "order", "the answer was lost"),
			"panic":   nil,
			"refused": errors.New("it was not done"),
		}
		clock := clocktest.New(start)
		var mu sync.Mutex
		ran := map[string]int{}
		run := func(_ context.Context, j jobs.Job) error {
			mu.Lock()
			defer mu.Unlock()
			ran[j.Kind+" "+j.Key]++
			if ran[j.Kind+" "+j.Key] > 1 {
				return nil
			}
			if j.Key == "panic" {
				panic("in the middle")
			}
			return fails[j.Key]
		}
		defer background(t, &jobs.Runner{DB: db, Clock: clock, Handlers: map[string]jobs.Handler{"once": {Run: run}, "again": {Idempotent: true, Run: run}}})()
		for key := range fails {
			enqueue(t, db, jobs.Job{Kind: "once", Key: key}, jobs.Job{Kind: "again", Key: key})
		}
		until(t, func() bool {
			return listed(t, db, jobs.Done) == "panic refused refused unknown" && listed(t, db, jobs.Uncertain) == "panic unknown"
		}, func() {
			if clock.Waiters() > 0 {
				clock.Advance(time.Second)
			}
		})
		if list := troubles(t, db); len(list) != 2 || list[0].State != jobs.Uncertain || list[0].Kind != "once" {
			t.Errorf("told %+v", list)
		}
		decide := func(key string, v jobs.Verdict) error {
			return db.Tx(ctx, func(tx *store.Tx) error { return jobs.Decide(ctx, tx, tenant, "once", key, v, clock.Now()) })
		}
		if err := decide("panic", jobs.Settled); err != nil {
			t.Fatal(err)
		}
		if err := decide("unknown", jobs.Repeat); err != nil {
			t.Fatal(err)
		}
		until(t, func() bool {
			return listed(t, db, jobs.Uncertain) == "" && len(strings.Fields(listed(t, db, jobs.Done))) == 6
		}, func() { clock.Advance(time.Second) })
		for key, want := range map[string]core.Kind{"panic": core.KindConflict, "none": core.KindConflict} {
			if err := decide(key, jobs.Repeat); core.KindOf(err) != want {
				t.Errorf("deciding on %s: %v", key, err)
			}
		}
		if err := decide("panic", "maybe"); core.KindOf(err) != core.KindInvalid {
			t.Errorf("an odd verdict: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		if ran["once panic"] != 1 || ran["once unknown"] != 2 || ran["again panic"] != 2 {
			t.Errorf("ran %v", ran)
		}
	})
}

// A runner stalls past its claim; another takes the job over. The late report
// must not count.
func TestAStaleRunnersReportIsRefused(t *testing.T) {
	storetest.Each(t, schemas, func(t *testing.T, db *store.DB) {
		clock := clocktest.New(start)
		runner := func() *jobs.Runner {
			r := &jobs.Runner{DB: db, Clock: clock, Handlers: map[string]jobs.Handler{
				"again": {Idempotent: true, Run: func(context.Context, jobs.Job) error { return nil }},
			}}
			if err := r.Prepare(); err != nil {
				t.Fatal(err)
			}
			return r
		}
		slow, quick := runner(), runner()
		enqueue(t, db, jobs.Job{Kind: "again", Key: "a"})
		take := func(r *jobs.Runner) jobs.Claim {
			claims, err := r.ClaimOne(ctx)
			if err != nil || len(claims) != 1 {
				t.Fatal(claims, err)
			}
			return claims[0]
		}
		first := take(slow)
		if claims, err := quick.ClaimOne(ctx); err != nil || len(claims) != 0 {
			t.Errorf("claimed twice: %v %v", claims, err)
		}
		clock.Advance(time.Minute)
		if err := quick.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		second := take(quick)
		if err := slow.Finish(ctx, first); core.KindOf(err) != core.KindExpired {
			t.Errorf("the late report: %v", err)
		}
		if err := quick.Finish(ctx, second); err != nil {
			t.Error(err)
		}
	})
}

func TestALongJobKeepsItsClaim(t *testing.T) {
	storetest.Each(t, schemas, func(t *testing.T, db *store.DB) {
		clock := clocktest.New(start)
		began, finish := make(chan struct{}, 5), make(chan struct{})
		h := map[string]jobs.Handler{"long": {Idempotent: true, Run: func(context.Context, jobs.Job) error {
			began <- struct{}{}
			<-finish
			return nil
		}}}
		defer background(t, &jobs.Runner{DB: db, Clock: clock, Handlers: h})()
		enqueue(t, db, jobs.Job{Kind: "long", Key: "a"})
		<-began
		other := &jobs.Runner{DB: db, Clock: clock, Handlers: h}
		if err := other.Prepare(); err != nil {
			t.Fatal(err)
		}
		for range 10 { // five times the claim, each step shorter than it
			clock.Advance(30 * time.Second)
			until(t, func() bool { return claimedUntil(t, db).Equal(clock.Now().Add(time.Minute)) }, nil)
			if err := other.Sweep(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if got := listed(t, db, jobs.Running); got != "a" || len(began) != 0 {
			t.Errorf("running %q, begun %d times more", got, len(began))
		}
		close(finish)
		until(t, func() bool { return listed(t, db, jobs.Done) == "a" }, nil)
	})
}

func claimedUntil(t *testing.T, db *store.DB) time.Time {
	t.Helper()
	var us int64
	err := db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(ctx, "SELECT max(until) FROM jobs").Scan(&us)
	})
	if err != nil {
		t.Fatal(err)
	}
	return store.FromMicros(us)
}

func TestAJobThatTakesTooLongIsEnded(t *testing.T) {
	db := storetest.Open(t, storetest.Config(t, "sqlite"), schemas...)
	clock := clocktest.New(start)
	defer background(t, &jobs.Runner{DB: db, Clock: clock, Handlers: map[string]jobs.Handler{
		"hangs": {Timeout: time.Minute, Run: func(ctx context.Context, _ jobs.Job) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}},
	}})()
	enqueue(t, db, jobs.Job{Kind: "hangs", Key: "a"})
	until(t, func() bool { return listed(t, db, jobs.Uncertain) == "a" }, func() { clock.Advance(10 * time.Second) })
	if list := troubles(t, db); len(list) != 1 || !strings.Contains(list[0].Error, "took longer than 1m0s") {
		t.Errorf("told %+v", list)
	}
}

// An orderly stop: what may be repeated waits again and loses no attempt; what
// may not is uncertain, unless it finished.
func TestAnOrderlyStopLosesNothing(t *testing.T) {
	storetest.Each(t, schemas, func(t *testing.T, db *store.DB) {
		began := make(chan struct{}, 3)
		wait := func(ctx context.Context, j jobs.Job) error {
			began <- struct{}{}
			<-ctx.Done()
			if j.Key == "finishes" {
				return nil
			}
			return ctx.Err()
		}
		stop := background(t, &jobs.Runner{DB: db, Handlers: map[string]jobs.Handler{"again": {Idempotent: true, Run: wait}, "once": {Run: wait}}})
		enqueue(t, db, jobs.Job{Kind: "again", Key: "a"}, jobs.Job{Kind: "once", Key: "b"}, jobs.Job{Kind: "once", Key: "finishes"})
		for range 3 {
			<-began
		}
		stop()
		if w, u, d := listed(t, db, jobs.Waiting), listed(t, db, jobs.Uncertain), listed(t, db, jobs.Done); w != "a" || u != "b" || d != "finishes" {
			t.Errorf("waiting %q, uncertain %q, done %q", w, u, d)
		}
		var attempt int
		err := db.View(ctx, func(tx *store.Tx) error {
			return tx.QueryRow(ctx, "SELECT attempt FROM jobs WHERE key = 'a'").Scan(&attempt)
		})
		if err != nil || attempt != 0 {
			t.Errorf("attempt %d, %v", attempt, err)
		}
	})
}

func TestDoneJobsGuardTheirKeysForAWhile(t *testing.T) {
	db := storetest.Open(t, storetest.Config(t, "sqlite"), schemas...)
	clock := clocktest.New(start)
	defer background(t, &jobs.Runner{DB: db, Clock: clock, Keep: 48 * time.Hour, Handlers: map[string]jobs.Handler{
		"order": {Run: func(context.Context, jobs.Job) error { return nil }},
	}})()
	enqueue(t, db, jobs.Job{Kind: "order", Key: "a"})
	until(t, func() bool { return listed(t, db, jobs.Done) == "a" }, nil)
	clock.Advance(47 * time.Hour)
	enqueue(t, db, jobs.Job{Kind: "order", Key: "b"})
	until(t, func() bool { return listed(t, db, jobs.Done) == "a b" }, nil)
	until(t, func() bool { return listed(t, db, jobs.Done) == "b" }, func() { clock.Advance(30 * time.Minute) })
}
