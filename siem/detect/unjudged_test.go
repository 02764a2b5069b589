package detect_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/detect"
)

// padded is a failed login whose message stands behind more than is read.
func padded(at int, source string) []byte {
	eventCount++
	deep := strings.Repeat(`{"x":`, 40) + "1" + strings.Repeat("}", 40)
	return event(core.Event{
		ID: eventID(eventCount), Time: sec(at), Received: sec(at), Tenant: tenant, Source: source, Provenance: core.ProvenanceLocal, Type: "sshd",
		Severity: core.SeverityInfo, Fields: json.RawMessage(`{"program":"sshd","pad":` + deep + `,"message":"Failed password for root from 192.0.2.1 port 1 ssh2"}`),
	})
}

// TestWhatWasNotJudgedIsTold: who pads an event beyond what is read hides it from
// the rules, but not that there was something. It is told at once, then once an
// hour with how many there were, whatever happens to the transaction.
func TestWhatWasNotJudgedIsTold(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		p := newPipe(t, db, 1)
		p.crash = true
		var told []string
		p.cfg.Unjudged = func(_ context.Context, tx *store.Tx, u detect.Unjudged) error {
			tx.OnCommit(func() { told = append(told, fmt.Sprint(u.Source, " ", u.Count)) })
			if !strings.Contains(u.Reason, "deeper than 32 levels") || u.Event.IsZero() || u.Tenant != tenant {
				t.Errorf("%+v", u)
			}
			return nil
		}
		p.renew()
		eventCount = 0
		p.feed(eventsFrame(0, 0, padded(0, "file/a"), padded(0, "file/a"), padded(0, "file/b")), tick(0, 1))
		for i := range 5 {
			p.feed(eventsFrame(0, 10+i, padded(10+i, "file/a")), tick(0, 10+i))
		}
		if got := strings.Join(told, ", "); got != "file/a 2, file/b 1" {
			t.Errorf("told %s", got)
		}
		both := func(end error) error { // frames share a transaction
			return p.db.Tx(t.Context(), func(tx *store.Tx) error {
				for range 2 {
					if err := p.detects[0].Handle(t.Context(), tx, eventsFrame(0, 20, padded(20, "file/a"), padded(20, "file/c"))); err != nil {
						return err
					}
				}
				return end
			})
		}
		if err := both(errCrash); err == nil || p.db.Tx(t.Context(), func(tx *store.Tx) error { return p.detects[0].Restore(t.Context(), tx) }) != nil || both(nil) != nil {
			t.Fatal(err)
		}
		if got := strings.Join(told, ", "); got != "file/a 2, file/b 1, file/c 1" {
			t.Errorf("told %s", got)
		}
		p.feed(tick(0, 3601), tick(0, 3602), tick(0, 3630), tick(0, 9000))
		if got := strings.Join(told, ", "); got != "file/a 2, file/b 1, file/c 1, file/a 7, file/c 1" {
			t.Errorf("told %s", got)
		}
	})
}

// TestManySourcesOfUnjudgedEventsAreFew: made-up sources take no room without
// bound.
func TestManySourcesOfUnjudgedEventsAreFew(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		p := newPipe(t, db, 1)
		told := map[string]uint64{}
		p.cfg.Unjudged = func(_ context.Context, _ *store.Tx, u detect.Unjudged) error {
			told[u.Source] += u.Count
			return nil
		}
		p.renew()
		eventCount = 0
		var records [][]byte
		for i := range 3000 {
			records = append(records, padded(0, fmt.Sprint("syslog/", i)))
		}
		p.feed(journal.Frame{Kind: journal.KindEvents, Tenant: tenant, Received: sec(0), Records: records}, tick(0, 4000))
		if len(told) != 1025 || told[detect.OtherSources] != 3000-1024 {
			t.Errorf("%d sources, %d of others", len(told), told[detect.OtherSources])
		}
	})
}
