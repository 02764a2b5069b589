package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

const (
	// readBytes bounds what one Read holds in memory, in records' bytes.
	readBytes = 32 << 20
	// pollEvery is how long a missed wake-up can go unnoticed.
	pollEvery = time.Second
	// insertRows bounds one INSERT; trimRows one deleting transaction.
	insertRows = 32
	trimRows   = 500
)

// log is one named sequence of partitions in a pair of tables; raw and every
// topic are one each.
type log struct {
	tables string // journal_raw or journal_topic
	name   string
}

// head is where a partition stands.
type head struct {
	next, kept uint64
	ticked     int64
}

func (l log) channel(part int32) string {
	return "journal/" + l.name + "/" + strconv.Itoa(int(part))
}

// reserve takes n offsets and holds the partition's row until the transaction
// ends, so that whoever comes next gets higher ones and commits later.
func (l log) reserve(ctx context.Context, tx *store.Tx, part int32, n int) (first uint64, err error) {
	var next int64
	err = tx.QueryRow(ctx, `INSERT INTO `+l.tables+`_heads AS h (topic, part, next, kept, ticked) VALUES ($1, $2, $3, 1, 0)
		ON CONFLICT (topic, part) DO UPDATE SET next = h.next + $4 RETURNING next`, l.name, part, n+1, n).Scan(&next)
	return uint64(next - int64(n)), err
}

// head reads where the partition stands; one that has nothing begins at 1.
func (l log) head(ctx context.Context, tx *store.Tx, part int32) (head, error) {
	var next, kept, ticked int64
	err := tx.QueryRow(ctx, `SELECT next, kept, ticked FROM `+l.tables+`_heads WHERE topic = $1 AND part = $2`, l.name, part).Scan(&next, &kept, &ticked)
	if errors.Is(err, sql.ErrNoRows) {
		return head{next: 1, kept: 1}, nil
	}
	return head{uint64(next), uint64(kept), ticked}, err
}

const frameColumns = "topic, part, pos, kind, tenant, source, received, origin, size, body"

// insert writes frames that have their offsets.
func (l log) insert(ctx context.Context, tx *store.Tx, frames []*stored) error {
	for len(frames) > 0 {
		n := min(len(frames), insertRows)
		args := make([]any, 0, 10*n)
		for _, f := range frames[:n] {
			origin, err := f.origin()
			if err != nil {
				return err
			}
			args = append(args, l.name, f.Partition, int64(f.Offset), int(f.Kind), f.Tenant, f.Source, micros(f.Received), origin, f.size, f.body)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO "+l.tables+"_frames ("+frameColumns+") VALUES "+tuples(n, 10), args...); err != nil {
			return err
		}
		frames = frames[n:]
	}
	return nil
}

// tuples returns "($1,$2),($3,$4)" for two rows of two.
func tuples(rows, columns int) string {
	var b strings.Builder
	for i := range rows * columns {
		switch {
		case i == 0:
			b.WriteString("($")
		case i%columns == 0:
			b.WriteString("),($")
		default:
			b.WriteString(",$")
		}
		b.WriteString(strconv.Itoa(i + 1))
	}
	return b.String() + ")"
}

// oldest returns the first offset that is kept.
func (l log) oldest(ctx context.Context, db *store.DB, part int32) (uint64, error) {
	var h head
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		h, err = l.head(ctx, tx, part)
		return err
	})
	return h.kept, err
}

// read returns rows from an offset on.
func (l log) read(ctx context.Context, db *store.DB, part int32, from uint64, limit int) (frames []stored, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		h, err := l.head(ctx, tx, part)
		if err != nil {
			return err
		}
		if from == 0 {
			from = h.kept
		}
		if from < h.kept {
			return core.E(core.KindExpired, "journal.Read", fmt.Sprintf("%s partition %d: offset %d is trimmed, the oldest kept is %d", l.name, part, from, h.kept))
		}
		rows, err := tx.Query(ctx, "SELECT "+frameColumns+" FROM "+l.tables+`_frames
			WHERE topic = $1 AND part = $2 AND pos >= $3 ORDER BY pos LIMIT $4`, l.name, part, int64(from), limit)
		if err != nil {
			return err
		}
		frames, err = scanFrames(rows)
		return err
	})
	return frames, err
}

func scanFrames(rows *sql.Rows) (frames []stored, err error) {
	defer func() { _ = rows.Close() }() // rows.Err tells
	for total := 0; total < readBytes && rows.Next(); {
		s, err := scanFrame(rows)
		if err != nil {
			return nil, err
		}
		total += s.size
		frames = append(frames, s)
	}
	return frames, rows.Err()
}

// scanFrame reads frameColumns, and more where the query has more.
func scanFrame(rows *sql.Rows, more ...any) (stored, error) {
	var s stored
	var topic string
	var pos, received int64
	var origin []byte
	into := append([]any{&topic, &s.Partition, &pos, &s.Kind, &s.Tenant, &s.Source, &received, &origin, &s.size, &s.body}, more...)
	if err := rows.Scan(into...); err != nil {
		return s, err
	}
	s.Offset = uint64(pos)
	if received != 0 {
		s.Received = store.FromMicros(received)
	}
	return s, s.setOrigin(origin)
}

func decodeAll(rows []stored) ([]Frame, error) {
	frames := make([]Frame, 0, len(rows))
	for _, s := range rows {
		f, err := s.decode()
		if err != nil {
			if len(frames) > 0 {
				break // what comes before it is good; the next Read begins with it
			}
			return nil, err
		}
		frames = append(frames, f)
	}
	return frames, nil
}

// wait returns when the partition holds an offset above after.
func (l log) wait(ctx context.Context, db *store.DB, part int32, after uint64) error {
	for {
		woken := db.Signal(l.channel(part))
		var h head
		err := db.View(ctx, func(tx *store.Tx) (err error) {
			h, err = l.head(ctx, tx, part)
			return err
		})
		if err != nil {
			return err
		}
		if h.next > after+1 {
			return nil
		}
		// The poll is real time on purpose: it guards against a lost
		// wake-up and decides nothing.
		t := time.NewTimer(pollEvery)
		select {
		case <-woken:
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
		t.Stop()
	}
}

// trim deletes frames below before, a few at a time so that writers get in
// between. The head moves in the same transaction: a reader either finds a
// frame or is told that it is gone.
func (l log) trim(ctx context.Context, db *store.DB, part int32, before uint64) error {
	for {
		var h head
		err := db.LockTx(ctx, func(tx *store.Tx) (err error) {
			if h, err = l.head(ctx, tx, part); err != nil || h.kept >= min(before, h.next) {
				return err
			}
			upTo := min(before, h.next, h.kept+trimRows)
			h.kept = upTo
			if _, err := tx.Exec(ctx, `UPDATE `+l.tables+`_heads SET kept = $3 WHERE topic = $1 AND part = $2`, l.name, part, int64(upTo)); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `DELETE FROM `+l.tables+`_frames WHERE topic = $1 AND part = $2 AND pos < $3`, l.name, part, int64(upTo))
			return err
		})
		if err != nil || h.kept >= min(before, h.next) {
			return err
		}
	}
}
