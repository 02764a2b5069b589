package agent

import (
	"context"
	"time"

	"github.com/interlock-security/interlock/core"
)

// houseEvery is how often the agent looks after what has no other clock.
const houseEvery = time.Second

// keepHouse ends grants, concludes waits, mends the quarantine and says from
// time to time that all is well.
func (a *Agent) keepHouse(ctx context.Context) {
	beat := a.cfg.Clock.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.cfg.Clock.After(houseEvery):
		}
		a.due()
		a.dueRoot()
		a.endGrants()
		a.keepTime()
		a.watchWalk()
		a.tellMode()
		a.mend()
		a.refusals.flush(a)
		if now := a.cfg.Clock.Now(); now.Sub(beat) >= a.cfg.Heartbeat || now.Before(beat) {
			beat = now
			a.heartbeat()
		}
	}
}

// mend compares the kernel's rules with what should be there.
func (a *Agent) mend() {
	wrong, err := a.reflex.Check()
	if err != nil {
		a.refusals.tell(a, "quarantine_failed", core.SeverityCritical, map[string]any{"why": wrong, "error": err.Error()})
		return
	}
	if wrong != "" {
		a.refusals.tell(a, "quarantine_mended", core.SeverityCritical, map[string]any{"why": wrong})
	}
}

// outOfTouch is how long the server may be silent before the device calls
// itself autonomous. The stream says something every 15 seconds.
const outOfTouch = 60 * time.Second

// inTouch says whether the server was heard a short while ago.
func (a *Agent) inTouch() bool {
	at := a.contact.Load()
	return at > 0 && a.cfg.Elapsed()-time.Duration(at) < outOfTouch
}

// mode is how the agent runs. It senses, records and reports in all of them:
// safe while it holds the device back (a quarantine, a stop) until persons
// release it, autonomous while it has no server, else normal.
func (a *Agent) mode() core.AgentMode {
	held := a.reflex.Contained()
	a.view(func(_ string, b *body) { held = held || b.Stopped })
	switch {
	case held:
		return core.ModeSafe
	case a.inTouch():
		return core.ModeNormal
	}
	return core.ModeAutonomous
}

// tellMode tells that the mode changed. How it starts is no change.
func (a *Agent) tellMode() {
	was := a.lastMode
	if a.lastMode = a.mode(); was != "" && was != a.lastMode {
		a.refusals.tell(a, "mode_changed", core.SeverityInfo, map[string]any{"mode": a.lastMode, "was": was})
	}
}
