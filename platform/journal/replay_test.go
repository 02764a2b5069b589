package journal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

// burst is a toy of what siem/correlate does: three logins within five seconds
// make an alert, and five seconds without any make another ("silence"). It goes
// by the times of records and ticks alone. Its window is in memory, saved with
// each frame.
type burst struct {
	out    *journal.Topic
	Window struct {
		Logins []time.Time
		Last   time.Time
		Dark   bool
	}
}

func (b *burst) restore(ctx context.Context, tx *store.Tx) error {
	*b = burst{out: b.out}
	var saved string
	err := tx.QueryRow(ctx, "SELECT coalesce(max(what), '{}') FROM effects WHERE stage = 'window'").Scan(&saved)
	return errors.Join(err, json.Unmarshal([]byte(saved), &b.Window))
}

func (b *burst) save(ctx context.Context, tx *store.Tx) error {
	saved, err := json.Marshal(b.Window)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "DELETE FROM effects WHERE stage = 'window'"); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "INSERT INTO effects (stage, pos, what) VALUES ('window', 0, $1)", string(saved))
	return err
}

func (b *burst) handle(ctx context.Context, tx *store.Tx, f journal.Frame) error {
	w := &b.Window
	var alert string
	switch f.Kind {
	case journal.KindTick:
		if !w.Dark && !w.Last.IsZero() && f.Received.Sub(w.Last) > 5*time.Second {
			w.Dark, alert = true, "silence"
		}
	default:
		w.Last, w.Dark = f.Received, false
		w.Logins = append(w.Logins, f.Received)
		for len(w.Logins) > 0 && f.Received.Sub(w.Logins[0]) > 5*time.Second {
			w.Logins = w.Logins[1:]
		}
		if len(w.Logins) == 3 {
			w.Logins, alert = nil, "burst"
		}
	}
	if alert != "" {
		at := fmt.Sprintf("%s at %v from %d", alert, f.Received.Sub(start), f.Offset)
		if err := b.out.Publish(ctx, tx, f.Tenant, []byte(at)); err != nil {
			return err
		}
	}
	return b.save(ctx, tx)
}

// Statement 5. The same journal gives the same alerts, whenever it is read, in
// whatever batches, and however often the stage is interrupted.
func TestReplayOfAJournalGivesTheSameAlerts(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.raw = w.openRaw(t, 1)
		for second := range 40 {
			if err := w.raw.Tick(ctx); err != nil {
				t.Fatal(err)
			}
			if second%7 < 3 && second < 20 || second == 33 {
				mustAppend(t, w.raw, events("login"))
			}
			w.clock.Advance(time.Second)
		}
		last := uint64(len(mustRead(t, w.raw, 0, 1)))
		live := replay(t, w.raw, w.state, 64, last, last)
		const want = "1:burst at 2s from 6 2:burst at 9s from 16 3:burst at 16s from 26 4:silence at 22s from 32 5:silence at 39s from 50"
		if live != want {
			t.Fatalf("live alerts:\n%s\nwant\n%s", live, want)
		}
		for _, batch := range []int{1, 3, 64} {
			for _, stopEvery := range []uint64{last, 7, 1} {
				fresh := storetest.Open(t, storetest.Config(t, "sqlite"), journal.Migrations(), effects)
				if got := replay(t, w.raw, fresh, batch, stopEvery, last); got != live {
					t.Errorf("batches of %d, stopped every %d frames:\n%s\nwant\n%s", batch, stopEvery, got, live)
				}
			}
		}
	})
}

// replay runs the toy stage over the journal with a clock that tells nonsense,
// and stops and starts it anew on the way.
func replay(t *testing.T, raw *journal.Raw, state *store.DB, batch int, stopEvery, last uint64) string {
	t.Helper()
	out := journal.NewTopic("alerts").Bind(state)
	for until := min(stopEvery, last); ; until = min(until+stopEvery, last) {
		b := &burst{out: out}
		runUntil(t, state, journal.Stage{
			Name: "burst", From: raw, Batch: batch, Clock: clocktest.New(time.Unix(0, 0)), Handle: b.handle, Restore: b.restore,
		}, until)
		if until == last {
			break
		}
	}
	return text(mustRead(t, out, 0, 1))
}
