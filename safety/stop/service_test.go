package stop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
)

var (
	vera, bert, cora = core.MustID[core.PersonID]("vera"), core.MustID[core.PersonID]("bert"), core.MustID[core.PersonID]("cora")
	lineP, lineO     = core.MustID[LineID]("press"), core.MustID[LineID]("oven")
	siteA            = Scope{Kind: ScopeSite, Site: hallA}
)

// sign is a signer that writes what it would sign.
func sign(s Stop, t Target) ([]byte, error) {
	return fmt.Appendf(nil, "%s %s", s.ID, t.Device), nil
}

func dev(name string) core.DeviceID { return core.MustID[core.DeviceID](name) }

func who(p core.PersonID) core.Principal {
	return core.Principal{Kind: core.KindPerson, ID: p.String(), Tenant: tenant}
}

func target(site core.SiteID, n int) Target {
	t := Target{Tenant: tenant, Site: site, Device: dev(fmt.Sprintf("%s-%d", site, n))}
	switch {
	case n%2 == 0:
		t.Line = lineP
	case n == 1:
		t.Line = lineO
	}
	return t // the last one's line nobody has said
}

// plant is a service with two halls of four devices each.
func plant(t testing.TB, ring *Ring, clock core.Clock) *Service {
	t.Helper()
	s := NewService(Config{Ring: ring, Hub: NewHub(sign), Clock: clock})
	s.SetPersons([]Person{
		{ID: vera, Tenant: tenant, Sites: []core.SiteID{hallA}, UIDs: []uint32{uint32(os.Getuid())}},
		{ID: bert, Tenant: tenant, Sites: []core.SiteID{hallA, hallB}},
		{ID: cora, Tenant: tenant},
	})
	var targets []Target
	for _, site := range []core.SiteID{hallA, hallB} {
		for n := range 4 {
			targets = append(targets, target(site, n))
		}
	}
	s.SetTargets(targets)
	return s
}

func memoryPlant(t testing.TB) (*Service, *clocktest.Clock) {
	clock := clocktest.New(noon)
	return plant(t, NewMemoryRing(RingOptions{Slots: MinSlots}), clock), clock
}

