package web

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/interlock-security/interlock/api/live"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

// hostile is text as an attacker writes it: markup, a terminal's escape, a
// direction mark, a broken byte.
const hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31mred \u202egnp.exe\u2066 \xff ' \" `${7*7}` {{.}}"

// withEvents gives the plant a real journal, a running hub and an event store
// that finds what the journal holds.
func (p *plant) withEvents() *journal.Raw {
	p.t.Helper()
	db := storetest.Open(p.t, store.Config{Driver: "sqlite", Path: filepath.Join(p.t.TempDir(), "journal.db"), Key: storetest.Config(p.t, "sqlite").Key}, journal.RawMigrations())
	raw, err := journal.OpenRaw(p.t.Context(), db, journal.RawOptions{Clock: core.SystemClock{}})
	p.must(err)
	hub := live.New(live.Options{Frames: raw, Encode: EncodeEvent, Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = hub.Run(ctx)
	}()
	p.t.Cleanup(func() {
		cancel()
		<-done
	})
	p.console.Live = hub
	p.console.People = &crowd{}
	p.api.Events = finder{}
	return raw
}

// append puts events into the journal.
func (p *plant) append(raw *journal.Raw, events ...core.Event) {
	p.t.Helper()
	var records [][]byte
	for _, ev := range events {
		b, err := json.Marshal(ev)
		p.must(err)
		records = append(records, b)
	}
	_, err := raw.Append(p.t.Context(), journal.Frame{Kind: journal.KindEvents, Tenant: plantTenant, Source: "device/press-7", Received: time.Now(), Records: records})
	p.must(err)
}

func someEvent(i int, fields string) core.Event {
	return core.Event{
		ID: core.NewUUID(time.Now()), Time: time.Now(), Received: time.Now(), Tenant: plantTenant, Source: "device/press-7", Provenance: core.ProvenanceDevice,
		Device: plantPress, Class: core.ClassDeviceState, Type: []string{"case_intrusion", "sshd", "usb_attach", "link_loss"}[i%4],
		Severity: core.Severities[i%5], Simulated: i%6 == 0, Fields: json.RawMessage(fields),
	}
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func (p *plant) fill() {
	raw := p.withEvents()
	for i := range 40 {
		p.append(raw, someEvent(i, fmt.Sprintf(`{"sensor":"case","state":"open","edge":%d,"line":%s}`, i, quoted("Failed password for root from 203.0.113.7 port 4711 ssh2"))))
	}
	p.append(raw, someEvent(2, `{"product":`+quoted(hostile)+`}`))
}

// finder is an event store.
type finder struct {
	err   error
	worst string
}

func (f finder) Search(_ context.Context, q events.Query) ([]events.Hit, error) {
	var hits []events.Hit
	for i := range min(q.Limit, 60) {
		at := q.To.Add(-time.Duration(i) * 7 * time.Minute)
		if f.worst != "" {
			hits = append(hits, events.Hit{Time: at, Fields: map[string]string{f.worst: f.worst, "type": f.worst, "device": f.worst, events.FieldSource: f.worst}})
			continue
		}
		hits = append(hits, events.Hit{Time: at, Fields: map[string]string{
			"id": core.NewUUID(at).String(), "_time": at.Format(time.RFC3339Nano), events.FieldSource: "device/press-7", "type": "case_intrusion", "device": "press-7", "severity": "high",
			"sensor": "case", "state": "open", "line": hostile, "_msg": hostile, events.FieldOffset: "17", events.FieldIndex: "0",
		}})
	}
	return hits, f.err
}

func (f finder) Histogram(_ context.Context, q events.Query, step time.Duration) ([]events.Bucket, error) {
	var buckets []events.Bucket
	for at := q.From.Truncate(step).Add(step); at.Before(q.To); at = at.Add(step) {
		if n := uint64(at.Unix()/int64(step.Seconds())*7919) % 23; n > 3 {
			buckets = append(buckets, events.Bucket{Start: at, Count: n * n})
		}
	}
	return buckets, f.err
}

// crowd is people without passkeys: what pages show and do with them.
type crowd struct {
	cookies
	mu    sync.Mutex
	ended []string
}

func (*crowd) List(context.Context) []identity.Person {
	var list []identity.Person
	for _, name := range []string{"anna", "otto", "vera"} {
		list = append(list, personOf(name))
	}
	return list
}

func personOf(name string) identity.Person {
	s := plantPeople[name]
	return identity.Person{
		ID: s.Person, Name: s.Name + " " + hostile, Roles: s.Roles, Sites: s.Principal.Sites, State: identity.PersonActive, Configured: name == "anna", Sessions: 2,
		Passkeys: []identity.Passkey{{ID: "c0ffee42", Created: time.Now().Add(-72 * time.Hour), Synced: true, State: "active"}, {ID: "beef0001", Created: time.Now().Add(-9 * time.Hour), State: "revoked"}},
	}
}

func (*crowd) Get(_ context.Context, id core.PersonID) (identity.Person, error) {
	if _, known := plantPeople[id.String()]; !known {
		return identity.Person{}, core.E(core.KindNotFound, "test", "there is no person "+id.String())
	}
	return personOf(id.String()), nil
}

func (*crowd) Sessions(_ context.Context, id core.PersonID) []identity.SessionInfo {
	return []identity.SessionInfo{
		{ID: "session-of-" + id.String(), Person: id, Client: "127.0.0.1, Mozilla/5.0 (X11; Linux x86_64) " + hostile, Began: time.Now().Add(-time.Hour), Seen: time.Now(), Ends: time.Now().Add(11 * time.Hour)},
		{ID: "other", Person: id, Client: "10.0.0.9, Firefox", Began: time.Now().Add(-3 * time.Hour), Seen: time.Now().Add(-time.Hour), Ends: time.Now().Add(9 * time.Hour), StopOnly: true},
	}
}

func (c *crowd) EndSession(_ context.Context, _ core.Principal, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = append(c.ended, id)
	return nil
}

func (c *crowd) End(_ context.Context, s Session) error {
	return c.EndSession(context.Background(), s.Principal, s.ID)
}

func (*crowd) Invite(_ context.Context, _ core.Principal, in identity.InviteRequest) (identity.Link, error) {
	return identity.Link{URL: "http://localhost:7400/link#abc.secret-of-" + in.Person.String(), Person: in.Person, Expires: time.Now().Add(time.Hour)}, nil
}

func (c *crowd) Revoke(_ context.Context, _ core.Principal, id core.PersonID) error {
	return c.EndSession(context.Background(), core.Principal{}, "revoked "+id.String())
}

func (*crowd) Approvals(context.Context) []identity.Approval { return nil }
