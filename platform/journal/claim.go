package journal

import (
	"cmp"
	"context"
	"slices"

	"github.com/interlock-security/interlock/platform/store"
)

// placed is a frame that is to be stored, and where its answer goes. Turn is its
// place in the order of arrival.
type placed struct {
	frame *stored
	out   *Appended
	turn  int
}

// again is a frame that is stored already: by a row, or by a frame of the same
// commit that has no offset yet.
type again struct {
	out  *Appended
	twin *Appended
}

func (a again) settle() { a.out.Offset, a.out.Fork, a.out.Duplicate = a.twin.Offset, a.twin.Fork, true }

// claim looks up every keyed frame among those stored and those that come with
// it, and says which are to be stored. It holds each epoch's row until the
// transaction ends, in one order in all processes.
func claim(ctx context.Context, tx *store.Tx, calls []*appending) (fresh []placed, dups []again, err error) {
	var keyed []placed
	turn := 0
	for _, a := range calls {
		for i, f := range a.frames {
			a.out[i] = Appended{}
			p := placed{f, &a.out[i], turn}
			turn++
			if f.Key != nil {
				keyed = append(keyed, p)
			} else {
				fresh = append(fresh, p)
			}
		}
	}
	slices.SortStableFunc(keyed, func(a, b placed) int { return compareEpoch(*a.frame.Key, *b.frame.Key) })
	var known []twin // of the epoch at hand, in this commit
	for i, p := range keyed {
		if i > 0 && compareEpoch(*keyed[i-1].frame.Key, *p.frame.Key) != 0 {
			known = known[:0]
		}
		stored, err := overlapping(ctx, tx, *p.frame.Key)
		if err != nil {
			return nil, nil, err
		}
		same, fork := judge(*p.frame.Key, append(stored, known...))
		if same != nil {
			dups = append(dups, again{p.out, same})
			continue
		}
		p.out.Fork = fork
		fresh = append(fresh, p)
		known = append(known, twin{*p.frame.Key, p.out})
	}
	return fresh, dups, nil
}

// twin is a key that is stored, or about to be, with its answer.
type twin struct {
	key Key
	out *Appended
}

// judge compares a key with those of its epoch: the same one makes it a
// duplicate, any other that shares a sequence number makes it a fork.
func judge(k Key, others []twin) (same *Appended, fork bool) {
	for _, o := range others {
		if o.key.First > k.Last || o.key.Last < k.First {
			continue
		}
		if o.key.First == k.First && o.key.Last == k.Last && o.key.Hash == k.Hash {
			return o.out, false
		}
		fork = true
	}
	return nil, fork
}

func compareEpoch(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Tenant.String(), b.Tenant.String()), cmp.Compare(a.Device.String(), b.Device.String()), cmp.Compare(a.Epoch, b.Epoch))
}

// overlapping returns the stored keys that share a sequence number with k. A
// batch that goes on where the last one ended needs one statement: the epoch's
// row knows the highest number so far.
func overlapping(ctx context.Context, tx *store.Tx, k Key) ([]twin, error) {
	last := int64(k.Last)
	var prior int64
	err := tx.QueryRow(ctx, `INSERT INTO journal_raw_epochs AS e (tenant, device, epoch, last_seq, prior) VALUES ($1, $2, $3, $4, -1)
		ON CONFLICT (tenant, device, epoch) DO UPDATE SET prior = e.last_seq, last_seq = CASE WHEN e.last_seq > $4 THEN e.last_seq ELSE $4 END
		RETURNING prior`, k.Tenant, k.Device, k.Epoch, last).Scan(&prior)
	if err != nil || prior < int64(k.First) {
		return nil, err
	}
	rows, err := tx.Query(ctx, `SELECT first_seq, last_seq, hash, pos, fork FROM journal_raw_keys
		WHERE tenant = $1 AND device = $2 AND epoch = $3 AND last_seq >= $4 AND first_seq <= $5`,
		k.Tenant, k.Device, k.Epoch, int64(k.First), last)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	var found []twin
	for rows.Next() {
		var first, last, pos int64
		var hash []byte
		var fork int
		if err := rows.Scan(&first, &last, &hash, &pos, &fork); err != nil {
			return nil, err
		}
		t := twin{Key{First: uint64(first), Last: uint64(last)}, &Appended{Offset: uint64(pos), Fork: fork == 1}}
		copy(t.key.Hash[:], hash)
		found = append(found, t)
	}
	return found, rows.Err()
}

// remember stores the keys of frames that have their offsets.
func remember(ctx context.Context, tx *store.Tx, fresh []placed) error {
	var args []any
	for _, p := range fresh {
		k := p.frame.Key
		if k == nil {
			continue
		}
		fork := 0
		if p.out.Fork {
			fork = 1
		}
		args = append(args, k.Tenant, k.Device, k.Epoch, int64(k.Last), int64(k.First), k.Hash[:], p.frame.Partition, int64(p.frame.Offset), fork)
	}
	const columns = 9
	for len(args) > 0 {
		n := min(len(args)/columns, insertRows)
		if _, err := tx.Exec(ctx, `INSERT INTO journal_raw_keys (tenant, device, epoch, last_seq, first_seq, hash, part, pos, fork) VALUES `+tuples(n, columns), args[:n*columns]...); err != nil {
			return err
		}
		args = args[n*columns:]
	}
	return nil
}
