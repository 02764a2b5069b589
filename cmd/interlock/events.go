package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
)

type eventsCmd struct {
	Tail      eventsTailCmd      `cmd:"" help:"Show events as they come in."`
	Search    eventsSearchCmd    `cmd:"" help:"Find events in the event store, by LogsQL."`
	Histogram eventsHistogramCmd `cmd:"" help:"Count found events by time."`
}

type eventsTailCmd struct {
	Lines   int    `help:"How many earlier events to begin with." short:"n" default:"20"`
	Follow  bool   `help:"Go on until interrupted." short:"f" negatable:"" default:"true"`
	Cursors bool   `help:"Show each event's cursor too."`
	After   string `help:"Go on after the event of this cursor: nothing twice, nothing missing." placeholder:"CURSOR"`
}

// Help implements kong's long help.
func (eventsTailCmd) Help() string {
	return `Events are shown in the order in which they arrived, from the journal itself: what you see is durable.

Example:
  interlock events tail
  interlock events tail --no-follow -n 100 --json
  interlock events tail --after 4711.0 --json`
}

// Run streams events, one line each.
func (c *eventsTailCmd) Run(e *env) error {
	if c.Lines < 0 {
		return core.E(core.KindInvalid, "events tail", "--lines cannot be negative")
	}
	query := url.Values{"follow": {strconv.FormatBool(c.Follow)}}
	if c.After != "" {
		query.Set("after", c.After)
	} else {
		query.Set("last", strconv.Itoa(c.Lines))
		query.Set("cursors", strconv.FormatBool(c.Cursors))
	}
	return e.client().Stream(e.ctx, "/v1/events?"+query.Encode(), func(line []byte) error {
		if e.global.JSON {
			_, err := fmt.Fprintf(e.out, "%s\n", line)
			return err
		}
		return c.tell(e, line)
	})
}

// tell shows one line of the stream.
func (c *eventsTailCmd) tell(e *env, line []byte) error {
	at, record := api.EventLine{}, line
	if c.Cursors || c.After != "" {
		if err := json.Unmarshal(line, &at); err != nil {
			return core.Wrap(core.KindDamaged, "events tail", err)
		}
		if at.Lost {
			_, err := fmt.Fprintln(e.err, "the journal no longer holds all that came after the cursor")
			return err
		}
		record = at.Event
	}
	var ev core.Event
	if err := json.Unmarshal(record, &ev); err != nil {
		return core.Wrap(core.KindDamaged, "events tail", err)
	}
	text := eventLine(ev)
	if c.Cursors {
		text = fmt.Sprintf("%-12s %s", at.Cursor, text)
	}
	_, err := fmt.Fprintln(e.out, printable(text))
	return err
}

// eventLine tells an event on one line.
func eventLine(ev core.Event) string {
	mark := ""
	if ev.Simulated {
		mark = " simulated"
	}
	return fmt.Sprintf("%s %-8s %-24s %-18s %s%s", ev.Time.Format("2006-01-02 15:04:05.000"), ev.Severity, ev.Source, ev.Type, oneLine(ev.Fields), mark)
}

func oneLine(fields json.RawMessage) string {
	const most = 160
	s := string(fields)
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