func mustTrip(t testing.TB, s *Service, p core.Principal, sc Scope) Result {
	t.Helper()
	r, err := s.Trip(p, sc, "smoke")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestWhoStopsWhat is the matrix of F04 for stops.
func TestWhoStopsWhat(t *testing.T) {
	s, _ := memoryPlant(t)
	machine := core.Principal{Kind: core.KindDevice, ID: "hall-a-1", Tenant: tenant}
	service := core.Principal{Kind: core.KindService, ID: "playbook", Tenant: tenant, Sites: []core.SiteID{hallA}}
	token := core.Principal{Kind: core.KindToken, ID: "vera", Tenant: tenant, Sites: []core.SiteID{hallA}}
	abroad := who(vera)
	abroad.Tenant = core.MustID[core.TenantID]("rival")
	claims := who(vera)
	claims.Sites = []core.SiteID{hallB}
	rows := []struct {
		name  string
		who   core.Principal
		scope Scope
		want  core.Kind
		stops int // devices reached; -1 refused
	}{
		{"own device", who(vera), Scope{Kind: ScopeDevice, Device: dev("hall-a-1")}, 0, 1},
		{"own device with its site", who(vera), Scope{Kind: ScopeDevice, Device: dev("hall-a-1"), Site: hallA}, 0, 1},
		{"own line", who(vera), Scope{Kind: ScopeLine, Site: hallA, Line: lineP}, 0, 3},
		{"own site", who(vera), siteA, 0, 4},
		{"fleet is the own sites", who(vera), Scope{Kind: ScopeFleet}, 0, 4},
		{"fleet of two halls", who(bert), Scope{Kind: ScopeFleet}, 0, 8},
		{"a device the server does not know", who(vera), Scope{Kind: ScopeDevice, Device: dev("new-1"), Site: hallA}, 0, 1},
		{"nor its site", who(vera), Scope{Kind: ScopeDevice, Device: dev("new-1")}, core.KindNotFound, -1},
		{"foreign device", who(vera), Scope{Kind: ScopeDevice, Device: dev("hall-b-1")}, core.KindDenied, -1},
		{"foreign device under the own site's name", who(vera), Scope{Kind: ScopeDevice, Device: dev("hall-b-1"), Site: hallA}, core.KindDenied, -1},
		{"foreign site", who(vera), Scope{Kind: ScopeSite, Site: hallB}, core.KindDenied, -1},
		{"sites are ours to know, not the caller's", claims, Scope{Kind: ScopeSite, Site: hallB}, core.KindDenied, -1},
		{"no sites", who(cora), Scope{Kind: ScopeFleet}, core.KindDenied, -1},
		{"unknown person", who(core.MustID[core.PersonID]("eve")), siteA, core.KindDenied, -1},
		{"another tenant", abroad, siteA, core.KindDenied, -1},
		{"a person without a name", core.Principal{Kind: core.KindPerson, Tenant: tenant}, siteA, core.KindUnauthenticated, -1},
		{"a device itself", machine, Scope{Kind: ScopeDevice, Device: dev("hall-a-1")}, 0, 1},
		{"a device its neighbour", machine, Scope{Kind: ScopeDevice, Device: dev("hall-a-2")}, core.KindDenied, -1},
		{"a device its site", machine, siteA, core.KindDenied, -1},
		{"a playbook", service, siteA, core.KindDenied, -1},
		{"a token", token, siteA, core.KindDenied, -1},
		{"a stranger", core.Principal{Kind: core.KindStranger, ID: "x"}, siteA, core.KindDenied, -1},
		{"nobody", core.Principal{}, siteA, core.KindDenied, -1},
		{"no scope", who(vera), Scope{}, core.KindInvalid, -1},
		{"a site too much", who(vera), Scope{Kind: ScopeFleet, Site: hallA}, core.KindInvalid, -1},
		{"a line without a site", who(vera), Scope{Kind: ScopeLine, Line: lineP}, core.KindInvalid, -1},
	}
	for _, r := range rows {
		result, err := s.Trip(r.who, r.scope, "")
		if r.stops < 0 {
			if core.KindOf(err) != r.want {
				t.Errorf("%s: %v, kind %s", r.name, err, core.KindOf(err))
			}
			continue
		}
		if err != nil || result.NotConfirmed() != r.stops || !result.Recorded {
			t.Errorf("%s: %v, %d devices", r.name, err, result.NotConfirmed())
		}
	}
}

func TestALongReasonIsCutAndTheStopGoesOut(t *testing.T) {
	s, _ := memoryPlant(t)
	for _, reason := range []string{strings.Repeat("ä", 5000), "a\x00b\xff\n", strings.Repeat("x", MaxReason+1)} {
		result, err := s.Trip(who(vera), siteA, reason)
		if err != nil {
			t.Fatal(err)
		}
		got := result.Stops[0].Reason
		rec := s.ring.Active()[0]
		if len(got) > MaxReason || got == "" || strings.ContainsAny(got, "\x00\n") || !utf8.ValidString(got) || rec.Reason != got {
			t.Errorf("reason %q, recorded %q", got, rec.Reason)
		}
		if err := s.Explain(who(vera), result.Trip, strings.Repeat("x", MaxReason+1)); core.KindOf(err) != core.KindInvalid {
			t.Error(err)
		}
	}
}

// TestNotConfirmedByName is TRUST F32: 37 of 1 000 do not answer.
func TestNotConfirmedByName(t *testing.T) {
	s, _ := memoryPlant(t)
	var targets []Target
	for n := range 1000 {
		targets = append(targets, Target{Tenant: tenant, Site: hallA, Device: dev(fmt.Sprintf("press-%d", n))})
	}
	s.SetTargets(targets)
	result := mustTrip(t, s, who(vera), siteA)
	stop := result.Stops[0].ID
	for _, target := range targets[37:] {
		if !s.Confirm(tenant, target.Device, stop) {
			t.Fatalf("%s's answer was not taken", target.Device)
		}
	}
	state := s.Status(tenant).Stops[0]
	if len(state.NotConfirmed) != 37 || len(state.Confirmed) != 963 || state.String() != "site hall-a: NOT CONFIRMED: 37" || !slices.Contains(state.NotConfirmed, dev("press-36")) {
		t.Errorf("%s: %v", state, state.NotConfirmed)
	}
	for _, target := range targets[:37] {
		s.Confirm(tenant, target.Device, stop)
	}
	if got := s.Status(tenant).Stops[0].String(); got != "site hall-a: confirmed by 1000" {
		t.Error(got)
	}
	if s.Confirm(core.MustID[core.TenantID]("rival"), dev("press-1"), stop) || s.Confirm(tenant, dev("press-1"), id(1)) {
		t.Error("an answer to no stop of the tenant was taken")
	}
	s.SetTargets(append(targets, target(hallB, 1)))
	if s.Confirm(tenant, dev("hall-b-1"), stop) {
		t.Error("the answer of a device out of scope was taken")
	}
}

func TestAStopReachesStreamsNowAndLater(t *testing.T) {
	s, _ := memoryPlant(t)
	streams := map[string]*Subscription{}
	for _, site := range []core.SiteID{hallA, hallB} {
		sub := s.hub.Subscribe(target(site, 1))
		<-sub.C() // every stream looks once when it opens
		if got, err := sub.Take(); err != nil || len(got) != 0 {
			t.Fatal(got, err)
		}
		streams[site.String()] = sub
	}
	result := mustTrip(t, s, who(vera), siteA)
	<-streams["hall-a"].C()
	got, err := streams["hall-a"].Take()
	if err != nil || len(got) != 1 || string(got[0].Order) != result.Stops[0].ID.String()+" hall-a-1" {
		t.Fatalf("%v, %v", got, err)
	}
	if again, err := streams["hall-a"].Take(); err != nil || len(again) != 0 {
		t.Errorf("given twice on one stream: %v, %v", again, err)
	}
	select {
	case <-streams["hall-b"].C():
		t.Error("a stream out of scope was woken")
	default:
	}
	late := s.hub.Subscribe(target(hallA, 3))
	defer late.Close()
	<-late.C()
	if got, err := late.Take(); err != nil || len(got) != 1 {
		t.Errorf("a device that connects later: %v, %v", got, err)
	}
	streams["hall-a"].Close()
	mustTrip(t, s, who(vera), siteA)
	if n := len(s.hub.subs[tenant]); n != 2 {
		t.Errorf("%d streams open", n)
	}
}

func TestASignerThatFailsDelaysOneDevice(t *testing.T) {
	broken := errors.New("no key")
	var mu sync.Mutex
	fail := true
	hub := NewHub(func(s Stop, t Target) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		if fail && t.Device == dev("hall-a-1") {
			return nil, broken
		}
		return sign(s, t)
	})
	s := NewService(Config{Ring: NewMemoryRing(RingOptions{}), Hub: hub, Clock: clocktest.New(noon)})
	s.SetPersons([]Person{{ID: vera, Tenant: tenant, Sites: []core.SiteID{hallA}}})
	one, two := hub.Subscribe(target(hallA, 1)), hub.Subscribe(target(hallA, 2))
	mustTrip(t, s, who(vera), siteA)
	if got, err := one.Take(); !errors.Is(err, broken) || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := two.Take(); err != nil || len(got) != 1 {
		t.Errorf("the other device: %v, %v", got, err)
	}
	mu.Lock()
	fail = false
	mu.Unlock()
	if got, err := one.Take(); err != nil || len(got) != 1 {
		t.Errorf("after the repair: %v, %v", got, err)
	}
}

