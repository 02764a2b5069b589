package stop

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Config is what a [Service] stands on. All but Roster is required.
type Config struct {
	Ring  *Ring
	Hub   *Hub
	Clock core.Clock
	Log   *slog.Logger
	// Roster is a file in which persons and targets are kept, so that they
	// are known after a restart while the database is down; "" for none.
	Roster string
}

// Service takes trips. Who may stop what and which devices there are is in its
// memory, put there by those who know ([Service.SetPersons],
// [Service.SetTargets]). Safe for concurrent use; nothing in it waits for a
// disk.
type Service struct {
	ring   *Ring
	hub    *Hub
	clock  core.Clock
	log    *slog.Logger
	roster *roster

	mu        sync.Mutex
	people    map[personKey]Person
	uids      map[uint32]personKey
	targets   map[targetKey]Target
	confirmed map[core.UUID]map[core.DeviceID]bool
	out       map[core.UUID]map[core.DeviceID]bool
	withdrawn map[personKey]time.Time
}

type personKey struct {
	tenant core.TenantID
	person core.PersonID
}

type targetKey struct {
	tenant core.TenantID
	device core.DeviceID
}

// NewService returns a service in which the stops that the ring remembers are
// active again.
func NewService(c Config) *Service {
	s := &Service{
		ring: c.Ring, hub: c.Hub, clock: c.Clock, log: c.Log,
		people: make(map[personKey]Person), targets: make(map[targetKey]Target),
		confirmed: make(map[core.UUID]map[core.DeviceID]bool),
		out:       make(map[core.UUID]map[core.DeviceID]bool),
		withdrawn: make(map[personKey]time.Time),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.roster = newRoster(c.Roster, s.log)
	persons, targets := s.roster.load()
	s.setPersons(persons)
	s.setTargets(targets)
	s.recall()
	return s
}

// recall brings back what the ring remembers.
func (s *Service) recall() {
	for _, rec := range s.ring.Active() {
		s.hub.Publish(rec.stop())
	}
	for _, rec := range s.ring.Find(func(r Record) bool { return r.Kind == RecordReset && !r.Device.IsZero() }) {
		s.takeOut(rec.Stop, rec.Device)
	}
	now := s.clock.Now()
	for _, rec := range s.ring.Find(func(r Record) bool { return r.Kind == RecordWithdraw }) {
		if now.Before(rec.Until) {
			s.withdrawn[personKey{rec.Tenant, rec.Person}] = rec.Until
		}
	}
	if n := s.ring.Stats().Damaged; n > 0 {
		s.note(Record{Kind: RecordDamage, At: now, Reason: fmt.Sprintf("%d slots of the stop ring could not be read at start; stops may have been lost", n)})
	}
}

// SetPersons says who may stop what. It takes the place of what was said before.
// A uid that two persons claim is the first one's.
func (s *Service) SetPersons(persons []Person) {
	if s.setPersons(persons) {
		s.saveRoster()
	}
}

// setPersons reports whether anything changed.
func (s *Service) setPersons(persons []Person) bool {
	m, uids := make(map[personKey]Person, len(persons)), make(map[uint32]personKey)
	for _, p := range persons {
		p.Sites, p.UIDs = slices.Clone(p.Sites), slices.Clone(p.UIDs)
		key := personKey{p.Tenant, p.ID}
		m[key] = p
		for _, uid := range p.UIDs {
			if _, taken := uids[uid]; !taken {
				uids[uid] = key
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	same := reflect.DeepEqual(s.people, m)
	s.people, s.uids = m, uids
	return !same
}

// SetTargets says which devices there are, so that a stop can name who has not
// confirmed. It takes the place of what was said before.
func (s *Service) SetTargets(targets []Target) {
	if s.setTargets(targets) {
		s.saveRoster()
	}
}

// setTargets reports whether anything changed.
func (s *Service) setTargets(targets []Target) bool {
	m := make(map[targetKey]Target, len(targets))
	for _, t := range targets {
		m[targetKey{t.Tenant, t.Device}] = t
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	same := maps.Equal(s.targets, m)
	s.targets = m
	return !same
}

func (s *Service) saveRoster() {
	s.mu.Lock()
	persons := make([]Person, 0, len(s.people))
	for _, p := range s.people {
		persons = append(persons, p)
	}
	targets := make([]Target, 0, len(s.targets))
	for _, t := range s.targets {
		targets = append(targets, t)
	}
	s.mu.Unlock()
	slices.SortFunc(persons, func(a, b Person) int {
		return cmp.Or(cmp.Compare(a.Tenant.String(), b.Tenant.String()), cmp.Compare(a.ID.String(), b.ID.String()))
	})
	slices.SortFunc(targets, func(a, b Target) int {
		return cmp.Or(cmp.Compare(a.Tenant.String(), b.Tenant.String()), cmp.Compare(a.Device.String(), b.Device.String()))
	})
	s.roster.save(persons, targets)
}

// PersonOf returns the person that a user of this machine is.
func (s *Service) PersonOf(uid uint32) (core.Principal, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, known := s.people[s.uids[uid]]
	if !known {
		return core.Principal{}, false
	}
	return core.Principal{Kind: core.KindPerson, ID: p.ID.String(), Tenant: p.Tenant, Sites: slices.Clone(p.Sites)}, true
}

// Result is the answer to a trip: what was stopped, and who has not confirmed.
type Result struct {
	Trip  core.UUID `json:"trip"`
	Stops []State   `json:"stops"`
	// Recorded is false where not even the ring could keep the record.
	Recorded bool `json:"recorded"`
}

// NotConfirmed returns how many devices have not confirmed.
func (r Result) NotConfirmed() int {
	n := 0
	for _, s := range r.Stops {
		n += len(s.NotConfirmed)
	}
	return n
}

// State is an active stop with the devices in its scope.
type State struct {
	Stop
	Confirmed    []core.DeviceID `json:"confirmed"`
	NotConfirmed []core.DeviceID `json:"not_confirmed"`
	// Reset are the devices that were taken out of the stop.
	Reset []core.DeviceID `json:"reset"`
}

// String is the state for people. Only the devices' own signed results make a
// stop complete.
func (s State) String() string {
	switch {
	case len(s.NotConfirmed) > 0:
		return fmt.Sprintf("%s: NOT CONFIRMED: %d", s.Scope, len(s.NotConfirmed))
	case len(s.Confirmed) == 0 && len(s.Reset) > 0:
		return fmt.Sprintf("%s: reset on %d", s.Scope, len(s.Reset))
	case len(s.Confirmed) == 0:
		return s.Scope.String() + ": NOT CONFIRMED: no device is known there"
	}
	return fmt.Sprintf("%s: confirmed by %d", s.Scope, len(s.Confirmed))
}

// Trip stops the machines in scope. A person may stop any machine on the own
// sites, a device itself; nobody else. It is refused for no other reason than
// that, a scope that makes no sense, or a right that two persons took away. Each
// trip is an effect of its own, also where the same scope is stopped already.
func (s *Service) Trip(who core.Principal, scope Scope, reason string) (Result, error) {
	scopes, err := s.allowed(who, scope)
	if err != nil {
		return Result{}, err
	}
	reason = shorten(reason)
	now := s.clock.Now()
	result := Result{Trip: core.NewUUID(now), Recorded: true}
	for _, sc := range scopes {
		stop := Stop{ID: core.NewUUID(now), Trip: result.Trip, Tenant: who.Tenant, Scope: sc, By: who.String(), Reason: reason, At: now}
		replaced := s.hub.Publish(stop) // the effect first
		rec := Record{Kind: RecordTrip, Stop: stop.ID, Trip: stop.Trip, Tenant: stop.Tenant, Scope: sc, By: stop.By, Reason: reason, At: now, Replaces: replaced}
		result.Recorded = s.note(rec) && result.Recorded
		s.forget(replaced)
		result.Stops = append(result.Stops, s.state(stop))
	}
	return result, nil
}

// MaxReason is how long a reason may be, in bytes. A trip's is cut, because a
// long reason must not keep an order from being signed; it can be given again
// with [Service.Explain].
const MaxReason = 400

// shorten makes a reason printable and no longer than MaxReason.
func shorten(reason string) string {
	if len(reason) > MaxReason {
		reason = reason[:MaxReason]
	}
	return printable(strings.ToValidUTF8(reason, ""))
}

// note puts a record into the ring and reports whether it is kept. Nothing is
// logged here: a log can stall too. [Service.Run] logs what it drains.
func (s *Service) note(rec Record) bool {
	_, err := s.ring.Append(rec)
	return err == nil
}

// allowed turns a scope into the scopes of stops, if who may stop them.
func (s *Service) allowed(who core.Principal, scope Scope) ([]Scope, error) {
	if err := scope.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch who.Kind {
	case core.KindDevice:
		return s.allowedDevice(who, scope)
	case core.KindPerson:
		return s.allowedPerson(who, scope)
	}
	return nil, core.E(core.KindDenied, "stop.Trip", "a "+string(who.Kind)+" never stops a machine")
}

func (s *Service) allowedDevice(who core.Principal, scope Scope) ([]Scope, error) {
	if scope.Kind != ScopeDevice || scope.Device.String() != who.ID || who.Tenant.IsZero() {
		return nil, core.E(core.KindDenied, "stop.Trip", who.String()+" may stop itself and nothing else")
	}
	return []Scope{{Kind: ScopeDevice, Device: scope.Device}}, nil
}

func (s *Service) allowedPerson(who core.Principal, scope Scope) ([]Scope, error) {
	const op = "stop.Trip"
	id, err := core.ParseID[core.PersonID](who.ID)
	if err != nil {
		return nil, core.Wrap(core.KindUnauthenticated, op, err)
	}
	person, known := s.people[personKey{who.Tenant, id}]
	if !known {
		return nil, core.E(core.KindDenied, op, who.String()+" is not known here").WithHint("use a button on the machine")
	}
	if until, gone := s.withdrawn[personKey{who.Tenant, id}]; gone && s.clock.Now().Before(until) {
		return nil, core.E(core.KindDenied, op, "two persons withdrew the remote stop of "+who.String()+" until "+until.Format(time.RFC3339)).
			WithHint("the buttons on the machines work as always")
	}
	if scope.Kind == ScopeFleet {
		return fleet(who, person)
	}
	if scope.Kind == ScopeDevice {
		if scope, err = s.locate(person, scope); err != nil {
			return nil, err
		}
	}
	return []Scope{scope}, siteAllowed(who, person, scope.Site)
}

func fleet(who core.Principal, person Person) ([]Scope, error) {
	if len(person.Sites) == 0 {
		return nil, core.E(core.KindDenied, "stop.Trip", who.String()+" has no site")
	}
	scopes := make([]Scope, len(person.Sites))
	for i, site := range person.Sites {
		scopes[i] = Scope{Kind: ScopeSite, Site: site}
	}
	return scopes, nil
}

// locate finds the device's site. Where the server knows the device, the site
// that the caller states is not believed; where it does not, it is all there is
// to go by, and the stop goes out.
func (s *Service) locate(person Person, scope Scope) (Scope, error) {
	if t, ok := s.targets[targetKey{person.Tenant, scope.Device}]; ok {
		scope.Site = t.Site
	}
	if scope.Site.IsZero() {
		return scope, core.E(core.KindNotFound, "stop.Trip", "no device "+scope.Device.String()+" is known here").
			WithHint("name its site too, or stop the site")
	}
	return scope, nil
}

func siteAllowed(who core.Principal, person Person, site core.SiteID) error {
	if !slices.Contains(person.Sites, site) {
		return core.E(core.KindDenied, "stop.Trip", who.String()+" may not stop on site "+site.String())
	}
	return nil
}

// Confirm takes a device's signed answer that it carried a stop out. Only what
// verified the signature may call it. It reports whether the stop is active and
// covers the device.
func (s *Service) Confirm(tenant core.TenantID, device core.DeviceID, stop core.UUID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	target, known := s.targets[targetKey{tenant, device}]
	if !known {
		target = Target{Tenant: tenant, Device: device}
	}
	for _, a := range s.hub.Active() {
		if a.ID == stop && a.Tenant == tenant && (!known || a.Covers(target)) {
			mark(s.confirmed, stop, device)
			return true
		}
	}
	return false
}

func mark(m map[core.UUID]map[core.DeviceID]bool, stop core.UUID, device core.DeviceID) {
	if m[stop] == nil {
		m[stop] = make(map[core.DeviceID]bool)
	}
	m[stop][device] = true
}

// forget drops what is known of a stop that is over.
func (s *Service) forget(stop core.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.confirmed, stop)
	delete(s.out, stop)
}

// Reset ends a stop, or takes the devices named out of it: it is not given to
// streams any more. It loosens, so the caller has asked the Guard and has the
// approvals; and a device starts only on a reset order that carries the
// threshold of the trust root.
func (s *Service) Reset(who core.Principal, stop core.UUID, reason string, devices ...core.DeviceID) error {
	now := s.clock.Now()
	if !s.isActive(who.Tenant, stop) {
		return core.E(core.KindNotFound, "stop.Reset", "no stop "+stop.String()+" is active")
	}
	rec := Record{Kind: RecordReset, Stop: stop, Tenant: who.Tenant, By: who.String(), Reason: reason, At: now}
	if len(devices) == 0 {
		if _, err := s.ring.Append(rec); err != nil { // a reset can wait: record first
			return err
		}
		s.hub.End(stop)
		s.forget(stop)
		return nil
	}
	for _, d := range devices {
		rec.Device = d
		if _, err := s.ring.Append(rec); err != nil {
			return err
		}
		s.takeOut(stop, d)
	}
	return nil
}

func (s *Service) takeOut(stop core.UUID, device core.DeviceID) {
	if s.hub.End(stop, device) {
		s.mu.Lock()
		defer s.mu.Unlock()
		mark(s.out, stop, device)
	}
}

func (s *Service) isActive(tenant core.TenantID, stop core.UUID) bool {
	return slices.ContainsFunc(s.hub.Active(), func(a Stop) bool { return a.ID == stop && a.Tenant == tenant })
}

// Explain gives a trip its reason afterwards.
func (s *Service) Explain(who core.Principal, trip core.UUID, reason string) error {
	if reason == "" || len(reason) > MaxReason {
		return core.E(core.KindInvalid, "stop.Explain", fmt.Sprintf("a reason has 1 to %d bytes, this has %d", MaxReason, len(reason)))
	}
	_, err := s.ring.Append(Record{Kind: RecordReason, Trip: trip, Tenant: who.Tenant, By: who.String(), Reason: reason, At: s.clock.Now()})
	return err
}

// maxWithdraw is how long a remote stop can be taken away at a time.
const maxWithdraw = 24 * time.Hour

// Withdraw takes a person's remote stop away for at most a day, by two others
// (TRUST F31). Stops that are active stay; buttons are untouched. That the two
// agreed is the caller's to have proved.
func (s *Service) Withdraw(tenant core.TenantID, person core.PersonID, until time.Time, reason string, by, by2 core.PersonID) error {
	const op = "stop.Withdraw"
	now := s.clock.Now()
	switch {
	case person.IsZero() || by.IsZero() || by2.IsZero() || by == by2 || by == person || by2 == person:
		return core.E(core.KindDenied, op, "a person's remote stop is withdrawn by two other persons")
	case reason == "":
		return core.E(core.KindInvalid, op, "the reason is empty")
	case !until.After(now) || until.Sub(now) > maxWithdraw:
		return core.E(core.KindInvalid, op, "a remote stop is withdrawn for at most a day")
	}
	rec := Record{Kind: RecordWithdraw, Tenant: tenant, Person: person, Until: until.UTC(), By: "person/" + by.String(), By2: "person/" + by2.String(), Reason: reason, At: now}
	if _, err := s.ring.Append(rec); err != nil { // it loosens: no record, no effect
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withdrawn[personKey{tenant, person}] = until
	return nil
}

// Status is how the stops of a tenant are.
type Status struct {
	Stops []State   `json:"stops"`
	Ring  RingStats `json:"ring"`
}

// Status returns the active stops of a tenant, oldest first.
func (s *Service) Status(tenant core.TenantID) Status {
	out := Status{Stops: []State{}, Ring: s.ring.Stats()}
	for _, stop := range s.hub.Active() {
		if stop.Tenant == tenant {
			out.Stops = append(out.Stops, s.state(stop))
		}
	}
	return out
}

// state sorts the devices in a stop's scope into confirmed and not confirmed.
func (s *Service) state(stop Stop) State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := State{Stop: stop, Confirmed: []core.DeviceID{}, NotConfirmed: []core.DeviceID{}, Reset: []core.DeviceID{}}
	for d := range s.confirmed[stop.ID] {
		if !s.out[stop.ID][d] {
			st.Confirmed = append(st.Confirmed, d)
		}
	}
	for d := range s.out[stop.ID] {
		st.Reset = append(st.Reset, d)
	}
	for k, t := range s.targets {
		if stop.Covers(t) && !s.confirmed[stop.ID][k.device] && !s.out[stop.ID][k.device] {
			st.NotConfirmed = append(st.NotConfirmed, k.device)
		}
	}
	if _, known := s.targets[targetKey{stop.Tenant, stop.Scope.Device}]; stop.Scope.Kind == ScopeDevice && !known && !s.confirmed[stop.ID][stop.Scope.Device] && !s.out[stop.ID][stop.Scope.Device] {
		st.NotConfirmed = append(st.NotConfirmed, stop.Scope.Device)
	}
	byName := func(a, b core.DeviceID) int { return cmp.Compare(a.String(), b.String()) }
	slices.SortFunc(st.Confirmed, byName)
	slices.SortFunc(st.NotConfirmed, byName)
	slices.SortFunc(st.Reset, byName)
	return st
}

// Sink takes a record into the audit log, marked deferred. It must be able to
// take the same record twice: after a crash the last ones come again.
type Sink func(ctx context.Context, rec Record) error

// Bounds of the pause after a sink's error.
const (
	minDrainPause = time.Second
	maxDrainPause = 30 * time.Second
)

// Run moves records from the ring to the sink until ctx ends, and logs each. A
// sink that fails is tried again, ever less often; stops do not wait for it.
func (s *Service) Run(ctx context.Context, sink Sink) error {
	pause, logged := minDrainPause, uint64(0)
	told := func(ctx context.Context, rec Record) error {
		if rec.Seq > logged {
			s.log.Warn("stop path", slog.String("kind", string(rec.Kind)), slog.Any("by", rec.By), slog.String("scope", rec.Scope.String()), slog.String("stop", rec.Stop.String()), slog.Any("reason", rec.Reason))
			logged = rec.Seq
		}
		return sink(ctx, rec)
	}
	for {
		var again <-chan time.Time
		more := s.ring.pending
		if err := s.ring.Drain(ctx, told); err != nil {
			s.log.Warn("records of stops wait for the audit log", slog.Any("waiting", s.ring.Stats().Undrained), slog.Any("error", err))
			again, more = s.clock.After(pause), nil
			pause = min(2*pause, maxDrainPause)
		} else {
			pause = minDrainPause
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again:
		case <-more:
		}
	}
}
