package incident

import (
	"context"
	"fmt"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
)

// Stage reads the topic "alerts" and keeps one incident for each thing under
// attack. The time of an incident is the time at which its alert's frame was
// received, so a replay of the same topic opens the same incidents.
func Stage(alerts journal.Reader, s *Store) journal.Stage {
	return journal.Stage{
		Name: "incident",
		From: alerts,
		Handle: func(ctx context.Context, tx *store.Tx, f journal.Frame) error {
			for i, record := range f.Records {
				a, err := DecodeAlert(record)
				if err != nil {
					return fmt.Errorf("alerts, offset %d, record %d: %w", f.Offset, i, err)
				}
				if a.Tenant != f.Tenant {
					return core.E(core.KindDamaged, "incident.Stage", fmt.Sprintf("alerts, offset %d, record %d: alert of tenant %s in a frame of %s", f.Offset, i, a.Tenant, f.Tenant))
				}
				if _, err := s.Take(ctx, tx, a, f.Received); err != nil {
					return fmt.Errorf("alerts, offset %d, record %d: %w", f.Offset, i, err)
				}
			}
			return nil
		},
	}
}
