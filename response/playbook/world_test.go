package playbook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/jobs"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/response/action"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/response/playbook"
	"github.com/interlock-security/interlock/response/recovery"
)

var (
	tenant = core.MustID[core.TenantID]("acme")
	site   = core.MustID[core.SiteID]("hall-1")
	start  = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	press  = core.MustID[core.DeviceID]("press-7")
	anna   = person("anna", core.RoleViewer, core.RoleOperator, core.RoleSecurityOfficer)
	ben    = person("ben", core.RoleViewer, core.RoleOperator)
	viewer = person("vera", core.RoleViewer)
)

func person(name string, roles ...string) core.Principal {
	return core.Principal{Kind: core.KindPerson, ID: name, Tenant: tenant, Roles: roles, Sites: []core.SiteID{site}}
}

const tampered = "interlock-device-tampered"

var schemas = []store.Migrations{journal.Migrations(), jobs.Migrations(), incident.Migrations(), playbook.Migrations()}

// world is an engine over a real store, real incidents, the real Guard, action
// runner and verifier. The fleet and the log are the fakes at its edges; they
// outlive the engine, as devices and disks do.
type world struct {
	t     *testing.T
	db    *store.DB
	clock *clocktest.Clock
	books map[string][]byte
	guard *policy.Guard

	topicIncidents, topicOrders *journal.Topic

	incidents *incident.Store
	engine    *playbook.Engine
	kill      context.CancelFunc

	mu      sync.Mutex
	logDown error // what the log answers to intents that are not vital
	mode    audit.Mode
	leaves  uint64
	intents []string
	devices map[core.DeviceID]*machine
	orders  map[string]*fleet.Order // by request key
	created int                     // how often an order was really made
	// onCreate is asked before an order is made; an error refuses it.
	onCreate func(fleet.OrderRequest) error
	// onCreated is told after, where a crash may strike.
	onCreated func(fleet.OrderRequest) error
	// between is called in the middle of what the engine does, where others
	// may come between.
	between func()
}

type machine struct {
	fleet.Device
	simulated bool
	latches   []string // types of the open ones
	sensor    core.SensorState
	mute      bool // it does not tell of its latches
	silent    bool // it says nothing at all
}

func each(t *testing.T, body func(t *testing.T, w *world)) {
	t.Helper()
	storetest.Each(t, schemas, func(t *testing.T, db *store.DB) { body(t, newWorld(t, db)) })
}

func newWorld(t *testing.T, db *store.DB) *world {
	t.Helper()
	w := &world{
		t: t, db: db, clock: clocktest.New(start), mode: audit.ModeNormal, devices: map[core.DeviceID]*machine{}, orders: map[string]*fleet.Order{},
		topicIncidents: journal.NewTopic("incidents"), topicOrders: journal.NewTopic("orders"),
	}
	var err error
	if w.books, err = playbook.Builtin(); err != nil {
		t.Fatal(err)
	}
	w.guard = policy.NewGuard(policy.Default(), w, w.clock)
	w.incidents = incident.NewStore(w.topicIncidents, func(context.Context, *store.Tx, audit.Entry) error { return nil })
	w.incidents.Sites = func(context.Context, *store.Tx, core.TenantID, core.DeviceID) (core.SiteID, error) { return site, nil }
	w.enrol(press, false)
	w.build()
	return w
}

