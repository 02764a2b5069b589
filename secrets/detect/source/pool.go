package source

import (
	"context"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/interlock-security/interlock/secrets/detect"
)

// task is a piece of work whose outcome is told in its turn.
type task struct {
	run  func(w *worker)
	done chan struct{}
	out  []outcome
}

// outcome is a leak or a gap.
type outcome struct {
	leak Found
	gap  Gap
}

// worker is one of the goroutines that read, with buffers of its own.
type worker struct {
	*Config
	ctx  context.Context
	task *task
	// chunk holds the text at hand.
	chunk []byte
	git   *catFile
	// kept counts the leaks of the file at hand.
	kept int
}

func (w *worker) gap(what, why string, reason Reason) {
	w.task.out = append(w.task.out, outcome{gap: Gap{Shown(what), why, reason}})
}

// leak tells a leak whose place is complete. It reports whether the file may have
// more.
func (w *worker) leak(f Found) bool {
	if w.Keep != nil && !w.Keep(f.Leak) {
		return true
	}
	if w.kept++; w.kept > w.Limits.Leaks {
		return false
	}
	f.Path = Shown(f.Path)
	for i, inner := range f.Inner {
		f.Inner[i] = Shown(inner)
	}
	if n := w.Progress.Leaks.Add(1); n > int64(w.Limits.All) {
		if n == int64(w.Limits.All)+1 {
			w.gap("all of it", fmt.Sprintf("there are more than %d leaks, of which no more are told: leave out what is no leak with --exclude, then scan again", w.Limits.All), TooMany)
		}
		return false
	}
	w.task.out = append(w.task.out, outcome{leak: f})
	return true
}

// submit hands a task over; it returns an error when the work has ended.
type submit func(run func(w *worker)) error

// perform runs what produce submits on the workers and tells the outcomes in the
// order of submission. No more than a few tasks a worker are ever waiting.
func perform(ctx context.Context, c Config, sink Sink, produce func(ctx context.Context, put submit) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ordered := make(chan *task, 8*c.Workers)
	work := make(chan *task)
	var group sync.WaitGroup
	for range c.Workers {
		group.Go(func() { serve(ctx, &c, work) })
	}
	var failed error
	group.Go(func() {
		defer close(ordered)
		defer close(work)
		failed = produce(ctx, func(run func(*worker)) error { return enqueue(ctx, ordered, work, run) })
	})
	for t := range ordered {
		<-t.done
		tell(t.out, sink)
	}
	group.Wait()
	if failed == nil {
		failed = ctx.Err()
	}
	return failed
}

func enqueue(ctx context.Context, ordered, work chan *task, run func(*worker)) error {
	t := &task{run: run, done: make(chan struct{})}
	select {
	case work <- t: // a worker always takes what it is offered, so order is kept below
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case ordered <- t:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func serve(ctx context.Context, c *Config, work <-chan *task) {
	w := &worker{Config: c, ctx: ctx}
	defer w.git.close()
	for t := range work {
		w.task = t
		t.run(w)
		close(t.done)
	}
}

func tell(out []outcome, sink Sink) {
	for _, o := range out {
		if o.leak.Leak != nil {
			sink.Leak(o.leak)
			continue
		}
		sink.Gap(o.gap)
	}
}

// longestShown is how much of a hostile name is told.
const longestShown = 1024

// Shown is a name as it can be written anywhere: what is not UTF-8 is escaped, so
// that two names stay two, and what is too long is cut.
func Shown(name string) string {
	if len(name) > longestShown {
		name = name[:longestShown] + "..."
	}
	if utf8.ValidString(name) {
		return name
	}
	const digits = "0123456789abcdef"
	var b []byte
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && n == 1 {
			b = append(b, '\\', 'x', digits[name[0]>>4], digits[name[0]&15])
		} else {
			b = append(b, name[:n]...)
		}
		name = name[n:]
	}
	return string(b)
}

// where is the place of a text: Path and Inner as they are told, and the path that
// the detector is asked with.
type where struct {
	detect.Place
	asked string
	note  string
	// alphabet is how the text was written, if not in UTF-8.
	alphabet string
	// named says that the file's name was looked at already.
	named bool
}
