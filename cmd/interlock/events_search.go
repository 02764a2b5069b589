package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/events"
)

// searching is the time that a search looks at and what it looks for.
type searching struct {
	Query string        `arg:"" optional:"" name:"logsql" help:"What to look for, in LogsQL; left out: everything."`
	Since time.Duration `help:"How far to look back from now, or from --to." default:"24h"`
	From  time.Time     `help:"From this time on, as 2026-01-31T12:00:00Z; instead of --since." format:"2006-01-02T15:04:05Z07:00"`
	To    time.Time     `help:"Up to this time; left out: now." format:"2006-01-02T15:04:05Z07:00"`
}

// values are the search as the API takes it.
func (s *searching) values() (url.Values, error) {
	if s.Since <= 0 {
		return nil, core.E(core.KindInvalid, "events search", "--since is a length of time, such as 90m or 72h")
	}
	to := s.To
	if to.IsZero() {
		to = time.Now()
	}
	from := s.From
	if from.IsZero() {
		from = to.Add(-s.Since)
	}
	if !from.Before(to) {
		return nil, core.E(core.KindInvalid, "events search", "--from does not lie before --to")
	}
	q := filter("query", s.Query)
	q.Set("from", from.UTC().Format(time.RFC3339Nano))
	q.Set("to", to.UTC().Format(time.RFC3339Nano))
	return q, nil
}

type eventsSearchCmd struct {
	searching
	Limit int `help:"At most this many, the newest; 500 at most." short:"n" default:"50"`
}

// Help implements kong's long help.
func (eventsSearchCmd) Help() string {
	return `A bare word is looked for in the message, name:value in a field. Fields are those of the event as its source wrote them, and what the
receiver knows: source, type, device, severity, provenance, simulated, id. Pipes count, sort and choose. --json shows every field. LogsQL:
https://docs.victoriametrics.com/victorialogs/logsql/

An event can be searched for a second or two after it came in. The reading is recorded. While the event store is away the exit code is 2, and
nothing is lost: what came in meanwhile is found when it is back.

Example:
  interlock events search 'type:case_intrusion severity:high'
  interlock events search '"Failed password" user.name:root' --since 72h
  interlock events search 'source:~"^device/" | stats by (device, type) count() n | sort by (n) desc'
  interlock events search --from 2026-01-31T00:00:00Z --to 2026-02-01T00:00:00Z --json`
}

// Run searches.
func (c *eventsSearchCmd) Run(e *env) error {
	q, err := c.values()
	if err != nil {
		return err
	}
	if c.Limit < 1 || c.Limit > 500 {
		return core.E(core.KindInvalid, "events search", "--limit lies between 1 and 500")
	}
	q.Set("limit", strconv.Itoa(c.Limit))
	var page api.Page[api.EventHit]
	if err := e.client().Get(e.ctx, "/v1/events/search", q, &page); err != nil {
		return err
	}
	return e.show(page.Items, func(w io.Writer) { tellHits(w, page.Items) })
}

func tellHits(w io.Writer, hits []api.EventHit) {
	if len(hits) == 0 {
		none(w, "events")
		return
	}
	for _, h := range hits {
		_, _ = fmt.Fprintln(w, oneLineOf(hitLine(h)))
	}
}

// hitLine tells a hit on one line. What a pipe made has no envelope: its fields
// are all there is.
func hitLine(h api.EventHit) string {
	var fields map[string]string
	if err := json.Unmarshal(h.Event, &fields); err != nil {
		return string(h.Event)
	}
	if h.Time.IsZero() || h.ID == "" {
		parts := make([]string, 0, len(fields))
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			parts = append(parts, name+"="+fields[name])
		}
		return strings.Join(parts, "  ")
	}
	mark := ""
	if fields["simulated"] != "" {
		mark = " simulated"
	}
	return fmt.Sprintf("%s %-8s %-24s %-18s %s%s", h.Time.Format("2006-01-02 15:04:05.000"), h.Severity, h.Source, h.Type,
		oneLine([]byte(fields[events.FieldMessage])), mark)
}

// oneLineOf makes text from outside one line of a terminal.
func oneLineOf(s string) string {
	return strings.NewReplacer("\n", "<U+000A>", "\t", " ").Replace(printable(s))
}

type eventsHistogramCmd struct {
	searching
	Bars int `help:"How many steps at most, up to 200." default:"24"`
}

// Help implements kong's long help.
func (eventsHistogramCmd) Help() string {
	return `The query is that of events search, without pipes.

Example:
  interlock events histogram '"Failed password"' --since 72h`
}

// Run counts.
func (c *eventsHistogramCmd) Run(e *env) error {
	q, err := c.values()
	if err != nil {
		return err
	}
	q.Set("bars", strconv.Itoa(c.Bars))
	var page api.Page[api.EventBucket]
	if err := e.client().Get(e.ctx, "/v1/events/histogram", q, &page); err != nil {
		return err
	}
	return e.show(page.Items, func(w io.Writer) { tellBuckets(w, page.Items) })
}

// tellBuckets draws a bar a line, the largest forty signs long.
func tellBuckets(w io.Writer, list []api.EventBucket) {
	const widest = 40
	most := uint64(1)
	for _, b := range list {
		most = max(most, b.Count)
	}
	for _, b := range list {
		bar := strings.Repeat("#", int((b.Count*widest+most-1)/most))
		_, _ = fmt.Fprintf(w, "%s %8d %s\n", b.Time.Format(time.DateTime), b.Count, bar)
	}
}
