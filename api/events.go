package api

import (
	"context"
	"net/http"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/policy"
)

// readFrames is how many frames are read at once.
const readFrames = 64

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
	if err := s.backlog(r.Context(), last); err != nil {
		return err
	}
	if !follow {
		return nil
	}
	return s.follow(r.Context())
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
	for before := end; n > 0 && before > 1 && len(held) < n; {
		from := uint64(1)
		if before > readFrames {
			from = before - readFrames
		}
		records, err := s.records(ctx, from, before)
		if err != nil {
			return err
		}
		held, before = append(records, held...), from
	}
	for _, record := range held[max(0, len(held)-n):] {
		if err := s.send(record); err != nil {
			return err
		}
	}
	s.next = end
	return s.flush()
}

// records reads the tenant's records of the frames from up to, not including,
// to.
func (s *eventStream) records(ctx context.Context, from, to uint64) ([][]byte, error) {
	var out [][]byte
	for from < to {
		frames, err := s.frames.Read(ctx, 0, from, int(min(to-from, readFrames)))
		if err != nil || len(frames) == 0 {
			return out, err
		}
		for _, f := range frames {
			if f.Offset < to && f.Kind == journal.KindEvents && f.Tenant == s.tenant {
				out = append(out, f.Records...)
			}
		}
		from = frames[len(frames)-1].Offset + 1
	}
	return out, nil
}

// follow sends what comes until the client goes.
func (s *eventStream) follow(ctx context.Context) error {
	for {
		if err := s.frames.Wait(ctx, 0, s.next-1); err != nil {
			return ignoreEnd(ctx, err)
		}
		end, err := s.frames.Next(ctx, 0)
		if err != nil {
			return ignoreEnd(ctx, err)
		}
		records, err := s.records(ctx, s.next, end)
		if err != nil {
			return ignoreEnd(ctx, err)
		}
		for _, record := range records {
			if s.send(record) != nil {
				return nil // the client has gone
			}
		}
		s.next = end
		if len(records) > 0 && s.flush() != nil {
			return nil
		}
	}
}

func (s *eventStream) send(record []byte) error {
	_, err := s.w.Write(append(record[:len(record):len(record)], '\n'))
	return err
}

// flush pushes what was written and lifts the write limit of the connection: a
// stream lasts as long as its client listens.
func (s *eventStream) flush() error {
	c := http.NewResponseController(s.w)
	if err := c.SetWriteDeadline(noDeadline); err != nil {
		return err
	}
	return c.Flush()
}

// ignoreEnd drops the error that the client's going caused.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// noDeadline is the zero time, which lifts a deadline.
var noDeadline time.Time
