package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/interlock-security/interlock/api/live"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/policy"
)

// How much of the journal one request looks at. A frame is up to 8 MiB, so few
// are read at once, and more only while they are small.
const (
	fewFrames  = 4
	manyFrames = 64
	smallRead  = 256 << 10
	// lookBack bounds how far back the last events are looked for, in frames:
	// about two days on a quiet server, whose ticks are frames too.
	lookBack = 200_000
)

// EventLine is a line of a stream that carries cursors.
type EventLine struct {
	Cursor string          `json:"cursor,omitempty"`
	Event  json.RawMessage `json:"event,omitempty"`
	// Lost is set on a first line without an event: the journal no longer holds
	// all that came after the cursor.
	Lost bool `json:"lost,omitempty"`
}

func eventsOperation() huma.Operation {
	op := get("events", "/v1/events", "Events from the journal, one JSON document a line")
	op.Parameters = []*huma.Param{
		query("last", huma.TypeInteger, "How many earlier events to begin with, up to 10000; 20 where there is no cursor"),
		query("follow", huma.TypeBoolean, "Go on with each event as it becomes durable"),
		query("after", huma.TypeString, "Begin after the event of this cursor"),
		query("cursors", huma.TypeBoolean, `Each line is {"cursor":…,"event":…}; always so with after`),
	}
	op.Responses = answers("application/x-ndjson", "One event a line")
	return op
}

func liveOperation() huma.Operation {
	op := get("live", "/v1/live", "Events as they become durable, as server-sent events")
	op.Parameters = []*huma.Param{
		query("last", huma.TypeInteger, "How many earlier events to begin with, up to 10000"),
		query("after", huma.TypeString, "Begin after the event of this cursor; a Last-Event-ID header goes before it"),
	}
	op.Responses = answers("text/event-stream", "One event each; its id is the cursor")
	return op
}

// serveEvents streams the tenant's events from the raw journal as NDJSON: first
// earlier ones, then, if asked to follow, each as it becomes durable.
func (a *API) serveEvents(w http.ResponseWriter, r *http.Request, q url.Values) error {
	follow, err := flagOf(q, "follow")
	if err != nil {
		return err
	}
	cursors, err := flagOf(q, "cursors")
	if err != nil {
		return err
	}
	write := plainLine
	if cursors || q.Get("after") != "" {
		write = cursorLine
	}
	s := &eventStream{w: w, frames: a.Frames, write: write, lost: `{"lost":true}` + "\n"}
	return a.streamEvents(s, r, q, q.Get("after"), follow, "application/x-ndjson")
}

// serveLive is serveEvents for browsers.
func (a *API) serveLive(w http.ResponseWriter, r *http.Request, q url.Values) error {
	after := q.Get("after")
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		after = id
	}
	s := &eventStream{w: w, frames: a.Frames, write: sentLine, lost: "event: lost\ndata: {}\n\n"}
	return a.streamEvents(s, r, q, after, true, "text/event-stream")
}

func (a *API) streamEvents(s *eventStream, r *http.Request, q url.Values, after string, follow bool, kind string) error {
	def := 20
	if after != "" {
		def = 0
	}
	last, err := numberOf(q, "last", def, 10_000)
	if err != nil {
		return err
	}
	if after != "" {
		if last != 0 {
			return core.E(core.KindInvalid, "api", "query: last and after exclude each other")
		}
		if err := s.resume(r.Context(), after); err != nil {
			return err
		}
	}
	_, who, err := a.decide(r.Context(), policy.EventRead, core.Resource{Type: "event", ID: "all"})
	if err != nil {
		return err
	}
	s.tenant = who.Tenant
	s.w.Header().Set("Content-Type", kind)
	ctx, cancel := a.streaming(r.Context())
	defer cancel()
	return ignoreEnd(ctx, s.run(ctx, after != "", last, follow))
}

// resume sets the stream behind a cursor. One that this journal has not given out
// yet is another server's: waiting for it would be waiting for nothing.
func (s *eventStream) resume(ctx context.Context, after string) error {
	seen, err := live.ParseCursor(after)
	if err != nil {
		return err
	}
	end, err := s.frames.Next(ctx, 0)
	if err != nil {
		return err
	}
	if seen.Offset >= end {
		return core.E(core.KindNotFound, "api", "the journal has not come to this cursor").WithHint("begin anew, without a cursor")
	}
	s.next, s.skip = seen.Offset, seen.Index+1
	return nil
}

// run sends what lies behind, then what comes.
func (s *eventStream) run(ctx context.Context, resumed bool, last int, follow bool) error {
	var err error
	if resumed {
		err = s.catchUp(ctx)
	} else {
		err = s.backlog(ctx, last)
	}
	if err == nil && follow {
		err = s.follow(ctx)
	}
	return err
}

