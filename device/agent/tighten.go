package agent

import (
	"fmt"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// tightened counts what was asked for in the direction of safety. An order that
// loosens is held against the counts of the moment at which it came: whoever
// stops a machine while its reset waits must find it stopped when the wait is
// over. Counts, not times: no clock can be set so that they go back.
type tightened struct {
	Stops uint64 `json:"stops"`
	Arms  uint64 `json:"arms"`
	// Folded are quarantines that set no latch of their own, see
	// [Agent.latchQuarantine]: a release of the latch that stands for them came
	// before them.
	Folded uint64 `json:"folded"`
}

// upTo returns the larger of each count: the record of one follows the other.
func (t tightened) upTo(o tightened) tightened {
	return tightened{max(t.Stops, o.Stops), max(t.Arms, o.Arms), max(t.Folded, o.Folded)}
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