// TestEveryTripIsAnEffectOfItsOwn: a device that was released by hand between
// two trips is stopped again by the second.
func TestEveryTripIsAnEffectOfItsOwn(t *testing.T) {
	s, _ := memoryPlant(t)
	sub := s.hub.Subscribe(target(hallA, 1))
	ids := map[core.UUID]bool{}
	for range 100 {
		result := mustTrip(t, s, who(vera), siteA)
		got, err := sub.Take()
		if err != nil || len(got) != 1 || got[0].Stop.ID != result.Stops[0].ID || ids[got[0].Stop.ID] {
			t.Fatalf("%v, %v", got, err)
		}
		ids[got[0].Stop.ID] = true
		s.Confirm(tenant, dev("hall-a-1"), got[0].Stop.ID)
	}
	if n := len(s.Status(tenant).Stops); n != 1 || len(s.confirmed) != 1 {
		t.Errorf("%d stops are active, %d remembered", n, len(s.confirmed))
	}
}

func TestAStopIsLatchedOverARestartAndEndsByReset(t *testing.T) {
	clock, path := clocktest.New(noon), filepath.Join(t.TempDir(), "ring")
	ring := openRing(t, path, RingOptions{})
	s := plant(t, ring, clock)
	first := mustTrip(t, s, who(vera), siteA).Stops[0]
	second := mustTrip(t, s, who(bert), Scope{Kind: ScopeSite, Site: hallB}).Stops[0]
	s.Confirm(tenant, dev("hall-a-1"), first.ID)
	if err := s.Reset(who(bert), first.ID, "checked", dev("hall-a-1")); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(tenant).Stops[0]; !slices.Equal(st.Reset, []core.DeviceID{dev("hall-a-1")}) || len(st.Confirmed) != 0 {
		t.Errorf("a device that was taken out: %+v", st)
	}
	ring = reopen(t, ring)
	s = plant(t, ring, clock)
	status := s.Status(tenant)
	if len(status.Stops) != 2 || status.Stops[0].ID != first.ID || status.Stops[1].Reason != "smoke" || status.Stops[1].By != "person/bert" {
		t.Fatalf("%+v", status)
	}
	for n, want := range []int{1, 0, 1} { // device 1 was taken out
		if got, err := s.hub.Subscribe(target(hallA, n)).Take(); err != nil || len(got) != want {
			t.Errorf("device %d after the restart: %v, %v", n, got, err)
		}
	}
	if slices.Contains(status.Stops[0].NotConfirmed, dev("hall-a-1")) {
		t.Error("a device that was taken out is still asked for")
	}
	for _, bad := range []struct {
		who  core.Principal
		stop core.UUID
	}{{who(bert), id(9)}, {core.Principal{Kind: core.KindPerson, ID: "x", Tenant: core.MustID[core.TenantID]("rival")}, second.ID}} {
		if err := s.Reset(bad.who, bad.stop, ""); core.KindOf(err) != core.KindNotFound {
			t.Errorf("%v", err)
		}
	}
	if err := s.Reset(who(bert), second.ID, "checked"); err != nil {
		t.Fatal(err)
	}
	s = plant(t, reopen(t, ring), clock)
	if status := s.Status(tenant); len(status.Stops) != 1 || status.Stops[0].ID != first.ID {
		t.Errorf("after the reset and a restart: %+v", status.Stops)
	}
}

