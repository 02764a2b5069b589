package live

import (
	"context"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
)

const (
	fewFrames  = 4
	smallRead  = 256 << 10
	backFrames = 128
	// lookBack bounds how far back the last events are looked for, in frames:
	// about three hours on a quiet server, whose ticks are frames too. A page
	// must not wait for more.
	lookBack = 12_000
)

// Last returns a tenant's last n events, oldest first, their Data as it stands in
// the journal, and the cursor after which [Hub.Watch] goes on without a gap. It
// reads backwards in steps, so that a long journal costs no more than a short one.
func (h *Hub) Last(ctx context.Context, tenant core.TenantID, n int) ([]Item, Cursor, error) {
	end, err := h.o.Frames.Next(ctx, 0)
	if err != nil {
		return nil, Cursor{}, err
	}
	cursor := Cursor{max(end, 1) - 1, lastIndex}
	var held []Item
	step := uint64(fewFrames)
	for before := end; before > 1 && len(held) < n && end-before < lookBack; {
		from := max(before, step+1) - step
		frames, err := h.frames(ctx, from, before)
		if err != nil {
			return nil, Cursor{}, err
		}
		if len(frames) == 0 {
			break // what is older was trimmed
		}
		items, bytes := recordsOf(frames, tenant)
		held = append(items, held...)
		held = held[max(0, len(held)-n):]
		if before, step = from, fewFrames; bytes < smallRead {
			step = backFrames
		}
	}
	return held, cursor, nil
}

// frames reads from up to, not including, to.
func (h *Hub) frames(ctx context.Context, from, to uint64) (all []journal.Frame, err error) {
	for from < to {
		frames, err := h.o.Frames.Read(ctx, 0, from, int(min(to-from, framesAtOnce)))
		if err != nil || len(frames) == 0 {
			return all, err
		}
		for _, f := range frames {
			if f.Offset < to {
				all = append(all, f)
			}
		}
		from = frames[len(frames)-1].Offset + 1
	}
	return all, nil
}

func recordsOf(frames []journal.Frame, tenant core.TenantID) (items []Item, bytes int) {
	for _, f := range frames {
		for i, record := range f.Records {
			bytes += len(record)
			if f.Kind == journal.KindEvents && f.Tenant == tenant && (i > 0 || !isBatch(f)) {
				items = append(items, Item{Cursor: Cursor{f.Offset, i}, Tenant: tenant, Data: record})
			}
		}
	}
	return items, bytes
}