// streaming returns a context that ends with the client or with the server.
func (a *API) streaming(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-a.Ending:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// located is an event and where the journal has it.
type located struct {
	live.Cursor
	record []byte
}

// lineWriter puts an event into the form of a stream.
type lineWriter func(b *bytes.Buffer, e located)

func plainLine(b *bytes.Buffer, e located) {
	b.Write(e.record)
	b.WriteByte('\n')
}

func cursorLine(b *bytes.Buffer, e located) {
	b.WriteString(`{"cursor":"` + e.String() + `","event":`)
	b.Write(e.record)
	b.WriteString("}\n")
}

func sentLine(b *bytes.Buffer, e located) {
	b.WriteString("id: " + e.String() + "\nevent: event\ndata: ")
	b.Write(e.record)
	b.WriteString("\n\n")
}

type eventStream struct {
	w      http.ResponseWriter
	tenant core.TenantID
	frames *journal.Raw
	write  lineWriter
	lost   string // what is written where events are missing
	line   bytes.Buffer
	// next is the frame to read next, skip how many of its events were seen.
	next uint64
	skip int
}

// backlog sends the last n events. It reads backwards in steps, so that a long
// journal costs no more than a short one.
func (s *eventStream) backlog(ctx context.Context, n int) error {
	end, err := s.frames.Next(ctx, 0)
	if err != nil {
		return err
	}
	var held []located
	step := uint64(fewFrames)
	for before := end; before > 1 && len(held) < n && end-before < lookBack; {
		from := max(before, step+1) - step
		c, err := s.read(ctx, from, before)
		if err != nil {
			return err
		}
		if c.frames == 0 {
			break // what is older was trimmed
		}
		held = append(c.events, held...)
		held = held[max(0, len(held)-n):]
		if before, step = from, fewFrames; c.bytes < smallRead {
			step = manyFrames
		}
	}
	if err := s.send(held); err != nil {
		return err
	}
	s.next = end
	return s.flush()
}

// catchUp sends what lies between the cursor and the journal's end. Where the
// journal was trimmed behind the cursor it says so first.
func (s *eventStream) catchUp(ctx context.Context) error {
	first, err := s.frames.Read(ctx, 0, max(s.next, 1), 1)
	if err != nil {
		return err
	}
	if len(first) > 0 && first[0].Offset > max(s.next, 1) {
		if _, err := s.w.Write([]byte(s.lost)); err != nil {
			return errGone
		}
		s.next, s.skip = first[0].Offset, 0
	}
	end, err := s.frames.Next(ctx, 0)
	for err == nil && s.next < end {
		err = s.forward(ctx, min(s.next+fewFrames, end))
	}
	if err != nil {
		return err
	}
	return s.flush()
}

// chunk is what some frames hold for the tenant, and how much was read for it.
type chunk struct {
	events        []located
	frames, bytes int
}

// read reads the frames from up to, not including, to.
func (s *eventStream) read(ctx context.Context, from, to uint64) (c chunk, err error) {
	for from < to {
		frames, err := s.frames.Read(ctx, 0, from, int(min(to-from, manyFrames)))
		if err != nil || len(frames) == 0 {
			return c, err
		}
		for _, f := range frames {
			if f.Offset >= to {
				return c, nil
			}
			c.add(f, s.tenant)
		}
		from = frames[len(frames)-1].Offset + 1
	}
	return c, nil
}

func (c *chunk) add(f journal.Frame, tenant core.TenantID) {
	c.frames++
	for _, record := range f.Records {
		c.bytes += len(record)
	}
	if f.Kind != journal.KindEvents || f.Tenant != tenant {
		return
	}
	for i, record := range f.Records {
		c.events = append(c.events, located{live.Cursor{Offset: f.Offset, Index: i}, record})
	}
}

// follow sends what comes until the client goes. A client that reads slowly
// holds up nobody but itself: what it has not read stays in the journal.
func (s *eventStream) follow(ctx context.Context) error {
	for {
		if err := s.frames.Wait(ctx, 0, s.next-1); err != nil {
			return err
		}
		end, err := s.frames.Next(ctx, 0)
		for err == nil && s.next < end {
			err = s.forward(ctx, min(s.next+fewFrames, end))
		}
		if err != nil {
			return err
		}
	}
}

// forward sends the frames up to, not including, to.
func (s *eventStream) forward(ctx context.Context, to uint64) error {
	c, err := s.read(ctx, s.next, to)
	if err != nil {
		return err
	}
	for len(c.events) > 0 && c.events[0].Offset == s.next && c.events[0].Index < s.skip {
		c.events = c.events[1:]
	}
	s.next, s.skip = to, 0
	if len(c.events) == 0 {
		return nil
	}
	if err := s.send(c.events); err != nil {
		return err
	}
	return s.flush()
}

func (s *eventStream) send(events []located) error {
	for _, e := range events {
		s.line.Reset()
		s.write(&s.line, e)
		if _, err := s.w.Write(s.line.Bytes()); err != nil {
			return errGone
		}
	}
	return nil
}

// flush pushes what was written and lifts the write limit of the connection: a
// stream lasts as long as its client listens.
func (s *eventStream) flush() error {
	c := http.NewResponseController(s.w)
	if err := c.SetWriteDeadline(noDeadline); err != nil {
		return err
	}
	if c.Flush() != nil {
		return errGone
	}
	return nil
}

// ignoreEnd drops the error that the client's going, or the server's, caused.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, errGone) {
		return nil
	}
	return err
}

// errGone says that nobody listens any more.
var errGone = errors.New("the client has gone")

// noDeadline is the zero time, which lifts a deadline.
var noDeadline time.Time

// flagOf reads a boolean of the query; what is no boolean is an error.
func flagOf(q url.Values, name string) (bool, error) {
	if !q.Has(name) {
		return false, nil
	}
	v, err := strconv.ParseBool(q.Get(name))
	if err != nil {
		return false, core.E(core.KindInvalid, "api", "query: "+name+" is true or false")
	}
	return v, nil
}

// numberOf reads a number of the query within limits.
func numberOf(q url.Values, name string, def, most int) (int, error) {
	if !q.Has(name) {
		return def, nil
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 0 || n > most {
		return 0, core.E(core.KindInvalid, "api", "query: "+name+" is a number from 0 to "+strconv.Itoa(most))
	}
	return n, nil
}

// principal is who acts in ctx.
func principal(ctx context.Context) core.Principal { return httpd.PrincipalOf(ctx) }
