package baseline_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/siem/baseline"
)

var tenant = core.MustID[core.TenantID]("acme")

// line drives a stage with frames, a minute after the other.
type line struct {
	t       *testing.T
	db      *store.DB
	stage   journal.Stage
	now     time.Time
	notices []baseline.Notice
}

func newLine(t *testing.T, db *store.DB) *line {
	l := &line{t: t, db: db, now: monday}
	l.renew()
	return l
}

func (l *line) renew() {
	l.stage = baseline.Stage(nil, 0, func(_ context.Context, _ *store.Tx, n baseline.Notice) error {
		l.notices = append(l.notices, n)
		return nil
	})
}

// minutes lets time pass, each minute a tick and n records of each source.
func (l *line) minutes(count, n int, sources ...string) {
	l.t.Helper()
	for i := 0; i < count; i += 60 {
		err := l.db.Tx(l.t.Context(), func(tx *store.Tx) error {
			for range min(60, count-i) {
				l.now = l.now.Add(time.Minute)
				frames := []journal.Frame{{Kind: journal.KindTick, Received: l.now}}
				for _, source := range sources {
					frames = append(frames, journal.Frame{Kind: journal.KindEvents, Tenant: tenant, Source: source, Received: l.now, Records: make([][]byte, n)})
				}
				for _, f := range frames {
					if err := l.stage.Handle(l.t.Context(), tx, f); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			l.t.Fatal(err)
		}
	}
}

func each(t *testing.T, body func(t *testing.T, l *line)) {
	storetest.Each(t, []store.Migrations{baseline.Migrations()}, func(t *testing.T, db *store.DB) { body(t, newLine(t, db)) })
}

const day = 24 * 60

func TestASourceThatFallsSilentIsToldOnce(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.minutes(3*day, 4, "journald/local", "device/press-7", "fleet")
		l.minutes(60, 0)
		if len(l.notices) != 1 || l.notices[0].Source != "journald/local" || l.notices[0].Kind != baseline.TypeSilent {
			t.Fatalf("%+v", l.notices)
		}
		l.minutes(10, 4, "journald/local")
		if len(l.notices) != 2 || l.notices[1].Kind != baseline.TypeBack {
			t.Fatalf("%+v", l.notices[1:])
		}
	})
}

func TestARestartForgetsNothing(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.minutes(3*day, 4, "journald/local")
		l.renew()
		l.minutes(60, 0)
		if len(l.notices) != 1 || l.notices[0].Expected < 19 {
			t.Fatalf("%+v", l.notices)
		}
	})
}

func TestAServerThatWasOffIsNoSilence(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.minutes(3*day, 4, "journald/local")
		l.now = l.now.Add(12 * time.Hour)
		l.minutes(120, 4, "journald/local")
		if len(l.notices) != 0 {
			t.Fatalf("%+v", l.notices)
		}
	})
}

// TestForgedSourcesTakeNoPlaceForLong sends one record each from more sources
// than are kept: the known one goes on being judged, and a day later there is
// room again.
func TestForgedSourcesTakeNoPlaceForLong(t *testing.T) {
	l := newLine(t, storetest.Open(t, storetest.Config(t, "sqlite"), baseline.Migrations()))
	l.minutes(3*day, 4, "syslog/192.0.2.1")
	forged := make([]string, baseline.MaxSources+100)
	for i := range forged {
		forged[i] = fmt.Sprintf("syslog/forged-%d", i)
	}
	l.minutes(5, 1, append(forged, "syslog/192.0.2.1")...)
	count := func() (n int) {
		err := l.db.View(t.Context(), func(tx *store.Tx) error {
			return tx.QueryRow(t.Context(), `SELECT COUNT(*) FROM siem_baselines`).Scan(&n)
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	l.minutes(5, 4, "syslog/192.0.2.1")
	if n := count(); n != baseline.MaxSources {
		t.Errorf("%d sources are kept", n)
	}
	l.minutes(30, 0)
	if len(l.notices) != 1 || l.notices[0].Source != "syslog/192.0.2.1" {
		t.Errorf("%+v", l.notices)
	}
}
