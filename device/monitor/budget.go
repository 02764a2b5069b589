package monitor

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// budget is what a sensor may still say one by one (TRUST F24). What is over it
// is not dropped: it is folded per type and point, and told at the end of the
// window with the first and last instant, the count and the last details.
type budget struct {
	tokens  float64
	filled  time.Time
	started bool
	over    map[foldKey]*fold
	order   []foldKey
	since   time.Time // when the window of what is over began
}

type foldKey struct{ kind, point string }

type fold struct {
	last  Event
	tally tally
}

// maxFolds bounds what a window remembers.
const maxFolds = 64

// spend emits the event if there is budget for it, else folds it.
func (c *Core) spend(now time.Time, b *budget, e Event) {
	b.refill(now, c.rules)
	if b.tokens >= 1 && len(b.over) == 0 {
		b.tokens--
		c.out = append(c.out, e)
		return
	}
	b.fold(now, e)
}

// refill earns one event every Window/Burst. A window that is folding ends
// before single events are told again, so that their order stays.
func (b *budget) refill(now time.Time, r Rules) {
	full := float64(r.Burst)
	if !b.started {
		b.tokens, b.filled, b.started = full, now, true
	}
	earned := full * float64(now.Sub(b.filled)) / float64(r.Window)
	b.tokens, b.filled = min(full, b.tokens+max(0, earned)), now
}

// pending counts what is folded and not yet told.
func (b *budget) pending() int {
	n := 0
	for _, f := range b.over {
		n += f.tally.count
	}
	return n
}

func (b *budget) fold(now time.Time, e Event) {
	if b.over == nil {
		b.over = map[foldKey]*fold{}
	}
	if len(b.over) == 0 {
		b.since = now
	}
	key := foldKey{e.Type, e.Point}
	if _, known := b.over[key]; !known && len(b.over) >= maxFolds {
		key.point = overflow
	}
	f := b.over[key]
	if f == nil {
		f = &fold{}
		b.over[key] = f
		b.order = append(b.order, key)
	}
	was := f.last
	f.last = e
	f.last.Simulated = was.Simulated || e.Simulated
	if was.Class == core.ClassDetectionFinding && e.Class != core.ClassDetectionFinding {
		// One alarm among them is what they are counted as.
		f.last.Class, f.last.State, f.last.Severity = was.Class, was.State, was.Severity
	}
	f.tally.add(now)
}

// flush tells what was folded once the window is over, in the order in which it
// happened last: whoever goes by the last word must not hold the sensor for what
// it was in the middle of the flood. What is no alarm says how the sensor is now.
func (c *Core) flush(now time.Time, in *input, b *budget) {
	if len(b.over) == 0 || now.Sub(b.since) < c.rules.Window {
		return
	}
	slices.SortStableFunc(b.order, func(x, y foldKey) int { return b.over[x].tally.last.Compare(b.over[y].tally.last) })
	for _, key := range b.order {
		f := b.over[key]
		e := f.last
		e.At = now
		if e.Class != core.ClassDetectionFinding {
			e.State = in.state()
		}
		e.Fields = with(sensor.Fields(map[string]any{"coalesced": f.tally.fields()}), objectOf(e.Fields))
		c.out = append(c.out, e)
	}
	b.over, b.order = nil, nil
}

func objectOf(fields json.RawMessage) map[string]any {
	m := map[string]any{}
	_ = json.Unmarshal(fields, &m) // made by this package, an object
	return m
}

// tally is first, last and count of things that were not told one by one.
type tally struct {
	first, last time.Time
	count       int
}

func (t *tally) add(now time.Time) {
	if t.count == 0 {
		t.first = now
	}
	t.last = now
	t.count++
}

func (t tally) fields() map[string]any {
	if t.count == 0 {
		return map[string]any{"count": 0}
	}
	return map[string]any{"first": t.first.UnixMicro(), "last": t.last.UnixMicro(), "count": t.count}
}
