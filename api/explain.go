package api

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/api/live"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/siem/explain"
)

// ExplainEventInput names an event and says what is to be told of it.
type ExplainEventInput struct {
	ID   string `path:"id" doc:"The event's id"`
	Rule string `query:"rule" doc:"This rule alone, by id or name, with its whole condition"`
	Near int    `query:"near" doc:"How many rules that nearly fired are told, up to 500; by default none"`
}

// ExplainEvent says what the rules in force make of an event of the journal.
// Events name people, so the reading is recorded.
func (a *API) ExplainEvent(ctx context.Context, in *ExplainEventInput) (*Out[explain.Report], error) {
	const op = "api.ExplainEvent"
	id, err := core.ParseUUID(in.ID)
	if err != nil {
		return nil, err
	}
	if in.Near < 0 || in.Near > PageMost {
		return nil, core.E(core.KindInvalid, op, "near is a number from 0 to 500")
	}
	if err := tooLong("rule", in.Rule, maxText); err != nil {
		return nil, err
	}
	_, who, err := a.decide(ctx, policy.EventRead, core.Resource{Type: "event", ID: in.ID})
	if err != nil {
		return nil, err
	}
	if a.Explain == nil {
		return nil, core.E(core.KindUnavailable, op, "this server has no rules in force")
	}
	ev, err := a.findEvent(ctx, who.Tenant, id)
	if err != nil {
		return nil, err
	}
	report, err := a.Explain(ctx, ev, explain.Options{Event: in.ID, Rule: in.Rule, Near: in.Near})
	if err != nil {
		return nil, err
	}
	if in.Rule != "" && report.Chosen == nil {
		return nil, core.E(core.KindNotFound, op, "no detection of this id or name is in force here")
	}
	return out(report), nil
}

// findEvent finds an event in the journal: where the event store says that it
// is, else by looking through the latest.
func (a *API) findEvent(ctx context.Context, tenant core.TenantID, id core.UUID) (*core.Event, error) {
	if a.Events != nil {
		hits, err := a.Events.Search(ctx, events.Query{Tenant: tenant, LogsQL: "id:=" + strconv.Quote(id.String()), Limit: 1})
		if err == nil && len(hits) > 0 {
			return a.eventAt(ctx, tenant, id, hits[0].Fields)
		}
	}
	return a.lookBack(ctx, tenant, id)
}

// eventAt reads the event where the store saw it.
func (a *API) eventAt(ctx context.Context, tenant core.TenantID, id core.UUID, fields map[string]string) (*core.Event, error) {
	at, err := live.ParseCursor(fields[events.FieldOffset] + "." + fields[events.FieldIndex])
	if err != nil {
		return nil, core.Wrap(core.KindDamaged, "api.eventAt", err)
	}
	frames, err := a.Frames.Read(ctx, 0, at.Offset, 1)
	if err != nil {
		return nil, err
	}
	var c chunk
	for _, f := range frames {
		if f.Offset == at.Offset {
			c.add(f, tenant)
		}
	}
	if ev := c.find(id); ev != nil {
		return ev, nil
	}
	return nil, core.E(core.KindNotFound, "api.eventAt", "the journal no longer holds this event").
		WithHint("what the event store has of it: interlock events search 'id:" + id.String() + "' --json")
}

// find returns the event of that id.
func (c *chunk) find(id core.UUID) *core.Event {
	for _, e := range c.events {
		var ev core.Event
		if json.Unmarshal(e.record, &ev) == nil && ev.ID == id {
			return &ev
		}
	}
	return nil
}

// early is how much older than the time in its own id an event may have been
// when it was received: by as much a clock can be wrong.
const early = 24 * time.Hour

// lookBack reads the journal from its end, as far as an event of that id can
// lie.
func (a *API) lookBack(ctx context.Context, tenant core.TenantID, id core.UUID) (*core.Event, error) {
	end, err := a.Frames.Next(ctx, 0)
	if err != nil {
		return nil, err
	}
	made := time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16))
	step := uint64(fewFrames)
	for before := end; before > 1 && end-before < lookBack; {
		from := max(before, step+1) - step
		frames, err := a.Frames.Read(ctx, 0, from, int(before-from))
		if err != nil {
			return nil, err
		}
		var c chunk
		for _, f := range frames {
			c.add(f, tenant)
		}
		if ev := c.find(id); ev != nil {
			return ev, nil
		}
		if len(frames) == 0 || frames[0].Received.Before(made.Add(-early)) {
			break
		}
		if before, step = from, fewFrames; c.bytes < smallRead {
			step = manyFrames
		}
	}
	return nil, errors.Join(ctx.Err(), core.E(core.KindNotFound, "api.lookBack", "there is no event of this id in the journal").
		WithHint("ids stand in: interlock events tail --json"))
}