// build makes the engine, as a start of the server does.
func (w *world) build() {
	w.t.Helper()
	var err error
	w.engine, err = playbook.NewEngine(playbook.Parts{
		State: w.db, Incidents: w.incidents, Actions: action.NewRunner(w.guard, w, w), Verifier: recovery.NewVerifier(w, w, w.clock),
		Fleet: w, Guard: w.guard, Would: w.guard.Set().Evaluate, Clock: w.clock, Log: slog.New(slog.DiscardHandler), Books: w.books,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) enrol(id core.DeviceID, simulated bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := fleet.Device{Tenant: tenant, ID: id, Site: site, Identity: fleet.IdentityActive, Link: core.DeviceOnline}
	d.Known = fleet.Known{Epoch: "e1", LastSeen: w.clock.Now()}
	w.devices[id] = &machine{Device: d, simulated: simulated, latches: []string{"case_intrusion"}, sensor: core.SensorOK}
}

// device changes what is known of a device.
func (w *world) device(id core.DeviceID, change func(*machine)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w.devices[id])
}

// Intent implements policy.Recorder: the log.
func (w *world) Intent(_ context.Context, who core.Principal, do core.Action, on core.Resource, d core.Decision) (core.Position, error) {
	if w.between != nil {
		w.between()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if class, _ := policy.ClassOf(do); w.logDown != nil && class != policy.ClassContain {
		return core.Position{}, w.logDown
	}
	w.leaves++
	w.intents = append(w.intents, fmt.Sprintf("%s %s %s %v", who, do, on, d.Allowed))
	return core.Position{Origin: "log", Index: w.leaves}, nil
}

// Mode implements recovery.Log.
func (w *world) Mode() (audit.Mode, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mode, ""
}

// Get implements action.Devices.
func (w *world) Get(_ context.Context, _ core.TenantID, id core.DeviceID) (fleet.Device, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, ok := w.devices[id]
	if !ok {
		return fleet.Device{}, core.E(core.KindNotFound, "fleet", fmt.Sprintf("there is no device %q", id))
	}
	if !m.silent {
		m.Known.LastSeen = w.clock.Now() // its heartbeats
	}
	return m.Device, nil
}

// Sensors implements playbook.Fleet.
func (w *world) Sensors(_ context.Context, _ core.TenantID, id core.DeviceID) ([]fleet.Sensor, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, ok := w.devices[id]
	if !ok {
		return nil, nil
	}
	return []fleet.Sensor{{ID: "agent", State: core.SensorOK}, {ID: "case", State: m.sensor, Simulated: m.simulated}}, nil
}

// Latches implements recovery.Fleet.
func (w *world) Latches(_ context.Context, _ core.TenantID, id core.DeviceID, _ bool) ([]fleet.Latch, error) {
	if w.between != nil {
		w.between()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []fleet.Latch
	if m, ok := w.devices[id]; ok {
		for _, kind := range m.latches {
			list = append(list, fleet.Latch{ID: kind, Type: kind, Open: true})
		}
	}
	return list, nil
}

// Create implements action.Orders: the same key is the same order.
func (w *world) Create(ctx context.Context, r fleet.OrderRequest) (fleet.Order, error) {
	if w.between != nil {
		w.between()
	}
	w.mu.Lock()
	if o, ok := w.orders[r.Key]; ok {
		w.mu.Unlock()
		return *o, nil
	}
	if w.onCreate != nil {
		if err := w.onCreate(r); err != nil {
			w.mu.Unlock()
			return fleet.Order{}, err
		}
	}
	o := fleet.Order{
		Tenant: r.Tenant, ID: core.NewUUID(w.clock.Now()), Device: r.Device, Request: r.Key, Type: r.Type, State: fleet.OrderQueued,
		Requester: r.Requester.String(), Reason: r.Reason, Incident: r.Incident.String(), Revision: 1, Created: w.clock.Now(), Intent: r.Decision.Intent,
	}
	if row, _ := link.DirectionOf(r.Type); row.Direction.Away() {
		o.State, o.Needed = fleet.OrderAwaiting, 2
	}
	if m := w.devices[r.Device]; m != nil && r.Type == link.OrderQuarantine {
		m.Contained = true
	}
	kept := o
	w.orders[r.Key] = &kept
	w.created++
	after := w.onCreated
	err := w.publish(ctx, o) // before anybody can answer it
	w.mu.Unlock()
	if err == nil && after != nil {
		err = after(r)
	}
	return o, err
}

func (w *world) publish(ctx context.Context, o fleet.Order) error {
	b, err := json.Marshal(fleet.Record{Order: o})
	if err != nil {
		return err
	}
	return w.db.Tx(ctx, func(tx *store.Tx) error { return w.topicOrders.Publish(ctx, tx, tenant, b) })
}

// answer is the device's answer to an order, by request key.
func (w *world) answer(key string, to fleet.OrderState, detail string) {
	w.t.Helper()
	w.mu.Lock()
	o := w.orders[key]
	if o == nil {
		w.mu.Unlock()
		w.t.Fatalf("there is no order %q", key)
	}
	o.State, o.Detail, o.Revision = to, detail, o.Revision+1
	if m := w.devices[o.Device]; m != nil && to == fleet.OrderDone {
		switch o.Type {
		case link.OrderRelease:
			m.latches, m.Contained = nil, false
		case link.OrderQuarantine:
			if !m.mute {
				m.latches = append(m.latches, "quarantine_ordered")
			}
		}
	}
	c := *o
	w.mu.Unlock()
	if err := w.publish(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

// order returns what became of an order, by request key.
func (w *world) order(key string) fleet.Order {
	w.mu.Lock()
	defer w.mu.Unlock()
	return *w.orders[key]
}

// find returns the newest order of a type to a device that is not final.
func (w *world) find(id core.DeviceID, kind link.OrderType) (fleet.Order, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found fleet.Order
	for _, o := range w.orders {
		if o.Device == id && o.Type == kind && !o.State.Final() && !o.Created.Before(found.Created) {
			found = *o
		}
	}
	return found, !found.ID.IsZero()
}

func (w *world) made() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.created
}

func alertOf(id core.DeviceID, simulated bool) incident.Alert {
	return incident.Alert{
		ID: core.NewUUID(start), Tenant: tenant, Rule: tampered, Title: "Device tampered", Severity: core.SeverityHigh, Source: "device/" + id.String(),
		Device: id, Provenance: core.ProvenanceDevice, Simulated: simulated, Count: 1, First: start, Last: start,
	}
}

func (w *world) take(a incident.Alert) incident.Incident {
	w.t.Helper()
	var in incident.Incident
	w.must(w.db.Tx(w.t.Context(), func(tx *store.Tx) (err error) {
		in, err = w.incidents.Take(w.t.Context(), tx, a, w.clock.Now())
		return err
	}))
	return in
}

func (w *world) move(id core.UUID, by core.Principal, to incident.State, reason string, into ...core.UUID) error {
	c := incident.Change{To: to, By: by, At: w.clock.Now(), Reason: reason, Refs: []string{"note"}}
	if len(into) > 0 {
		c.Into = into[0]
	}
	return w.db.Tx(w.t.Context(), func(tx *store.Tx) error {
		_, err := w.incidents.Move(w.t.Context(), tx, tenant, id, c)
		return err
	})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) incident(id core.UUID) (in incident.Incident) {
	w.t.Helper()
	w.must(w.db.View(w.t.Context(), func(tx *store.Tx) (err error) {
		in, err = w.incidents.Get(w.t.Context(), tx, tenant, id)
		return err
	}))
	return in
}

// said is the incident's timeline, a line a step.
func (w *world) said(id core.UUID) string {
	w.t.Helper()
	var b strings.Builder
	w.must(w.db.View(w.t.Context(), func(tx *store.Tx) error {
		b.Reset()
		steps, err := w.incidents.Timeline(w.t.Context(), tx, tenant, id)
		for _, s := range steps {
			fmt.Fprintf(&b, "%s %s %s→%s %s\n", s.By, s.Kind, s.From, s.To, s.Text)
		}
		return err
	}))
	return b.String()
}

func (w *world) hears(id core.UUID, words ...string) {
	w.t.Helper()
	all := w.said(id)
	for _, word := range words {
		if !strings.Contains(all, word) {
			w.t.Errorf("the timeline does not say %q:\n%s", word, all)
		}
	}
}

// run returns the one run of an incident.
func (w *world) run(id core.UUID) playbook.Run {
	w.t.Helper()
	runs, err := w.engine.List(w.t.Context(), tenant, id)
	w.must(err)
	if len(runs) != 1 {
		w.t.Fatalf("incident %s has %d runs", id, len(runs))
	}
	return runs[0]
}

func (w *world) attempts(id core.UUID) (words []string) {
	w.t.Helper()
	_, list, err := w.engine.Get(w.t.Context(), tenant, w.run(id).ID)
	w.must(err)
	for _, a := range list {
		words = append(words, fmt.Sprintf("%d.%d.%d %s", a.Round, a.Step, a.Attempt, a.State))
	}
	return words
}

// live runs the engine as the server does (two stages and the job runner) until
// the returned function is called. It waits for everything to end. kill ends it
// from within, without waiting.
func (w *world) live() (end func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	w.kill = cancel
	var wg sync.WaitGroup
	worker := &jobs.Runner{DB: w.db, Clock: w.clock, Handlers: w.engine.Handlers(), OnError: func(j jobs.Job, err error) {
		w.t.Logf("job %s %s attempt %d: %v", j.Kind, j.Key, j.Attempt, err)
	}}
	failed := func(f journal.Failure) { w.t.Logf("stage %s: %v", f.Stage, f.Err) }
	for _, s := range []journal.Stage{w.engine.Stage(w.topicIncidents.Bind(w.db)), w.engine.OrderStage(w.topicOrders.Bind(w.db))} {
		s.OnFailure = failed
		wg.Go(func() { w.ended(journal.Run(ctx, w.db, s)) })
	}
	wg.Go(func() { w.ended(worker.Run(ctx)) })
	var once sync.Once
	end = func() {
		once.Do(func() {
			cancel()
			wg.Wait()
		})
	}
	w.t.Cleanup(end)
	return end
}

func (w *world) ended(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		w.t.Errorf("a part of the engine ended: %v", err)
	}
}

// until waits until the condition holds, letting time pass where the engine
// waits for it.
func (w *world) until(what string, pass time.Duration, ok func() bool) {
	w.t.Helper()
	deadline := time.After(3 * time.Minute)
	for !ok() {
		if w.t.Failed() {
			w.t.FailNow()
		}
		if pass > 0 && w.clock.Waiters() > 0 {
			w.clock.Advance(pass)
		}
		select {
		case <-deadline:
			w.t.Fatalf("not within 20 s: %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// untilSays waits until the timeline says the words.
func (w *world) untilSays(id core.UUID, words string, pass time.Duration) {
	w.t.Helper()
	w.until("the timeline says "+words, pass, func() bool { return strings.Contains(w.said(id), words) })
}

func (w *world) untilState(id core.UUID, s incident.State) {
	w.t.Helper()
	w.until("incident "+string(s), 0, func() bool { return w.incident(id).State == s })
}

// untilOrder waits for a live order and returns its request key.
func (w *world) untilOrder(id core.DeviceID, kind link.OrderType, pass time.Duration) (key string) {
	w.t.Helper()
	w.until(string(kind)+" of "+id.String(), pass, func() bool {
		o, ok := w.find(id, kind)
		key = o.Request
		return ok
	})
	return key
}

// untilRun waits until the incident's run is in the state.
func (w *world) untilRun(id core.UUID, s playbook.RunState, pass time.Duration) playbook.Run {
	w.t.Helper()
	w.until("run "+string(s), pass, func() bool {
		runs, err := w.engine.List(w.t.Context(), tenant, id)
		return err == nil && len(runs) == 1 && runs[0].State == s
	})
	return w.run(id)
}