// TestARightIsWithdrawnByTwo is TRUST F31: a hundred trips are honoured, then
// two persons take the right away.
func TestARightIsWithdrawnByTwo(t *testing.T) {
	clock := clocktest.New(noon)
	ring := openRing(t, filepath.Join(t.TempDir(), "ring"), RingOptions{})
	s := plant(t, ring, clock)
	for range 100 {
		mustTrip(t, s, who(vera), siteA)
	}
	day := noon.Add(24 * time.Hour)
	for _, r := range []struct {
		by, by2 core.PersonID
		reason  string
		until   time.Time
		want    core.Kind
	}{
		{bert, bert, "r", day, core.KindDenied},
		{bert, core.PersonID{}, "r", day, core.KindDenied},
		{vera, bert, "r", day, core.KindDenied},
		{bert, vera, "r", day, core.KindDenied},
		{bert, cora, "", day, core.KindInvalid},
		{bert, cora, "r", noon, core.KindInvalid},
		{bert, cora, "r", day.Add(1), core.KindInvalid},
	} {
		if err := s.Withdraw(tenant, vera, r.until, r.reason, r.by, r.by2); core.KindOf(err) != r.want {
			t.Errorf("%+v: %v", r, err)
		}
	}
	mustTrip(t, s, who(vera), siteA)
	if err := s.Withdraw(tenant, vera, day, "a hundred in an hour", bert, cora); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Trip(who(vera), siteA, ""); core.KindOf(err) != core.KindDenied || core.HintOf(err) == "" {
			t.Errorf("%v", err)
		}
		mustTrip(t, s, who(bert), siteA)
		if n := len(s.Status(tenant).Stops); n != 1 {
			t.Errorf("%d stops are active", n)
		}
		ring = reopen(t, ring)
		s = plant(t, ring, clock) // the right stays withdrawn over a restart
	}
	clock.Advance(24 * time.Hour)
	mustTrip(t, s, who(vera), siteA)
}

