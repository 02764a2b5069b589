package detect

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
)

// Journal is the raw journal as far as the past is read from it; journal.Raw is
// the real one.
type Journal interface {
	journal.Reader
	Partitions() int32
	// Next is the offset that a partition's next frame will get.
	Next(ctx context.Context, partition int32) (uint64, error)
}

// Span is a stretch of the journal by the time of arrival: From is in it, To is
// not. A zero time is the journal's own end on that side.
type Span struct{ From, To time.Time }

func (s Span) holds(at time.Time) bool {
	return (s.From.IsZero() || !at.Before(s.From)) && (s.To.IsZero() || at.Before(s.To))
}

// historyBatch is how many frames are read at once.
const historyBatch = 16

// History calls fn with every event of a span, in the order in which the stages
// saw them: by offset, several partitions by the time of arrival. Memory holds a
// few frames of each partition, whatever the span. What is no event is passed
// over as the detect stage passes over it. It ends with the first error of fn or
// of the journal, or with ctx.
func History(ctx context.Context, j Journal, span Span, fn func(*core.Event) error) error {
	return Frames(ctx, j, span, func(f journal.Frame) error {
		if f.Kind != journal.KindEvents {
			return nil
		}
		for _, b := range f.Records {
			e, ok := decodeEvent(f.Tenant, b)
			if !ok {
				continue
			}
			if err := fn(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// Frames is [History] with the frames as they are: ticks and changes of rules
// too.
func Frames(ctx context.Context, j Journal, span Span, fn func(journal.Frame) error) error {
	parts := make([]*past, j.Partitions())
	for i := range parts {
		p, err := newPast(ctx, j, int32(i), span)
		if err != nil {
			return err
		}
		parts[i] = p
	}
	for {
		var first *past
		for _, p := range parts {
			if err := p.fill(ctx); err != nil {
				return err
			}
			if len(p.frames) > 0 && (first == nil || p.frames[0].Received.Before(first.frames[0].Received)) {
				first = p
			}
		}
		if first == nil {
			return nil
		}
		f := first.frames[0]
		first.frames = first.frames[1:]
		if err := fn(f); err != nil {
			return err
		}
	}
}

// past reads one partition of a span.
type past struct {
	j      Journal
	part   int32
	span   Span
	next   uint64
	end    uint64 // where reading stops: frames that come meanwhile are not the past
	frames []journal.Frame
}

func newPast(ctx context.Context, j Journal, part int32, span Span) (*past, error) {
	end, err := j.Next(ctx, part)
	if err != nil {
		return nil, fmt.Errorf("detect.History: %w", err)
	}
	p := &past{j: j, part: part, span: span, end: end}
	oldest, err := p.at(ctx, 0)
	if err != nil || oldest == nil {
		return p, err
	}
	p.next = oldest.Offset
	if span.From.IsZero() {
		return p, nil
	}
	// Times rise with the offsets but for a clock that was set back, so a
	// search finds the place at least as fast as the clock was wrong; what it
	// reads beyond the span is left out one by one.
	p.next += uint64(sort.Search(int(end-oldest.Offset), func(i int) bool {
		f, e := p.at(ctx, oldest.Offset+uint64(i))
		if e != nil {
			err = e
		}
		return f == nil || !f.Received.Before(span.From)
	}))
	return p, err
}

// at returns the frame at an offset, nil where there is none.
func (p *past) at(ctx context.Context, offset uint64) (*journal.Frame, error) {
	frames, err := p.j.Read(ctx, p.part, offset, 1)
	if err != nil {
		return nil, fmt.Errorf("detect.History: %w", err)
	}
	if len(frames) == 0 {
		return nil, nil //nolint:nilnil // an empty partition is no error
	}
	return &frames[0], nil
}

// fill makes sure that the next frame of the span is there, if there is one.
func (p *past) fill(ctx context.Context) error {
	for len(p.frames) == 0 && p.next != 0 && p.next < p.end {
		if err := ctx.Err(); err != nil {
			return core.Wrap(core.KindUnavailable, "detect.History", err)
		}
		frames, err := p.j.Read(ctx, p.part, p.next, int(min(historyBatch, p.end-p.next)))
		if err != nil {
			return fmt.Errorf("detect.History: %w", err)
		}
		if len(frames) == 0 {
			p.next = p.end
			return nil
		}
		p.next = frames[len(frames)-1].Offset + 1
		if !p.span.To.IsZero() && !frames[0].Received.Before(p.span.To.Add(clockSlack)) {
			p.next = p.end // well beyond: the rest is later still
		}
		for _, f := range frames {
			if p.span.holds(f.Received) {
				p.frames = append(p.frames, f)
			}
		}
	}
	return nil
}

// clockSlack is how far behind a clock may have been set for the end of a span to
// be found whole.
const clockSlack = time.Hour
