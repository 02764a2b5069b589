package coverage

import (
	"context"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/detect"
)

// Past notes what a tenant's events of the last days were like, as the journal
// has them. It reads the latest day first and stops when the time that it may
// take is over; [SeenCounts.Partial] then says that older events were not read.
func Past(ctx context.Context, j detect.Journal, tenant core.TenantID, now time.Time, days int, budget time.Duration) (*Seen, error) {
	r, err := NewReader(NewSeen())
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	to := time.Time{} // what comes while this runs is the latest day's
	for day := range days {
		from := now.AddDate(0, 0, -day-1)
		err := detect.History(limited, j, detect.Span{From: from, To: to}, func(e *core.Event) error {
			if e.Tenant == tenant {
				r.Event(e)
			}
			return limited.Err()
		})
		switch {
		case ctx.Err() != nil:
			return nil, core.Wrap(core.KindUnavailable, "coverage.Past", ctx.Err())
		case limited.Err() != nil:
			r.Seen.Cut()
			return r.Seen, nil
		case err != nil:
			return nil, err
		}
		to = from
	}
	return r.Seen, nil
}
