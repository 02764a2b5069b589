package agent

import (
	"context"
	"log/slog"
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
		a.mend()
		a.refusals.flush(a)
		if now := a.cfg.Clock.Now(); now.Sub(beat) >= a.cfg.Heartbeat || now.Before(beat) {
			beat = now
			a.heartbeat()
		}
	}
}

// endGrants ends a disarming whose time is over. Bypasses end in the monitor.
func (a *Agent) endGrants() {
	boot, now, over := a.store.Continuity().Boot, a.cfg.Elapsed(), false
	a.view(func(_ string, b *body) { over = b.Disarmed != nil && b.Disarmed.left(boot, now) == 0 })
	if !over {
		return
	}
	a.orders.Lock()
	defer a.orders.Unlock()
	a.mon.SetArming(core.Armed)
	if err := a.update(func(b *body) error { b.Disarmed = nil; return nil }); err != nil {
		a.cfg.Log.Error("the end of a disarming was not kept", slog.Any("error", err))
		return
	}
	a.tell("armed", core.SeverityInfo, map[string]any{"why": "the time of the disarming is over"})
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

// heartbeat says that the device is there and how it is, unless other events
// wait already: they say that it is there.
func (a *Agent) heartbeat() {
	st := a.spool.Stats()
	if st.Waiting > 8 {
		return
	}
	states := map[string]core.SensorState{}
	for _, s := range a.mon.Statuses() {
		states[s.ID.String()] = s.State
	}
	fields := map[string]any{
		"mode": a.mode(), "arming": a.mon.Arming(), "sensors": states, "contained": a.reflex.Contained(), "spool_lost": st.Lost, "version": Version,
	}
	a.view(func(_ string, b *body) { fields["latches"], fields["stopped"] = len(b.Latches), b.Stopped })
	a.tell("heartbeat", core.SeverityInfo, fields)
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
