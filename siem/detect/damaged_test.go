package detect_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/detect"
)

// TestADamagedWindowStopsNothing: a row that can't be read costs its group and no
// more. It goes, it is told, and all other groups count on.
func TestADamagedWindowStopsNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test repeats itself
	garbage := func(body []byte) []byte {
		out := make([]byte, len(body))
		for i := range out {
			out[i] = byte(r.Uint32())
		}
		return out
	}
	for name, harm := range map[string]func(t *testing.T, tx *store.Tx, body []byte) error{
		"garbage": func(t *testing.T, tx *store.Tx, body []byte) error {
			return setBody(t.Context(), tx, append([]byte{0xff}, garbage(body)...))
		},
		"another version": func(t *testing.T, tx *store.Tx, body []byte) error {
			return setBody(t.Context(), tx, append([]byte{body[0] + 1}, body[1:]...))
		},
		"half": func(t *testing.T, tx *store.Tx, body []byte) error {
			return setBody(t.Context(), tx, body[:len(body)/2])
		},
		"nothing": func(t *testing.T, tx *store.Tx, _ []byte) error { return setBody(t.Context(), tx, []byte{}) },
		"its group": func(t *testing.T, tx *store.Tx, _ []byte) error {
			_, err := tx.Exec(t.Context(), `UPDATE siem_windows SET grp = $1 WHERE grp = $2`, []byte("{\xff"), victim)
			return err
		},
		"its tenant": func(t *testing.T, tx *store.Tx, _ []byte) error {
			_, err := tx.Exec(t.Context(), `UPDATE siem_windows SET tenant = $1 WHERE grp = $2`, "No Tenant!", victim)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, db *store.DB) { damagedWindow(t, db, harm) })
		})
	}
}

// victim is the group that is damaged: of the rule that counts by address.
var victim = []byte(`["203.0.113.9"]`)

func setBody(ctx context.Context, tx *store.Tx, body []byte) error {
	_, err := tx.Exec(ctx, `UPDATE siem_windows SET body = $1 WHERE grp = $2`, body, victim)
	return err
}

func damagedWindow(t *testing.T, db *store.DB, harm func(*testing.T, *store.Tx, []byte) error) {
	p := newPipe(t, db, 1)
	var told []detect.Loss
	p.cfg.Lost = func(_ context.Context, _ *store.Tx, l detect.Loss) error {
		told = append(told, l)
		return nil
	}
	p.renew()
	eventCount = 0
	send := func(from, to int) {
		for i := from; i < to; i++ {
			p.feed(eventsFrame(0, i, login(i, fmt.Sprint("u", i), "203.0.113.9"), login(i, fmt.Sprint("v", i), "198.51.100.7")))
		}
	}
	send(0, 6)
	err := db.Tx(t.Context(), func(tx *store.Tx) error {
		var body []byte
		if err := tx.QueryRow(t.Context(), `SELECT body FROM siem_windows WHERE grp = $1`, victim).Scan(&body); err != nil {
			return err
		}
		return harm(t, tx, body)
	})
	if err != nil {
		t.Fatal(err)
	}
	p.renew() // as a server starts
	send(6, 12)
	all := p.alerts()
	if len(all) != 1 || all[0].Count != 12 || all[0].Group["src_endpoint.ip"] != "198.51.100.7" {
		t.Errorf("%d alerts: %+v", len(all), all)
	}
	if len(told) != 1 || told[0].Groups != 1 || told[0].Rule.Name != "sshd-credential-stuffing" {
		t.Errorf("told %+v", told)
	}
}
