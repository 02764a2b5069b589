package journal

import (
	"context"
	"fmt"

	"github.com/interlock-security/interlock/platform/store"
)

// Next returns the offset that the partition's next frame will get, 1 for an
// empty one: whoever wants the newest frames reads backwards from it.
func (r *Raw) Next(ctx context.Context, partition int32) (uint64, error) {
	var next uint64
	err := r.db.View(ctx, func(tx *store.Tx) error {
		h, err := r.log.head(ctx, tx, partition)
		next = max(h.next, 1)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("journal: end of partition %d: %w", partition, err)
	}
	return next, nil
}
