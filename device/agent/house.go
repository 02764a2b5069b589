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

func (a *Agent) mode() core.AgentMode {
	if at := a.contact.Load(); at > 0 && a.cfg.Elapsed()-time.Duration(at) < outOfTouch {
		return core.ModeNormal
	}
	return core.ModeAutonomous
}
