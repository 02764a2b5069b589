package hunt

import (
	"context"
	"slices"
	"sync"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
)

// Event is one event as a hunt shows it to the rules. What it points to is
// another event's once the function that was given it returns.
type Event struct {
	File   string
	Number int // zero-based within the file
	// View has the event laid out: JSON is what was loaded and Vouched what the
	// normaliser set before.
	View    *sigma.View
	JSON    []byte
	Vouched []sigma.Field
	// Sources is what the event is of, nothing where nobody knows. Routed is set
	// where only its own fields say so.
	Sources []sigma.Logsource
	Routed  bool
}

// Each calls fn with every event of the files, in their order, until it returns
// false. No rule is asked. The result tells what was read and what could not be.
func Each(ctx context.Context, c Config, fn func(Event) bool) (*Result, error) {
	if c.Engine == nil || len(c.Paths) == 0 {
		return nil, core.E(core.KindInvalid, "hunt.Each", "events come from at least one file, for some rules")
	}
	c = c.withDefaults()
	c.Workers = 1 // one after the other
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	v := &visitor{fn: fn, stop: cancel}
	h := &hunt{Config: c, res: &Result{}, visit: v}
	h.run(ctx)
	v.end()
	h.res.Bytes = c.Progress.Read.Load()
	return h.res, nil
}

// visitor hands events to a function. A hunt that is interrupted does not wait
// for its worker, so what the worker still does must come to nothing.
type visitor struct {
	fn   func(Event) bool
	stop context.CancelFunc

	mu      sync.Mutex
	ended   bool
	file    *file // of the block that was done last
	before  int   // records in the blocks of it that are done
	vouched []sigma.Field
}

func (v *visitor) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended = true
}

// first is the number of the first record of a block.
func (v *visitor) first(b *block) int {
	if b.file == v.file {
		return v.before
	}
	return 0
}

// done counts the records of a block, those too that nobody could read.
func (v *visitor) done(b *block) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.before, v.file = v.first(b)+b.events, b.file
}

// event takes one that has been loaded into the worker's view.
func (v *visitor) event(w *worker, object []byte, sources []sigma.Logsource) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended {
		return
	}
	e := Event{File: w.b.file.name, Number: v.first(w.b) + w.b.events, View: w.view, JSON: object, Vouched: v.vouched, Routed: len(sources) == 0}
	for _, src := range slices.Concat(sources, w.view.Sources()) {
		if !slices.Contains(e.Sources, src) {
			e.Sources = append(e.Sources, src)
		}
	}
	if w.h.Force != nil {
		e.Sources, e.Routed = w.forced[:], false
	}
	if !v.fn(e) {
		v.ended = true
		v.stop()
	}
}
