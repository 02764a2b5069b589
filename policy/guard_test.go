package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// journal is a recorder in memory. It fails while fail is set and tells of each
// record on wrote.
type journal struct {
	mu    sync.Mutex
	fail  error
	lines []string
	wrote chan string
}

func newJournal() *journal { return &journal{wrote: make(chan string, 4096)} }

func (j *journal) Intent(_ context.Context, who core.Principal, action core.Action, on core.Resource, d core.Decision) (core.Position, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail != nil {
		j.wrote <- "failed"
		return core.Position{}, j.fail
	}
	line := fmt.Sprintf("%s %s %s %v", who, action, on, d.Allowed)
	if strings.Contains(d.Reason, "deferred") {
		line += " deferred"
	}
	j.lines = append(j.lines, line)
	j.wrote <- line
	return core.Position{Origin: "test", Index: uint64(len(j.lines))}, nil
}

func (j *journal) setFail(err error) {
	j.mu.Lock()
	j.fail = err
	j.mu.Unlock()
}

func (j *journal) len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.lines)
}

func TestWhatIsRecordedBeforeTheAnswer(t *testing.T) {
	log := core.Resource{Type: "audit", ID: "log", Tenant: tenant}
	operator, officer := person("otto", core.RoleOperator), person("olga", core.RoleSecurityOfficer)
	rows := []struct {
		who      core.Principal
		action   core.Action
		on       core.Resource
		allowed  bool
		recorded bool
	}{
		{operator, DeviceList, device("press-7"), true, false},
		{operator, DeviceQuarantine, device("press-7"), true, true},
		{operator, AlertAck, log, true, true},
		{operator, DeviceRelease, device("press-7"), true, true},
		{operator, EventRead, log, true, true},
		{officer, AuditRead, log, true, true},
		{operator, AuditRead, log, false, true},
		{operator, "no.such", log, false, true},
		{token, DeviceStop, device("press-7"), false, true},
		{machine("press-7"), BatchAppend, device("press-7"), true, false},
		{machine("press-8"), BatchAppend, device("press-7"), false, true},
		{stranger, HealthRead, log, true, false},
		{stranger, DeviceList, log, false, false},
		{core.Principal{}, DeviceList, log, false, false},
		{core.Principal{Kind: "wizard", ID: "x"}, DeviceList, log, false, false},
	}
	for _, r := range rows {
		j := newJournal()
		d, err := NewGuard(Default(), j, clocktest.New(noon)).Permit(context.Background(), r.who, r.action, r.on)
		if err != nil || d.Allowed != r.allowed || (j.len() == 1) != r.recorded || (d.Intent != core.Position{}) != r.recorded {
			t.Errorf("%s %s: %+v, %v, records %v", r.who, r.action, d, err, j.lines)
		}
	}
}

func TestARecordThatFailsIsNeverAPermit(t *testing.T) {
	full := errors.New("disk full")
	for _, row := range []struct {
		who    core.Principal
		action core.Action
	}{
		{person("otto", core.RoleOperator), DeviceQuarantine},
		{person("otto", core.RoleOperator), EventRead},
		{person("otto", core.RoleOperator), TokenCreate}, // a refusal
	} {
		j := newJournal()
		j.fail = full
		g := NewGuard(Default(), j, clocktest.New(noon))
		d, err := g.Permit(context.Background(), row.who, row.action, device("press-7"))
		if !errors.Is(err, full) || d.Allowed {
			t.Errorf("%s: %+v, %v", row.action, d, err)
		}
		if n := g.Caps().Used(row.who); n != 0 {
			t.Errorf("%s used %d of the cap without an effect", row.action, n)
		}
	}
}

func TestACancelledRequestIsNotPermittedButAStopIs(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	g := NewGuard(Default(), newJournal(), clocktest.New(noon))
	if d, err := g.Permit(ctx, person("otto", core.RoleOperator), DeviceQuarantine, device("press-7")); err == nil || d.Allowed {
		t.Errorf("quarantine: %+v, %v", d, err)
	}
	if d, err := g.Permit(ctx, person("vera"), DeviceStop, device("press-7")); err != nil || !d.Allowed {
		t.Errorf("stop: %+v, %v", d, err)
	}
}

