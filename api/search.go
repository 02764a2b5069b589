package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/interlock-security/interlock/api/live"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/policy"
)

// EventStore finds events again; [events.Client] is one. The tenant is the
// store's to force; it is never taken from the text of a query.
type EventStore interface {
	Search(ctx context.Context, q events.Query) ([]events.Hit, error)
	Histogram(ctx context.Context, q events.Query, step time.Duration) ([]events.Bucket, error)
}

// EventHit is an event that was found, or a row that a pipe of the query made:
// that has none but its fields.
type EventHit struct {
	// Cursor is where the journal holds the event: the live stream goes on from
	// there.
	Cursor   string    `json:"cursor,omitempty"`
	ID       string    `json:"id,omitempty"`
	Time     time.Time `json:"time,omitzero"`
	Source   string    `json:"source,omitempty"`
	Type     string    `json:"type,omitempty"`
	Device   string    `json:"device,omitempty"`
	Severity string    `json:"severity,omitempty"`
	// Event is every field as the store holds it, by name; Fields is the same
	// for callers within the process.
	Event  json.RawMessage   `json:"event"`
	Fields map[string]string `json:"-"`
}

// hitOf shows a hit. An event's envelope is searched by the names that it has as
// JSON.
func hitOf(h events.Hit) EventHit {
	f := h.Fields
	hit := EventHit{
		ID: f["id"], Time: h.Time, Source: f[events.FieldSource], Type: f["type"], Device: f["device"],
		Severity: f["severity"], Fields: f,
	}
	hit.Event, _ = json.Marshal(f) // texts by name always can be
	if c, err := live.ParseCursor(f[events.FieldOffset] + "." + f[events.FieldIndex]); err == nil {
		hit.Cursor = c.String()
	}
	return hit
}

// EventBucket counts the events of one step of time.
type EventBucket struct {
	Time  time.Time `json:"time"`
	Count uint64    `json:"count"`
}

// SearchEventsInput is a search in LogsQL.
type SearchEventsInput struct {
	Query string    `query:"query" doc:"LogsQL; empty finds everything"`
	From  time.Time `query:"from" doc:"Not before this time; by default a day before to"`
	To    time.Time `query:"to" doc:"Before this time; by default now"`
	Limit int       `query:"limit" doc:"How many, up to 500; 0 means 50"`
}

// EventHistogramInput is a search and how many bars its histogram has at most.
type EventHistogramInput struct {
	Query string    `query:"query" doc:"LogsQL; empty counts everything"`
	From  time.Time `query:"from" doc:"Not before this time; by default a day before to"`
	To    time.Time `query:"to" doc:"Before this time; by default now"`
	Bars  int       `query:"bars" doc:"How many bars at most, up to 200; 0 means 60"`
}

// maxQuery is the longest LogsQL text, in bytes.
const maxQuery = 4 << 10

// SearchEvents finds events, the newest first. Log lines name people, so the
// reading is recorded. While the event store is away it says so.
func (a *API) SearchEvents(ctx context.Context, in *SearchEventsInput) (*Out[Page[EventHit]], error) {
	limit, err := rows(in.Limit)
	if err != nil {
		return nil, err
	}
	q, err := a.eventQuery(ctx, in.Query, in.From, in.To)
	if err != nil {
		return nil, err
	}
	q.Limit = limit
	hits, err := a.Events.Search(ctx, q)
	if err != nil {
		return nil, err
	}
	return out(convert(Page[events.Hit]{Items: hits, Total: -1}, hitOf)), nil
}

// Limits of a histogram.
const (
	barsDefault = 60
	barsMost    = 200
)

// EventHistogram counts what a search finds by time.
func (a *API) EventHistogram(ctx context.Context, in *EventHistogramInput) (*Out[Page[EventBucket]], error) {
	bars := in.Bars
	if bars == 0 {
		bars = barsDefault
	}
	if bars < 0 || bars > barsMost {
		return nil, core.E(core.KindInvalid, "api.EventHistogram", "bars is a number from 0 to 200")
	}
	q, err := a.eventQuery(ctx, in.Query, in.From, in.To)
	if err != nil {
		return nil, err
	}
	buckets, err := a.Events.Histogram(ctx, q, stepOfBars(q.To.Sub(q.From), bars))
	if err != nil {
		return nil, err
	}
	page := Page[events.Bucket]{Items: buckets, Total: len(buckets)}
	return out(convert(page, func(b events.Bucket) EventBucket { return EventBucket{Time: b.Start, Count: b.Count} })), nil
}

// eventQuery reads a search and asks the Guard.
func (a *API) eventQuery(ctx context.Context, text string, from, to time.Time) (events.Query, error) {
	if err := tooLong("query", text, maxQuery); err != nil {
		return events.Query{}, err
	}
	if to.IsZero() {
		to = a.Clock.Now()
	}
	if from.IsZero() {
		from = to.Add(-24 * time.Hour)
	}
	if !from.Before(to) {
		return events.Query{}, core.E(core.KindInvalid, "api.SearchEvents", "from is not before to")
	}
	_, who, err := a.decide(ctx, policy.EventRead, core.Resource{Type: "event", ID: "search"})
	if err != nil {
		return events.Query{}, err
	}
	if a.Events == nil {
		return events.Query{}, core.E(core.KindUnavailable, "api.SearchEvents", "this server has no event store").
			WithHint("the latest events are in the journal: interlock events tail")
	}
	return events.Query{Tenant: who.Tenant, LogsQL: text, From: from, To: to}, nil
}

// steps are the widths that a bar may have, so that its edges are round times.
var steps = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// stepOfBars is the width of a bar so that a span has at most so many.
func stepOfBars(span time.Duration, bars int) time.Duration {
	for _, s := range steps {
		if span/s < time.Duration(bars) {
			return s
		}
	}
	const day = 24 * time.Hour
	return (span/time.Duration(bars)/day + 1) * day
}
