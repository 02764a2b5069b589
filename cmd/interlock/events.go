package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/interlock-security/interlock/core"
)

type eventsCmd struct {
	Tail      eventsTailCmd      `cmd:"" help:"Show events as they come in."`
	Search    eventsSearchCmd    `cmd:"" help:"Find events in the event store, by LogsQL."`
	Histogram eventsHistogramCmd `cmd:"" help:"Count found events by time."`
}

type eventsTailCmd struct {
	Lines  int  `help:"How many earlier events to begin with." short:"n" default:"20"`
	Follow bool `help:"Go on until interrupted." short:"f" negatable:"" default:"true"`
}

// Help implements kong's long help.
func (eventsTailCmd) Help() string {
	return `Events are shown in the order in which they arrived, from the journal itself: what you see is durable.

Example:
  interlock events tail
  interlock events tail --no-follow -n 100 --json`
}

// Run streams events, one line each.
func (c *eventsTailCmd) Run(e *env) error {
	if c.Lines < 0 {
		return core.E(core.KindInvalid, "events tail", "--lines cannot be negative")
	}
	query := url.Values{"last": {strconv.Itoa(c.Lines)}, "follow": {strconv.FormatBool(c.Follow)}}
	return e.client().Stream(e.ctx, "/v1/events?"+query.Encode(), func(line []byte) error {
		if e.global.JSON {
			_, err := fmt.Fprintf(e.out, "%s\n", line)
			return err
		}
		var ev core.Event
		if err := json.Unmarshal(line, &ev); err != nil {
			return core.Wrap(core.KindDamaged, "events tail", err)
		}
		_, err := fmt.Fprintln(e.out, printable(eventLine(ev)))
		return err
	})
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