// TestAStopIsAnsweredWhileTheLogIsDead and recorded, marked deferred, when the
// log is back.
func TestAStopIsAnsweredWhileTheLogIsDead(t *testing.T) {
	clock, j := clocktest.New(noon), newJournal()
	j.fail = errors.New("disk full")
	g := NewGuard(nil, j, clock)
	d, err := g.Permit(context.Background(), person("vera", core.RoleViewer), DeviceStop, device("press-7"))
	if err != nil || !d.Allowed {
		t.Fatalf("%+v, %v", d, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	if got := <-j.wrote; got != "failed" {
		t.Fatalf("first try: %s", got)
	}
	j.setFail(nil)
	got := ""
	for got == "" { // the retry sleeps on the clock; advance until it wrote
		select {
		case got = <-j.wrote:
		default:
			clock.Advance(retryEvery)
		}
		if got == "failed" {
			got = ""
		}
	}
	if want := "person/vera device.stop device/press-7 true deferred"; got != want {
		t.Errorf("recorded %q, want %q", got, want)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if waiting, lost := g.Deferred(); waiting != 0 || lost != 0 {
		t.Errorf("%d waiting, %d lost", waiting, lost)
	}
}

func TestTooManyStopsKeepTheOldestAndTheNewest(t *testing.T) {
	g := NewGuard(nil, newJournal(), clocktest.New(noon))
	for i := range maxLate + 10 {
		if d, err := g.Permit(context.Background(), person(fmt.Sprintf("p%d", i)), DeviceStop, device("press-7")); err != nil || !d.Allowed {
			t.Fatalf("stop %d: %+v, %v", i, d, err)
		}
	}
	waiting, lost := g.Deferred()
	first, last := g.late.wait[0].who.ID, g.late.wait[waiting-1].who.ID
	if waiting != maxLate || lost != 10 || first != "p0" || last != fmt.Sprintf("p%d", maxLate+9) {
		t.Errorf("%d waiting, %d lost, first %s, last %s", waiting, lost, first, last)
	}
}

// TestALoopOfContainmentEndsAtTheCap is TRUST F04's test: the loop ends with an
// alert, and a stop works during it.
func TestALoopOfContainmentEndsAtTheCap(t *testing.T) {
	clock, j := clocktest.New(noon), newJournal()
	var alerts int
	g := NewGuard(Default(), j, clock, Options{Capped: func(core.Principal, core.Action, core.Resource) { alerts++ }})
	for _, who := range []core.Principal{person("vera", core.RoleViewer), person("otto", core.RoleOperator), program("playbook")} {
		alerts = 0
		allowed := 0
		for i := range 1000 {
			d, err := g.Permit(context.Background(), who, []core.Action{DeviceQuarantine, DeviceSuspend}[i%2], device(fmt.Sprintf("press-%d", i)))
			if err != nil {
				t.Fatal(err)
			}
			if d.Allowed {
				allowed++
			}
			if stop, err := g.Permit(context.Background(), person("vera"), DeviceStop, device("press-1")); err != nil || !stop.Allowed {
				t.Fatalf("a stop during the loop: %+v, %v", stop, err)
			}
		}
		want := g.o.Caps.limit(who)
		if who.ID == "vera" {
			want = 0
		}
		if allowed != want || (alerts > 0) != (want > 0) {
			t.Errorf("%s contained %d objects with %d alerts, want %d", who, allowed, alerts, want)
		}
	}
	clock.Advance(CapWindow)
	if d, err := g.Permit(context.Background(), person("otto", core.RoleOperator), DeviceQuarantine, device("press-1")); err != nil || !d.Allowed {
		t.Errorf("an hour later: %+v, %v", d, err)
	}
}

func TestStrangersCostOneSummaryPerSourceAndMinute(t *testing.T) {
	clock, j := clocktest.New(noon), newJournal()
	summaries := make(chan Summary, 10)
	events, fail := 0, errors.New("audit is down")
	g := NewGuard(Default(), j, clock, Options{
		Refused: func(core.Principal, core.Action, core.Resource, core.Decision) { events++ },
		Summary: func(_ context.Context, s Summary) error {
			err := fail
			fail = nil
			summaries <- s
			return err
		},
	})
	for range 500 {
		for _, a := range []core.Action{DeviceList, AuditRead, "no.such"} {
			if d, err := g.Permit(context.Background(), stranger, a, device("press-7")); err != nil || d.Allowed {
				t.Fatal(d, err)
			}
		}
	}
	if j.len() != 0 || events != 1500 {
		t.Errorf("%d records, %d events", j.len(), events)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	for range 2 { // the first try fails and is not lost
		for len(summaries) == 0 {
			clock.Advance(summaryEvery)
		}
		s := <-summaries
		if s.Source != stranger.ID || s.Count != 1500 || len(s.Actions) != 2 || !s.From.Equal(noon) {
			t.Errorf("%+v", s)
		}
	}
	cancel()
	<-ended
}

func TestStrangersCannotFillTheMemory(t *testing.T) {
	s := newStrangers()
	for i := range 3 * maxSources {
		s.refuse(core.Principal{Kind: core.KindStranger, ID: fmt.Sprint(i)}, DeviceList, noon)
	}
	s.refuse(core.Principal{Kind: core.KindStranger, ID: strings.Repeat("x\n\xff", 1000)}, DeviceList, noon)
	all := s.take()
	if len(all) != maxSources+1 || all[len(all)-1].Source != OtherSources || all[len(all)-1].Count != 2*maxSources+1 {
		t.Errorf("%d sources, last %+v", len(all), all[len(all)-1])
	}
	if name := sourceName(core.Principal{ID: strings.Repeat("ä\n", 1000)}); len(name) > maxSourceName || strings.Contains(name, "\n") {
		t.Errorf("source %q", name)
	}
}

// TestABrokenSetLeavesTheLastGoodOne is the row "policy broken" of TRUST
// section 5.
func TestABrokenSetLeavesTheLastGoodOne(t *testing.T) {
	g := NewGuard(Default(), newJournal(), clocktest.New(noon))
	was := g.Set()
	err := g.Load(fstest.MapFS{"site.cedar": {Data: []byte("permit (")}})
	if core.KindOf(err) != core.KindInvalid || !strings.Contains(err.Error(), "site.cedar:1:9") || core.HintOf(err) == "" || g.Set() != was {
		t.Errorf("%v, set changed: %v", err, g.Set() != was)
	}
	if err := g.Replace(nil); err == nil || g.Set() != was {
		t.Errorf("a nil set took the place of a good one: %v", err)
	}
	err = g.Load(fstest.MapFS{"site.cedar": {Data: []byte(`@id("a") permit (principal, action, resource);`)}})
	if err != nil || g.Set() == was || g.Set().Len() != 1 {
		t.Errorf("a good set was not loaded: %v", err)
	}
}

func TestWithoutAnyPoliciesAdministratorsRepairAndPersonsStop(t *testing.T) {
	j := newJournal()
	g := NewGuard(nil, j, clocktest.New(noon))
	installation := core.Resource{Type: "policy", ID: "set", Tenant: tenant}
	for _, r := range Actions {
		for _, who := range []core.Principal{person("adam", core.RoleAdministrator), person("olga", core.RoleSecurityOfficer), program("serve")} {
			want := who.ID == "adam" && contains(RepairActions, r.Action) || who.Kind == core.KindPerson && r.Action == DeviceStop
			on := installation
			if r.Action == DeviceStop {
				on = device("press-7")
			}
			d, err := g.Permit(context.Background(), who, r.Action, on)
			if err != nil || d.Allowed != want {
				t.Errorf("%s %s: %+v, %v", who, r.Action, d, err)
			}
		}
	}
	for action, want := range map[core.Action]bool{BatchAppend: true, OrderFetch: true, ResultAppend: true, IdentityRenew: false, IdentityWorkload: false, ReflexContain: true} {
		if d, err := g.Permit(context.Background(), machine("press-7"), action, device("press-7")); err != nil || d.Allowed != want {
			t.Errorf("a device, %s: %+v, %v", action, d, err)
		}
		if d, err := g.Permit(context.Background(), machine("press-8"), action, device("press-7")); err != nil || d.Allowed {
			t.Errorf("another device, %s: %+v, %v", action, d, err)
		}
	}
	if err := g.Replace(Default()); err != nil {
		t.Fatal(err)
	}
	if d, err := g.Permit(context.Background(), person("otto", core.RoleOperator), DeviceList, device("a")); err != nil || !d.Allowed {
		t.Errorf("after the repair: %+v, %v", d, err)
	}
	for _, a := range RepairActions {
		if c := classes[a]; c == ClassLoosen || c == ClassDestroy || c == ClassContain || c == ClassPersonal {
			t.Errorf("the repair %s is of class %s", a, c)
		}
	}
}

func TestCounted(t *testing.T) {
	counts := map[bool]int{}
	g := NewGuard(Default(), newJournal(), clocktest.New(noon), Options{Counted: func(_ core.Action, ok bool) { counts[ok]++ }})
	for _, a := range []core.Action{DeviceList, DeviceStop, AuditRead} {
		if _, err := g.Permit(context.Background(), person("vera", core.RoleViewer), a, device("press-7")); err != nil {
			t.Fatal(err)
		}
	}
	if counts[true] != 2 || counts[false] != 1 {
		t.Errorf("%v", counts)
	}
}
