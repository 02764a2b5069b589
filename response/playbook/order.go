package playbook

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
)

// OrderStage moves runs on when devices have answered.
func (e *Engine) OrderStage(orders journal.Reader) journal.Stage {
	return journal.Stage{Name: "playbook-orders", From: orders, Clock: e.Clock, Handle: e.answered}
}

func (e *Engine) answered(ctx context.Context, tx *store.Tx, f journal.Frame) error {
	for _, record := range f.Records {
		var rec fleet.Record
		if err := json.Unmarshal(record, &rec); err != nil {
			return core.Wrap(core.KindDamaged, "playbook.OrderStage", err)
		}
		if rec.Order.Tenant != f.Tenant {
			return core.E(core.KindDamaged, "playbook.OrderStage", fmt.Sprintf("order %s of tenant %s in a frame of %s", rec.Order.ID, rec.Order.Tenant, f.Tenant))
		}
		if at, ours := parseKey(rec.Order.Request); ours {
			if err := e.orderMoved(ctx, tx, rec.Order, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// orderMoved notes what became of an order of ours. The order of any attempt at
// the present step that is done ends the step: the effect is there.
func (e *Engine) orderMoved(ctx context.Context, tx *store.Tx, o fleet.Order, at place) error {
	r, err := getRun(ctx, tx, o.Tenant, at.Run)
	if core.KindOf(err) == core.KindNotFound && tx.Err() == nil {
		e.Log.Warn("an order names a run that there is not", slog.String("order", o.ID.String()), slog.String("run", at.Run.String()))
		return nil
	}
	if err != nil {
		return err
	}
	b, broken := e.bookOf(r)
	here := r.State == RunRunning && r.Round == at.Round && r.Step == at.Step
	latest := here && r.Attempt == at.Attempt
	switch {
	case here && broken != nil:
		return e.fail(ctx, tx, r, nil, broken.Error())
	case here && o.State == fleet.OrderDone:
		return e.advance(ctx, tx, r, b, o)
	case latest && o.State.Final():
		return e.fellThrough(ctx, tx, r, b, o)
	case latest || o.State.Final():
		return e.tell(ctx, tx, r, o, at, latest)
	}
	return nil
}

// fellThrough handles an order that ended without its effect. What was
// overtaken on its way is worth a new order. What a device could not do it will
// not do the second time either, and what a person withdrew stays withdrawn.
func (e *Engine) fellThrough(ctx context.Context, tx *store.Tx, r Run, b *Playbook, o fleet.Order) error {
	why := fmt.Sprintf("order %s is %s: %s", o.ID, o.State, o.Detail)
	switch o.State {
	case fleet.OrderRefused, fleet.OrderSuperseded, fleet.OrderExpired:
		return e.retry(ctx, tx, r, b, why)
	case fleet.OrderWithdrawn:
		return e.stop(ctx, tx, r, RunFailed, why)
	}
	return e.fail(ctx, tx, r, b, why)
}

// tell writes an order's progress into the timeline.
func (e *Engine) tell(ctx context.Context, tx *store.Tx, r Run, o fleet.Order, at place, latest bool) error {
	text := fmt.Sprintf("%s of device %s is %s", o.Type, o.Device, o.State)
	switch {
	case !latest:
		text = fmt.Sprintf("%s, after the run had ended step %d: %s", text, at.Step+1, o.Detail)
	case o.State == fleet.OrderAwaiting:
		text = fmt.Sprintf("%s of device %s awaits approvals, %d of %d persons. Each looks at the device and signs with: interlock approve %s", o.Type, o.Device, len(o.Approvals), o.Needed, o.ID)
	}
	return e.note(ctx, tx, r, playbookService(r.Tenant), o.Intent, text, o.Object())
}