// TestADiskThatStallsForEverDelaysNothing: sync never returns, and trips do.
func TestADiskThatStallsForEverDelaysNothing(t *testing.T) {
	disk := &faulty{stalled: make(chan struct{}), began: make(chan struct{}, 1)}
	ring := openRing(t, filepath.Join(t.TempDir(), "ring"), RingOptions{Sync: disk.sync, Write: disk.write})
	s := plant(t, ring, core.SystemClock{})
	sub := s.hub.Subscribe(target(hallA, 1))
	mustTrip(t, s, who(vera), siteA)
	<-disk.began // the writer hangs in sync now
	for range 5 * MinSlots {
		result := mustTrip(t, s, who(vera), siteA)
		if got, err := sub.Take(); err != nil || got[len(got)-1].Stop.ID != result.Stops[0].ID {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if status := s.Status(tenant); status.Ring.Unwritten == 0 || len(status.Stops) != 1 {
		t.Errorf("%+v", status.Ring)
	}
	close(disk.stalled)
	if n := len(reopen(t, ring).Active()); n != 1 {
		t.Errorf("%d active after the disk came back", n)
	}
}

func TestRecordsReachTheLogWhenItTakesThem(t *testing.T) {
	s, clock := memoryPlant(t)
	first := mustTrip(t, s, who(vera), siteA)
	if err := s.Explain(who(vera), first.Trip, "smoke from press 7"); err != nil {
		t.Fatal(err)
	}
	if err := s.Explain(who(vera), first.Trip, ""); core.KindOf(err) != core.KindInvalid {
		t.Error(err)
	}
	down := errors.New("audit is down")
	tries, taken := make(chan struct{}, 100), make(chan Record, 100)
	var mu sync.Mutex
	fail := true
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Run(ctx, func(_ context.Context, rec Record) error {
			mu.Lock()
			defer mu.Unlock()
			tries <- struct{}{}
			if fail {
				return down
			}
			taken <- rec
			return nil
		})
	}()
	for range 3 { // each try waits longer
		<-tries
		for clock.Waiters() == 0 {
			mustTrip(t, s, who(bert), siteA) // trips go on meanwhile
		}
		clock.Advance(maxDrainPause)
	}
	mu.Lock()
	fail = false
	mu.Unlock()
	clock.Advance(maxDrainPause)
	if rec := <-taken; rec.Kind != RecordTrip || rec.Trip != first.Trip || rec.By != "person/vera" {
		t.Errorf("%+v", rec)
	}
	if rec := <-taken; rec.Kind != RecordReason || rec.Reason != "smoke from press 7" {
		t.Errorf("%+v", rec)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestTheRosterIsKnownWithoutADatabase(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "roster.json")
	open := func() *Service {
		return NewService(Config{Ring: NewMemoryRing(RingOptions{}), Hub: NewHub(sign), Clock: clocktest.New(noon), Roster: file})
	}
	s := open()
	s.SetTargets([]Target{target(hallA, 1)})
	s.SetPersons([]Person{{ID: vera, Tenant: tenant, Sites: []core.SiteID{hallA}, UIDs: []uint32{4711}}})
	for s.roster.busy() {
	}
	st, err := os.Stat(file)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", st, err)
	}
	before := st.Sys().(*syscall.Stat_t).Ino
	s.SetTargets([]Target{target(hallA, 1)}) // nothing new, nothing written
	for s.roster.busy() {
	}
	if st, err = os.Stat(file); err != nil || st.Sys().(*syscall.Stat_t).Ino != before {
		t.Errorf("the same list was written again: %v", err)
	}
	again := open()
	if result := mustTrip(t, again, who(vera), siteA); result.NotConfirmed() != 1 {
		t.Errorf("%+v", result)
	}
	if p, ok := again.PersonOf(4711); !ok || p.ID != "vera" {
		t.Errorf("%+v", p)
	}
	if p, ok := again.PersonOf(0); ok {
		t.Errorf("uid 0 is %+v", p)
	}
	for _, bad := range []string{"{", `{"v":2,"persons":[{"id":"eve","tenant":"acme","sites":["hall-a"],"uids":[]}],"targets":[]}`} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := open().Trip(who(vera), siteA, ""); core.KindOf(err) != core.KindDenied {
			t.Errorf("a roster that can't be read gives: %v", err)
		}
	}
}

