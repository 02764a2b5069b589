package agent

import (
	"fmt"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// witness compares the log's checkpoint with the last one seen: a log does not
// shrink, and has one root for one size (TRUST F08).
func (a *Agent) witness(signed string) error {
	cp, err := link.VerifyCheckpoint(a.trust.Load(), signed)
	if err != nil {
		return err
	}
	for _, t := range cp.Witnessed {
		a.store.Observe(t)
	}
	root := rootText(cp.Root)
	var size uint64
	var was, origin string
	a.view(func(_ string, b *body) { size, was, origin = b.LogSize, b.LogRoot, b.LogOrigin })
	if origin == "" { // the first one seen
		origin = a.trust.Load().Root().LogOrigin
	}
	switch {
	case cp.Origin != origin:
		a.otherLog(cp, origin, size)
	case cp.Size < size:
		a.forked(origin)
		a.refusals.tell(a, "log_went_back", core.SeverityCritical, map[string]any{"seen": size, "now": cp.Size})
	case cp.Size == size && root != was:
		a.forked(origin)
		a.refusals.tell(a, "log_fork", core.SeverityCritical, map[string]any{"size": size, "seen": was, "now": root})
	case cp.Size > size:
		a.later(func(b *body) error {
			if cp.Size > b.LogSize {
				b.LogOrigin, b.LogSize, b.LogRoot = cp.Origin, cp.Size, root
			}
			return nil
		})
	}
	return nil
}

// otherLog takes note that the server records in another log than before. The
// one that the trust root names is there because persons signed so; any other
// is the server's word that the log before it is damaged, and is told as what
// it may be: a history that was put aside (F14). The way back is to the log that
// the trust root names, from where it was left: persons found a whole copy of it,
// and what loosens was refused meanwhile.
func (a *Agent) otherLog(cp *link.Checkpoint, seen string, size uint64) {
	fields := map[string]any{"seen_log": seen, "seen": size, "log": cp.Origin, "now": cp.Size}
	named := a.trust.Load().Root().LogOrigin
	var left *logState
	a.view(func(_ string, b *body) { left = b.LogLeft })
	next := logState{cp.Origin, cp.Size, rootText(cp.Root)}
	switch {
	case cp.Origin == named && left.continues(next):
		a.tell("log_returned", core.SeverityHigh, fields)
	case link.IsLaterLog(seen, cp.Origin):
		a.forked(seen)
		a.refusals.tell(a, "log_went_back", core.SeverityCritical, fields)
		return
	case cp.Origin == named:
		a.tell("log_succeeded", core.SeverityMedium, fields)
	default:
		a.tell("log_diverted", core.SeverityCritical, fields)
	}
	a.later(func(b *body) error {
		switch {
		case cp.Origin == named:
			b.LogLeft = nil
		case seen == named:
			b.LogLeft = &logState{seen, b.LogSize, b.LogRoot}
		}
		b.LogOrigin, b.LogSize, b.LogRoot = next.Origin, next.Size, next.Root
		return nil
	})
}

// continues says whether a log that the server came back to goes on from where
// it was left.
func (l *logState) continues(next logState) bool {
	return l != nil && l.Origin == next.Origin && (next.Size > l.Size || next == *l)
}

// viaLocal is the way of an order that somebody brought to the machine by hand.
const viaLocal = "local"

// forked remembers that the server showed two histories of a log.
func (a *Agent) forked(origin string) {
	a.later(func(b *body) error { b.LogForked = origin; return nil })
}

// logInDoubt says why what leads away from safety waits: the record of it would
// go into a history that may be put aside. Stops, containment and reports go on
// (F14). The doubt ends with a trust root that names the log, or one after it,
// which persons signed. An order that was brought to the machine by hand is
// carried out: whoever took the server over must not be able to keep its people
// from their machine (F27).
func (a *Agent) logInDoubt(via string) error {
	if via == viaLocal {
		return nil
	}
	var seen, forked, why string
	named := a.trust.Load().Root().LogOrigin
	a.view(func(_ string, b *body) { seen, forked = b.LogOrigin, b.LogForked })
	switch {
	case link.IsLaterLog(seen, named):
		why = fmt.Sprintf("the server records in the log %s, which no trust root names", seen)
	case forked != "" && !link.IsLaterLog(named, forked):
		why = fmt.Sprintf("the server showed two histories of the log %s", forked)
	default:
		return nil
	}
	return core.E(core.KindConflict, "agent", why).
		WithHint("have persons sign the trust root that names the new log (interlock audit succession root), or bring the order to the machine")
}
