package reflex_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/reflex"
)

func TestThePlanIsWhatItSays(t *testing.T) {
	rows := map[string]reflex.Allow{
		"plan-ipv4": {Servers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:8443")}},
		"plan-dual": {Servers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:8443"), netip.MustParseAddrPort("[2001:db8::1]:443"), netip.MustParseAddrPort("[::ffff:10.0.0.2]:8443")}, DHCP: true},
		"plan-none": {},
	}
	for name, allow := range rows {
		golden := filepath.Join("testdata", name+".nft")
		got := reflex.Plan(allow)
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

// output is an output that can be made to hang or fail.
type output struct {
	id   string
	hang chan struct{}
	err  error
	safe bool
}

func (o *output) ID() string { return o.id }

func (o *output) Safe() error {
	if o.hang != nil {
		<-o.hang
	}
	o.safe = o.err == nil
	return o.err
}
func (o *output) Resume() error          { o.safe = false; return o.err }
func (o *output) State() (string, error) { return "x", o.err }

func TestAHangingOutputHoldsUpNoOther(t *testing.T) {
	dir := t.TempDir()
	hang := &output{id: "hung", hang: make(chan struct{})}
	defer close(hang.hang)
	relay := reflex.NewFileRelay("relay", filepath.Join(dir, "relay"))
	c := reflex.New(reflex.Dry{}, func() reflex.Allow { return reflex.Allow{} }, hang, relay)
	clock := clocktest.New(time.Unix(1_700_000_000, 0))
	effect := make(chan reflex.Effect, 1)
	go func() { effect <- c.Stop(clock, time.Second) }()
	for {
		if s, err := relay.State(); err == nil && s == reflex.RelaySafe {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("the relay waits for the hung output")
		}
	}
	clock.Advance(time.Second)
	err := (<-effect).Err
	if err == nil || !strings.Contains(err.Error(), "hung did not answer") {
		t.Errorf("Stop: %v", err)
	}
}

func TestAFailingOutputIsNamedAndTheOthersStop(t *testing.T) {
	broken := &output{id: "broken", err: errors.New("no such device")}
	good := &output{id: "good"}
	c := reflex.New(reflex.Dry{}, func() reflex.Allow { return reflex.Allow{} }, broken, good)
	err := c.Stop(clocktest.New(time.Unix(1_700_000_000, 0)), time.Second).Err
	if err == nil || !strings.Contains(err.Error(), "output broken: no such device") || !good.safe {
		t.Errorf("Stop: %v, the other is safe: %v", err, good.safe)
	}
	if c.Outputs()["broken"] != "unknown: no such device" {
		t.Errorf("outputs %v", c.Outputs())
	}
}

func TestARelayFileThatSaysNonsenseIsNoState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay")
	r := reflex.NewFileRelay("relay", path)
	if _, err := r.State(); err == nil {
		t.Error("a missing file is a state")
	}
	if err := os.WriteFile(path, []byte("perhaps"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.State(); core.KindOf(err) != core.KindDamaged {
		t.Errorf("State: %v", err)
	}
}

func TestWithoutEnforcementNothingIsClaimed(t *testing.T) {
	c := reflex.New(reflex.Dry{}, func() reflex.Allow {
		return reflex.Allow{Servers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:8443")}}
	})
	e := c.Contain()
	if e.Enforced || e.Err != nil || !strings.Contains(e.Plan, "ip daddr 10.0.0.1 tcp dport 8443 accept") {
		t.Errorf("effect %+v", e)
	}
	if st, err := c.Status(); err != nil || st.Present || st.Intact || st.Why == "" {
		t.Errorf("status %+v, %v", st, err)
	}
	if !c.Contained() {
		t.Error("the wish is forgotten")
	}
}

// failing refuses until it is told otherwise.
type failing struct {
	reflex.Dry
	err     error
	applied int
}

func (f *failing) Enforces() bool           { return true }
func (f *failing) Apply(reflex.Allow) error { f.applied++; return f.err }
func (f *failing) Status(reflex.Allow) (reflex.Status, error) {
	return reflex.Status{Why: "missing"}, nil
}

func TestAQuarantineThatFailedIsTriedAgain(t *testing.T) {
	fw := &failing{err: errors.New("no nf_tables")}
	c := reflex.New(fw, func() reflex.Allow { return reflex.Allow{} })
	if e := c.Contain(); e.Err == nil || e.Enforced || !c.Contained() {
		t.Errorf("effect %+v", e)
	}
	if _, err := c.Check(); err == nil {
		t.Error("Check hides the failure")
	}
	fw.err = nil
	if wrong, err := c.Check(); wrong != "missing" || err != nil || fw.applied != 3 {
		t.Errorf("Check = %q, %v after %d tries", wrong, err, fw.applied)
	}
}

func TestTheSimulatedFirewallNoticesChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules")
	c := reflex.New(reflex.Simulated{Path: path}, func() reflex.Allow { return reflex.Allow{} })
	if e := c.Contain(); !e.Enforced || e.Err != nil {
		t.Fatalf("effect %+v", e)
	}
	if err := os.WriteFile(path, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if wrong, err := c.Check(); wrong == "" || err != nil {
		t.Errorf("Check = %q, %v", wrong, err)
	}
	if e := c.Release(); e.Err != nil {
		t.Error(e.Err)
	}
	if st, err := c.Status(); st.Present || err != nil {
		t.Errorf("status %+v, %v", st, err)
	}
}