// busy reports whether the file is being written.
func (r *roster) busy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.writing
}

func TestManyAtOnce(t *testing.T) {
	s, _ := memoryPlant(t)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Add(2)
		go func() {
			defer wg.Done()
			for range 50 {
				result, err := s.Trip(who(bert), Scope{Kind: ScopeFleet}, "")
				if err != nil {
					t.Error(err)
					return
				}
				s.Status(tenant)
				_ = s.Reset(who(bert), result.Stops[0].ID, "") // somebody else's trip may have replaced it
			}
		}()
		go func() {
			defer wg.Done()
			sub := s.hub.Subscribe(target(hallA, n%4))
			defer sub.Close()
			for range 50 {
				got, err := sub.Take()
				if err != nil {
					t.Error(err)
				}
				for _, d := range got {
					s.Confirm(tenant, dev(fmt.Sprintf("hall-a-%d", n%4)), d.Stop.ID)
				}
			}
		}()
	}
	wg.Wait()
	mustTrip(t, s, who(bert), Scope{Kind: ScopeFleet})
	if n := len(s.Status(tenant).Stops); n != 2 {
		t.Errorf("%d stops are active", n)
	}
}

// TestNothingInTheWay: a broken policy set, a dead audit log, a paused database
// or a dead keys process can't matter to what does not know of them.
func TestNothingInTheWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		for _, forbidden := range []string{"interlock/platform/store", "interlock/platform/journal", "interlock/policy", "interlock/audit", "interlock/digital/", "interlock/secrets", "cedar-go", "sqlite", "pgx"} {
			if strings.Contains(pkg, forbidden) {
				t.Errorf("the stop path imports %s", pkg)
			}
		}
		if pkg == "database/sql" {
			t.Error("the stop path imports database/sql")
		}
	}
}
