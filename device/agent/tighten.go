package agent

import (
	"crypto/subtle"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// tightened counts what was asked for in the direction of safety. An order that
// loosens is held against the counts of the moment at which it came: whoever
// stops a machine while its reset waits must find it stopped when the wait is
// over. Counts, not times: no clock can be set so that they go back. What came
// before the order did is a matter of [Agent.foresaw].
type tightened struct {
	Stops uint64 `json:"stops"`
	// StopAt is when the last of them was asked for, in microseconds: by the
	// id of its order, which has the server's clock in it as a reset has, else by
	// this machine's clock.
	StopAt int64  `json:"stop_at,omitempty"`
	Arms   uint64 `json:"arms"`
	// Folded are quarantines that set no latch of their own, see
	// [Agent.latchQuarantine]: a release of the latch that stands for them came
	// before them.
	Folded uint64 `json:"folded"`
}

// upTo returns the larger of each count: the record of one follows the other.
func (t tightened) upTo(o tightened) tightened {
	return tightened{max(t.Stops, o.Stops), max(t.StopAt, o.StopAt), max(t.Arms, o.Arms), max(t.Folded, o.Folded)}
}

// tighten counts, before the effect: an order that is held against the counts
// either sees this one, or was over before the effect began.
func (a *Agent) tighten(count func(*tightened)) {
	a.tight.mu.Lock()
	defer a.tight.mu.Unlock()
	count(&a.tight.now)
}

func (a *Agent) tightened() tightened {
	a.tight.mu.Lock()
	defer a.tight.mu.Unlock()
	return a.tight.now
}

// keepTightened makes the counts durable with the change that they belong to.
func (a *Agent) keepTightened(b *body) { b.Tightened = b.Tightened.upTo(a.tightened()) }

// outdated says whether an order that loosens was overtaken since the counts
// stood at seen.
func (a *Agent) outdated(kind link.OrderType, seen tightened) error {
	now, what := a.tightened(), ""
	switch {
	case kind == link.OrderReset && now.Stops != seen.Stops:
		what = "a stop was requested"
	case (kind == link.OrderDisarm || kind == link.OrderBypass) && now.Arms != seen.Arms:
		what = "the device was armed"
	case kind == link.OrderRelease && now.Folded != seen.Folded:
		what = "another quarantine was ordered"
	default:
		return nil
	}
	return core.E(core.KindConflict, "agent", fmt.Sprintf("%s after this order came", what)).
		WithHint("look at the machine, then sign a new order")
}

// foresaw refuses a reset that persons asked for before the last stop: they end
// what they knew of, and nothing that came after. A server that was taken over
// could otherwise keep a reset until somebody stops the machine again. The code
// that the machine shows was made with the last stop, so whoever repeats it has
// seen that; it is also the way out where a clock is wrong.
func (a *Agent) foresaw(v *link.Verified, at link.Context) error {
	p, ok := v.Params.(*link.ResetParams)
	stop := a.tightened().StopAt
	if !ok || v.Order.Issued > stop || p.Presence != "" && subtle.ConstantTimeCompare([]byte(p.Presence), []byte(at.Presence)) == 1 {
		return nil
	}
	return core.E(core.KindConflict, "agent", fmt.Sprintf("the reset was asked for at %s, before the stop of %s", stamp(v.Order.Issued), stamp(stop))).
		WithHint("look at the machine, then ask for a reset anew; where a clock is wrong, put the presence code that the machine shows into it")
}

func stamp(micros int64) string { return time.UnixMicro(micros).UTC().Format(time.RFC3339) }

// asked is when an order was asked for: by its id, which counts milliseconds, to
// the end of its own; but not later than now.
func (a *Agent) asked(o *link.Order) int64 {
	return min(o.ID.Time().Add(time.Millisecond-1).UnixMicro(), a.cfg.Clock.Now().UnixMicro())
}
