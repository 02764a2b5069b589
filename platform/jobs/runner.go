package jobs

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

const (
	defaultConcurrency = 4
	defaultAttempts    = 25 // about an hour and a half with the pauses below
	defaultLease       = time.Minute
	defaultTimeout     = 10 * time.Minute
	defaultKeep        = 30 * 24 * time.Hour
	firstPause         = time.Second
	longestPause       = 5 * time.Minute
	pollEvery          = time.Second
)

// Handler carries out one kind of job.
type Handler struct {
	// Idempotent says that doing it again with the same key is harmless. If
	// not, an interruption makes the job uncertain.
	Idempotent bool
	// Attempts is how often it is tried before it has failed; 0 means 25.
	Attempts int
	// Timeout ends the handler's context; 0 means ten minutes.
	Timeout time.Duration
	// Run does the job. An error says that it was not done: it is tried again
	// after a pause. KindInvalid says that it never can be. KindUncertain says
	// that nobody knows; what is not idempotent then waits for a person, as
	// it does after a panic or when its context had ended.
	Run func(ctx context.Context, j Job) error
}

// Runner carries out due jobs of the kinds it has handlers for. Several may run
// on one database; each job is claimed by one of them at a time.
type Runner struct {
	DB       *store.DB
	Clock    core.Clock // nil means the machine's
	Handlers map[string]Handler
	// Concurrency is how many jobs run at a time; 0 means 4.
	Concurrency int
	// Lease is how long a claim lasts without being renewed, and so how long
	// after a crash the job is taken up; 0 means a minute.
	Lease time.Duration
	// Keep is how long done jobs guard their keys; 0 means 30 days.
	Keep time.Duration
	// OnError, if set, is told of failed attempts and of faults of the
	// database, which are all tried again.
	OnError func(j Job, err error)

	owner string
	wg    sync.WaitGroup
	freed chan struct{}
	swept time.Time

	mu sync.Mutex
	// running are the claims under way here, by their tokens. The sweep leaves
	// them alone: a renewal that comes late is no crash.
	running map[name]int64
}

// Run works until ctx ends, waits for the jobs under way, whose contexts end
// with it, and returns nil.
func (r *Runner) Run(ctx context.Context) error {
	if err := r.prepare(); err != nil {
		return err
	}
	defer r.wg.Wait()
	for ctx.Err() == nil {
		woken := r.DB.Signal(channel)
		wait, err := r.round(ctx)
		if err != nil && ctx.Err() == nil {
			r.OnError(Job{}, err)
		}
		select {
		case <-ctx.Done():
		case <-woken:
		case <-r.freed:
		case <-r.Clock.After(wait):
		}
	}
	return nil
}

func (r *Runner) prepare() error {
	if r.DB == nil {
		return core.E(core.KindInvalid, "jobs.Run", "no database")
	}
	for kind, h := range r.Handlers {
		if !validKind.MatchString(kind) || h.Run == nil {
			return core.E(core.KindInvalid, "jobs.Run", fmt.Sprintf("the handler of %.64q is none", kind))
		}
	}
	if r.Clock == nil {
		r.Clock = core.SystemClock{}
	}
	if r.OnError == nil {
		r.OnError = func(Job, error) {}
	}
	r.Concurrency = orDefault(r.Concurrency, defaultConcurrency)
	r.Lease = orDefault(r.Lease, defaultLease)
	r.Keep = orDefault(r.Keep, defaultKeep)
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	r.owner = fmt.Sprintf("%s/%d", host, os.Getpid())
	r.freed = make(chan struct{}, 1)
	r.running = make(map[name]int64)
	return nil
}

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// round takes up what crashed, claims what is due and says how long to wait
// when nothing wakes the runner earlier.
func (r *Runner) round(ctx context.Context) (wait time.Duration, err error) {
	if len(r.Handlers) == 0 {
		return pollEvery, nil
	}
	if err := r.sweep(ctx); err != nil {
		return pollEvery, err
	}
	claims, err := r.claim(ctx, r.room())
	if err != nil {
		return pollEvery, err
	}
	for _, c := range claims {
		r.start(ctx, c)
	}
	return pollEvery, nil
}

func (r *Runner) room() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Concurrency - len(r.running)
}

func (r *Runner) runs(c claim) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	token, ok := r.running[c.job.name()]
	return ok && token == c.token
}

func (r *Runner) start(ctx context.Context, c claim) {
	r.mu.Lock()
	r.running[c.job.name()] = c.token
	r.mu.Unlock()
	r.wg.Go(func() {
		r.work(ctx, c)
		r.mu.Lock()
		if r.running[c.job.name()] == c.token {
			delete(r.running, c.job.name())
		}
		r.mu.Unlock()
		select {
		case r.freed <- struct{}{}:
		default: // one token is enough: the round looks at all of it
		}
	})
}

// work runs the handler and reports the outcome, also when ctx has ended: what
// is known about the job must not get lost with the process.
func (r *Runner) work(ctx context.Context, c claim) {
	h := r.Handlers[c.job.Kind]
	own, cancel := context.WithCancelCause(ctx)
	renewing, stop := context.WithCancel(ctx)
	renewed := make(chan struct{})
	due := r.Clock.After(r.Lease / 3)
	go func() {
		defer close(renewed)
		r.renew(renewing, c, due, orDefault(h.Timeout, defaultTimeout), cancel)
	}()
	err := guard(own, h, c.job)
	interrupted := err != nil && own.Err() != nil
	stop()
	<-renewed
	cancel(nil)
	if err != nil {
		r.OnError(c.job, err)
	}
	report, done := context.WithTimeout(context.WithoutCancel(ctx), pollEvery*10)
	defer done()
	if err := r.finish(report, c, outcome(h, c, err, interrupted, r.Clock.Now())); err != nil {
		r.OnError(c.job, fmt.Errorf("the outcome could not be written: %w", err))
	}
}

// panicked marks an error that was a panic.
type panicked struct{ error }

func guard(ctx context.Context, h Handler, j Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked{core.E(core.KindInternal, "jobs.Run", fmt.Sprintf("the handler of %s panicked: %v", j.Kind, p))}
		}
	}()
	return h.Run(ctx, j)
}

// renew keeps the claim while the handler runs, and ends the handler's context
// when the claim is lost or its time is up. The time until the next renewal runs
// while this one is written, which may take long.
func (r *Runner) renew(ctx context.Context, c claim, due <-chan time.Time, timeout time.Duration, cancel context.CancelCauseFunc) {
	ends := r.Clock.Now().Add(timeout)
	for {
		select {
		case <-ctx.Done():
			return
		case <-due:
			due = r.Clock.After(r.Lease / 3)
		}
		if r.Clock.Now().After(ends) {
			cancel(core.E(core.KindUnavailable, "jobs.Run", fmt.Sprintf("%s job %q took longer than %v", c.job.Kind, c.job.Key, timeout)))
			return
		}
		err := r.extend(ctx, c)
		if core.KindOf(err) == core.KindExpired {
			cancel(err)
			return
		}
		if err != nil && ctx.Err() == nil {
			r.OnError(c.job, err) // tried again well before the claim runs out
		}
	}
}
