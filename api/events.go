package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/interlock-security/interlock/core"
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

// events streams the tenant's events from the raw journal as NDJSON: first the
// last ones, then, if asked to follow, each as it becomes durable.
func (a *API) events(w http.ResponseWriter, r *http.Request) error {
	last, err := numberOf(r.URL.Query(), "last", 20, 10_000)
	if err != nil {
		return err
	}
	follow, err := flagOf(r.URL.Query(), "follow")
	if err != nil {
		return err
	}
	who, err := a.permit(r, policy.EventRead, core.Resource{Type: "event", ID: "all"})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	s := &eventStream{w: w, tenant: who.Tenant, frames: a.Frames}
	ctx, cancel := a.streaming(r.Context())
	defer cancel()
	err = s.backlog(ctx, last)
	if err == nil && follow {
		err = s.follow(ctx)
	}
	return ignoreEnd(ctx, err)
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

type eventStream struct {
	w      http.ResponseWriter
	tenant core.TenantID
	frames *journal.Raw
	next   uint64
}

// backlog sends the last n events. It reads backwards in steps, so that a long
// journal costs no more than a short one.
func (s *eventStream) backlog(ctx context.Context, n int) error {
	end, err := s.frames.Next(ctx, 0)
	if err != nil {
		return err
	}
	var held [][]byte
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
		held = append(c.records, held...)
		held = held[max(0, len(held)-n):]
		if before, step = from, fewFrames; c.bytes < smallRead {
			step = manyFrames
		}
	}
	for _, record := range held {
		if err := s.send(record); err != nil {
			return err
		}
	}
	s.next = end
	return s.flush()
}

// chunk is what some frames hold for the tenant, and how much was read for it.
type chunk struct {
	records       [][]byte
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
	if f.Kind == journal.KindEvents && f.Tenant == tenant {
		c.records = append(c.records, f.Records...)
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
	for _, record := range c.records {
		if err := s.send(record); err != nil {
			return err
		}
	}
	s.next = to
	if len(c.records) == 0 {
		return nil
	}
	return s.flush()
}

func (s *eventStream) send(record []byte) error {
	if _, err := s.w.Write(append(record[:len(record):len(record)], '\n')); err != nil {
		return errGone
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
