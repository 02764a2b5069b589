package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/internal/devicetest"
	"github.com/interlock-security/interlock/link"
)

func TestFromTheCaseToTheServerAndBackWithTwoApprovals(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s).start()
	if e := s.event("enrolled"); !strings.Contains(string(e.Fields), `"first_use":false`) {
		t.Errorf("enrolled: %s", e.Fields)
	}
	s.event("agent_started")
	if e := s.event("inventory"); !e.Simulated {
		t.Error("a simulated sensor's event without its mark")
	}
	latch := m.opened()
	s.event("quarantine_on")
	if !m.fw.isOn() || !m.status().Contained {
		t.Error("not in quarantine")
	}
	one, env := s.approved(link.OrderRelease, link.ReleaseParams{}, latches(latch), "anna")
	s.send("order", env, nil)
	s.resultOf(one.ID, link.OutcomeRefused)
	if !m.fw.isOn() {
		t.Fatal("one person released")
	}
	two, env := s.approved(link.OrderRelease, link.ReleaseParams{}, latches(latch), "anna", "ben")
	s.send("order", env, nil)
	s.resultOf(two.ID, link.OutcomeDone)
	s.event("quarantine_off")
	s.event("latch_released", latch)
	if st := m.status(); m.fw.isOn() || st.Contained || len(st.Latches) != 0 {
		t.Errorf("after the release: %+v", st)
	}
	again, env := s.approved(link.OrderRelease, link.ReleaseParams{}, latches(latch), "anna", "ben")
	s.send("order", env, nil)
	if r := s.resultOf(again.ID, link.OutcomeRefused); !strings.Contains(r.Detail, "not latched") {
		t.Errorf("yesterday's latch: %+v", r)
	}
	checkChains(t, s)
}

// checkChains checks that what arrived is one chain an epoch.
func checkChains(t *testing.T, s *server) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	last := map[string]uint64{}
	for _, b := range s.batches {
		if b.First != last[b.Epoch]+1 {
			t.Errorf("epoch %s: %d after %d", b.Epoch, b.First, last[b.Epoch])
		}
		last[b.Epoch] = b.Last
	}
}

// TestTheCapturedServer gives the attacker every key of the server and lets it
// try everything that leads away from safety.
func TestTheCapturedServer(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s).start()
	latch := m.opened()
	s.event("quarantine_on")
	before := m.status()
	until := time.Now().Add(time.Hour).UnixMicro()
	hash := strings.Repeat("ab", 32)
	attempts := map[link.OrderType]any{
		link.OrderRelease:       link.ReleaseParams{Presence: before.Presence},
		link.OrderReset:         link.ResetParams{Presence: before.Presence},
		link.OrderDisarm:        link.DisarmParams{Arming: core.Disarmed, Until: until, Presence: before.Presence},
		link.OrderBypass:        link.BypassParams{Sensor: core.MustID[core.SensorID]("case"), Until: until, Presence: before.Presence},
		link.OrderBaseline:      link.BaselineParams{Sensor: core.MustID[core.SensorID]("case"), SHA256: hash},
		link.OrderPolicy:        link.PolicyParams{Version: 9, SHA256: hash},
		link.OrderUpdate:        link.UpdateParams{Version: "9.9.9", SHA256: hash, Size: 1},
		link.OrderServerAddress: link.ServerAddressParams{Servers: []string{"evil.example:443"}},
		link.OrderZeroize:       link.ZeroizeParams{},
		link.OrderRetire:        link.RetireParams{},
	}
	for _, kind := range link.AllOrderTypes {
		row, _ := link.DirectionOf(kind)
		params, away := attempts[kind]
		if away != row.Direction.Away() {
			t.Fatalf("%s is %s and the attack list says %v", kind, row.Direction, away)
		}
		if !away {
			continue
		}
		change := func(o *link.Order) {
			if kind == link.OrderRelease {
				o.Latches = []string{latch}
			}
		}
		// In both namespaces, with both server keys, with one person's key
		// beside them, and with a login that a person signed.
		for _, by := range []struct {
			namespace string
			keys      []string
		}{
			{link.NamespaceOrder, []string{"command", "stop"}},
			{link.NamespaceApproval, []string{"command", "stop"}},
			{link.NamespaceApproval, []string{"anna", "command", "stop"}},
			{link.NamespaceRoot, []string{"anna", "ben"}},
			{link.NamespaceBatch, []string{"anna", "ben", "cora"}},
			{link.NamespaceApproval, []string{"mallory", "mallory2"}},
		} {
			o, env := s.order(kind, params, change, by.namespace, by.keys...)
			s.send("order", env, nil)
			if r := s.resultOf(o.ID, link.OutcomeRefused); r.Detail == "" {
				t.Errorf("%s is refused without a word", kind)
			}
		}
		s.event("order_refused", fmt.Sprintf("%q", kind))
	}
	after := m.status()
	if !after.Contained || len(after.Latches) != 1 || after.Arming != core.Armed || after.Policy != 0 || strings.Contains(fmt.Sprint(after.Servers), "evil") || !m.fw.isOn() {
		t.Errorf("the server got something: %+v", after)
	}
}

func TestTheCapturedServerCannotChangeTheTrustRoot(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s).start()
	s.event("agent_started")
	hash := m.status().RootHash
	evil := *s.site.Root
	evil.Version++
	evil.Persons = append([]link.Person{}, evil.Persons...)
	evil.Persons[0].Name = "MALLORY"
	payload, err := link.EncodeRoot(&evil)
	s.must(err)
	for _, keys := range [][]string{{"command"}, {"command", "stop"}, {"anna/recovery"}, {"anna", "ben", "cora"}, {"anna/recovery", "anna"}} {
		env, err := s.site.Seal(link.NamespaceRoot, payload, keys...).Encode()
		s.must(err)
		s.send("root", env, s.site.RootProof(strings.Repeat("0", 64)))
	}
	s.await("every attempt on record", func() bool {
		n := 0
		for _, b := range s.batches {
			for _, e := range b.Events {
				if e.Type == "root_refused" {
					n++
				}
			}
		}
		return n == 5
	})
	if got := m.status(); got.RootHash != hash || got.RootVersion != 1 {
		t.Errorf("root %d %s", got.RootVersion, got.RootHash)
	}
	// The people themselves can.
	s.site.Root.Version++
	s.send("root", s.site.RootEnvelope(), s.site.RootProof(s.site.RootHash()))
	s.event("root_updated")
	m.stop()
	m.start()
	s.await("a batch under root 2", func() bool { return s.batches[len(s.batches)-1].RootVersion == 2 })
	if got := m.status(); got.RootVersion != 2 {
		t.Errorf("after a restart: root %d", got.RootVersion)
	}
}

func TestAStopActsAndAnswersAndOnlyPeopleResetIt(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s).start()
	s.event("agent_started")
	o, env := s.order(link.OrderStop, link.StopParams{}, nil, link.NamespaceOrder, "stop")
	s.send("order", env, nil)
	s.resultOf(o.ID, link.OutcomeDone)
	if b, err := os.ReadFile(m.relay); err != nil || string(b) != "safe\n" {
		t.Errorf("relay %q, %v", b, err)
	}
	s.event("stopped")
	m.stop()
	s.must(os.Remove(m.relay))
	m.start()
	s.await("stopped again", func() bool { b, _ := os.ReadFile(m.relay); return string(b) == "safe\n" })
	if !m.status().Stopped {
		t.Error("a restart forgot the stop")
	}
	bad, env := s.order(link.OrderReset, link.ResetParams{}, nil, link.NamespaceOrder, "command", "stop")
	s.send("order", env, nil)
	s.resultOf(bad.ID, link.OutcomeRefused)
	good, env := s.approved(link.OrderReset, link.ResetParams{}, nil, "ben", "cora")
	s.send("order", env, nil)
	s.resultOf(good.ID, link.OutcomeDone)
	if st := m.status(); st.Stopped || st.Outputs["motor"] != "allowed" {
		t.Errorf("status %+v", st)
	}
}

func TestQuarantineByOrderEndsByARelease(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s).start()
	o, env := s.order(link.OrderQuarantine, link.QuarantineParams{}, nil, link.NamespaceOrder, "command")
	s.send("order", env, nil)
	s.resultOf(o.ID, link.OutcomeDone)
	latch := s.event("quarantine_ordered").Latch
	if !m.fw.isOn() || len(latch) != 32 {
		t.Fatalf("latch %q", latch)
	}
	m.fw.mu.Lock()
	allow := m.fw.applied[0]
	m.fw.mu.Unlock()
	if len(allow.Servers) == 0 || allow.Servers[0].String() != s.srv.Listener.Addr().String() {
		t.Errorf("open stays %+v", allow)
	}
	rel, env := s.approved(link.OrderRelease, link.ReleaseParams{}, latches(latch), "anna", "cora")
	s.send("order", env, nil)
	s.resultOf(rel.ID, link.OutcomeDone)
	if m.fw.isOn() {
		t.Error("still in quarantine")
	}
}

func TestTheSameOrderTwiceIsAnsweredTheSameAndAnotherUnderItsIDIsNot(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	newMachine(t, s).start()
	o, env := s.order(link.OrderArm, link.ArmParams{}, nil, link.NamespaceOrder, "command")
	s.send("order", env, nil)
	s.resultOf(o.ID, link.OutcomeDone)
	s.send("order", env, nil)
	s.await("answered twice", func() bool {
		n := 0
		for _, r := range s.results {
			if r.Order == o.ID && r.Outcome == link.OutcomeDone {
				n++
			}
		}
		return n == 2
	})
	_, forged := s.order(link.OrderArm, link.ArmParams{}, func(x *link.Order) { x.ID, x.Reason = o.ID, "other" }, link.NamespaceOrder, "command")
	s.send("order", forged, nil)
	s.event("order_refused", "another order had this id")
}

func TestOrdersForOthersAndOldOrdersAreRefused(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	newMachine(t, s).start()
	rows := map[string]func(*link.Order){
		"another device": func(o *link.Order) { o.Device = core.MustID[core.DeviceID]("press-8") },
		"another tenant": func(o *link.Order) { o.Tenant = core.MustID[core.TenantID]("evil") },
		"another site":   func(o *link.Order) { o.Site = core.MustID[core.SiteID]("hall-2") },
		"another epoch":  func(o *link.Order) { o.Epoch = strings.Repeat("0", 32) },
		"another root":   func(o *link.Order) { o.RootVersion = 7 },
		"expired":        func(o *link.Order) { o.Issued, o.Expires = 1, 2 },
	}
	for name, change := range rows {
		until := time.Now().Add(time.Hour).UnixMicro()
		o, env := s.approved(link.OrderDisarm, link.DisarmParams{Arming: core.Disarmed, Until: until}, func(o *link.Order) {
			change(o)
			if o.Expires == 2 {
				o.Params = json.RawMessage(`{"arming":"disarmed","until":3}`)
			}
		}, "anna", "ben")
		s.send("order", env, nil)
		if r := s.resultOf(o.ID, link.OutcomeRefused); r.Detail == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for _, nonsense := range []string{`{"payload":"e30=","signatures":[]}`, `{"payload":"AAAA","signatures":[]}`} {
		s.send("order", []byte(nonsense), nil)
	}
	s.event("order_refused", `"via":"stream"`)
}

func TestPoliciesGrantsAndAddressesByTheirRoles(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s).start()
	s.event("agent_started")
	do := func(kind link.OrderType, params any, outcome link.Outcome, persons ...string) {
		t.Helper()
		o, env := s.approved(kind, params, nil, persons...)
		s.send("order", env, nil)
		s.resultOf(o.ID, outcome)
	}
	hash, until := strings.Repeat("cd", 32), time.Now().Add(time.Hour).UnixMicro()
	do(link.OrderPolicy, link.PolicyParams{Version: 2, SHA256: hash}, link.OutcomeDone, "anna", "ben")
	do(link.OrderPolicy, link.PolicyParams{Version: 1, SHA256: hash}, link.OutcomeFailed, "anna", "ben")
	do(link.OrderDisarm, link.DisarmParams{Arming: core.Maintenance, Until: until}, link.OutcomeDone, "anna", "ben")
	if st := m.status(); st.Policy != 2 || st.Arming != core.Maintenance {
		t.Errorf("status %+v", st)
	}
	m.sense(`{"do":"pulse","point":"lid","type":"case_opened","alarm":true,"severity":"critical"}`)
	if e := s.event("case_opened"); e.Latch != "" {
		t.Error("a disarmed device latched")
	}
	do(link.OrderArm, link.ArmParams{}, link.OutcomeDone, "anna", "ben")
	do(link.OrderBypass, link.BypassParams{Sensor: core.MustID[core.SensorID]("case"), Until: until}, link.OutcomeDone, "anna", "ben")
	if st := m.status(); st.Sensors[0].State != core.SensorBypassed || st.Arming != core.Armed {
		t.Errorf("status %+v", st)
	}
	for _, kind := range []link.OrderType{link.OrderUpdate, link.OrderZeroize, link.OrderRetire} {
		params := map[link.OrderType]any{
			link.OrderUpdate: link.UpdateParams{Version: "9.9.9", SHA256: hash, Size: 1}, link.OrderZeroize: link.ZeroizeParams{},
			link.OrderRetire: link.RetireParams{},
		}[kind]
		o, env := s.approved(kind, params, nil, "anna", "ben")
		s.send("order", env, nil)
		if r := s.resultOf(o.ID, link.OutcomeRefused); !strings.Contains(r.Detail, "this build cannot") {
			t.Errorf("%s: %+v", kind, r)
		}
	}
	do(link.OrderBaseline, link.BaselineParams{Sensor: core.MustID[core.SensorID]("case"), SHA256: hash}, link.OutcomeFailed, "anna", "ben") // it learns nothing
	do(link.OrderServerAddress, link.ServerAddressParams{Servers: []string{"192.0.2.1:8443"}}, link.OutcomeRefused, "anna", "ben")
	o, env := s.approved(link.OrderServerAddress, link.ServerAddressParams{Servers: []string{s.srv.Listener.Addr().String()}}, nil, "anna/recovery", "ben/recovery")
	s.send("order", env, nil)
	s.resultOf(o.ID, link.OutcomeDone)
}

func TestAGrantEndsWithTheBootTimeClock(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s).start()
	s.event("agent_started")
	o, env := s.approved(link.OrderDisarm, link.DisarmParams{Arming: core.Disarmed, Until: time.Now().Add(time.Hour).UnixMicro()}, nil, "anna", "ben")
	s.send("order", env, nil)
	s.resultOf(o.ID, link.OutcomeDone)
	m.stop()
	m.start()
	s.await("a restart of the agent keeps it", func() bool { return agentArming(m) == core.Disarmed })
	m.offset.Add(int64(61 * time.Minute))
	s.event("armed")
	if got := agentArming(m); got != core.Armed {
		t.Errorf("after an hour: %s", got)
	}
}

func agentArming(m *machine) core.Arming {
	st, err := agent.Ask(context.Background(), m.cfg.SocketPath())
	if err != nil {
		return ""
	}
	return st.Arming
}

func TestASingleOperatorWaitsAndIsInFrontOfTheDevice(t *testing.T) {
	s := newServer(t, link.ModeSingleOperator)
	m := newMachine(t, s).start()
	latch := m.opened()
	s.event("quarantine_on")
	absent, env := s.approved(link.OrderRelease, link.ReleaseParams{}, latches(latch), "anna")
	s.send("order", env, nil)
	s.resultOf(absent.ID, link.OutcomeRefused)
	code := m.status().Presence
	o, env := s.approved(link.OrderRelease, link.ReleaseParams{Presence: code}, latches(latch), "anna")
	s.send("order", env, nil)
	s.resultOf(o.ID, link.OutcomePending)
	s.event("release_pending", latch)
	if st := m.status(); st.Presence == code || len(st.Waiting) != 1 || !st.Contained {
		t.Errorf("while it waits: %+v", st)
	}
	m.stop()
	m.start() // the wait survives
	m.offset.Add(int64(9 * time.Minute))
	s.await("still waiting", func() bool {
		st, err := agent.Ask(context.Background(), m.cfg.SocketPath())
		return err == nil && st.Contained
	})
	m.offset.Add(int64(2 * time.Minute))
	s.resultOf(o.ID, link.OutcomeDone)
	if m.fw.isOn() {
		t.Error("still in quarantine")
	}
}

func TestAWaitingReleaseDoesNotOpenALaterLatch(t *testing.T) {
	s := newServer(t, link.ModeSingleOperator)
	m := newMachine(t, s).start()
	latch := m.opened()
	o, env := s.approved(link.OrderRelease, link.ReleaseParams{Presence: m.status().Presence}, latches(latch), "anna")
	s.send("order", env, nil)
	s.resultOf(o.ID, link.OutcomePending)
	m.sense(`{"do":"pulse","point":"mesh","type":"mesh_cut","alarm":true,"severity":"critical"}`)
	s.event("mesh_cut")
	m.offset.Add(int64(11 * time.Minute))
	s.resultOf(o.ID, link.OutcomeDone)
	if st := m.status(); !m.fw.isOn() || len(st.Latches) != 1 || !st.Contained {
		t.Errorf("status %+v", st)
	}
}

func TestARestartComesBackContainedBeforeItSpeaks(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s).start()
	latch := m.opened()
	s.event("quarantine_on")
	m.stop()
	m.s.must(m.fw.Remove()) // the machine was started anew
	s.down.Store(true)
	m.start()
	s.await("quarantine without a server", func() bool { return m.fw.isOn() })
	var st *agent.Status
	s.await("status", func() bool { var err error; st, err = agent.Ask(t.Context(), m.cfg.SocketPath()); return err == nil })
	if len(st.Latches) != 1 || st.Latches[0].ID != latch || st.Mode != core.ModeSafe {
		t.Errorf("status %+v", st)
	}
	s.down.Store(false)
	rel, env := s.approved(link.OrderRelease, link.ReleaseParams{}, latches(latch), "anna", "ben")
	s.send("order", env, nil)
	s.resultOf(rel.ID, link.OutcomeDone)
	checkChains(t, s)
}

func TestOfflineTheDeviceSensesActsAndReportsLater(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s).start()
	s.event("agent_started")
	s.down.Store(true)
	s.srv.CloseClientConnections()
	m.sense(`{"do":"pulse","point":"lid","type":"case_opened","alarm":true,"severity":"critical"}`)
	s.await("contained offline", func() bool { return m.fw.isOn() })
	for range 50 {
		m.sense(`{"do":"pulse","point":"x","type":"touched","severity":"low"}`)
	}
	s.down.Store(false)
	s.event("case_opened")
	checkChains(t, s)
}

func TestTheLossOfTheStateIsAnAttack(t *testing.T) {
	for name, harm := range map[string]func(string) error{
		"deleted": os.Remove,
		"damaged": func(p string) error { return os.WriteFile(p, []byte("x"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, link.ModeQuorum)
			m := newMachine(t, s).start()
			epoch := s.state()
			m.stop()
			s.must(harm(filepath.Join(m.cfg.DataDir, "state", "state")))
			m.start()
			latch := s.event("state_lost").Latch
			s.event("epoch_changed")
			if !m.fw.isOn() || m.status().Epoch == epoch {
				t.Errorf("contained %v, epoch %s", m.fw.isOn(), m.status().Epoch)
			}
			s.await("the new epoch", func() bool { return s.batches[len(s.batches)-1].Epoch != epoch })
			rel, env := s.approved(link.OrderRelease, link.ReleaseParams{}, latches(latch), "anna", "ben")
			s.send("order", env, nil)
			s.resultOf(rel.ID, link.OutcomeDone)
			checkChains(t, s)
		})
	}
}

func TestAServerThatAcknowledgesWithoutProofFreesNothing(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	other := devicetest.New(t, link.ModeQuorum, "127.0.0.1:1")
	lie := func(r *link.Receipt) *link.Receipt {
		c := *r
		c.Checkpoint = other.Receipt([]byte(mustBatch(t))).Checkpoint
		return &c
	}
	s.receipt = lie
	m := newMachine(t, s).start()
	s.await("a batch", func() bool { return len(s.batches) > 0 })
	s.await("kept", func() bool {
		st, err := agent.Ask(t.Context(), m.cfg.SocketPath())
		return err == nil && st.Spool.Sealed > 0
	})
	s.note(func() { s.receipt = nil })
	s.event("receipt_invalid")
	checkChains(t, s)
}

func mustBatch(t *testing.T) string {
	t.Helper()
	b, err := link.EncodeBatch(&link.Batch{
		V: 1, Tenant: devicetest.Tenant, Device: devicetest.Device, Epoch: strings.Repeat("0", 32), First: 1, Last: 1, Boot: "x",
		Events: []link.DeviceEvent{{Seq: 1, ID: core.NewUUID(time.Now()), Type: "x", Severity: core.SeverityInfo, Fields: json.RawMessage("{}")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAForkBeginsANewEpoch(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	forked := false
	s.receipt = func(r *link.Receipt) *link.Receipt {
		if forked {
			return r
		}
		forked = true
		c := *r
		c.Fork = true
		return &c
	}
	newMachine(t, s).start()
	s.event("sequence_fork")
	s.event("epoch_changed")
	s.await("two epochs", func() bool { return s.batches[0].Epoch != s.batches[len(s.batches)-1].Epoch })
	checkChains(t, s)
}

func TestTheLocalSocketTightensAndNothingElse(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s).start()
	s.event("agent_started")
	path := m.cfg.SocketPath()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket %v, %v", info, err)
	}
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	do := func(method, route string, body []byte) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://agent"+route, bytes.NewReader(body))
		s.must(err)
		res, err := c.Do(req)
		s.must(err)
		defer res.Body.Close()
		return res.StatusCode
	}
	for _, route := range []string{"/v1/disarm", "/v1/release", "/v1/reset", "/", "/v1/order/../disarm"} {
		if got := do(http.MethodPost, route, nil); got == http.StatusOK {
			t.Errorf("%s is answered %d", route, got)
		}
	}
	s.event("local_refused", "/v1/disarm")
	if got := do(http.MethodPost, "/v1/stop", nil); got != http.StatusOK {
		t.Errorf("stop is answered %d", got)
	}
	s.event("stopped", "local socket")
	if got := do(http.MethodPost, "/v1/quarantine", nil); got != http.StatusOK || !m.fw.isOn() {
		t.Errorf("quarantine is answered %d", got)
	}
	latch := s.event("quarantine_ordered").Latch
	// An order by hand: refused by one person, taken by two, with no server.
	s.down.Store(true)
	_, one := s.approved(link.OrderRelease, link.ReleaseParams{}, latches(latch), "anna")
	_, two := s.approved(link.OrderRelease, link.ReleaseParams{}, latches(latch), "anna", "cora")
	if got := do(http.MethodPost, "/v1/order", one); got != http.StatusForbidden || !m.fw.isOn() {
		t.Errorf("one signature is answered %d", got)
	}
	if got := do(http.MethodPost, "/v1/order", two); got != http.StatusOK || m.fw.isOn() {
		t.Errorf("two signatures are answered %d", got)
	}
	s.down.Store(false)
	s.event("order_refused", `"via":"local"`)
}

func TestASimulatedSensorBesideARealEnrolmentIsAnAlarm(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s, func(c *agent.Config) { c.Demo = false }).start()
	s.event("sensor_refused", "simulated")
	if e := s.event("sensor_lost"); e.State != core.SensorFault {
		t.Errorf("state %s", e.State)
	}
	if _, err := os.Stat(m.simPath); err == nil {
		t.Error("the simulator's socket is there")
	}
	m.stop()
	m.cfg.Demo = true
	if err := agent.Main(t.Context(), m.cfg); core.KindOf(err) != core.KindDenied {
		t.Errorf("a real enrolment turned into a demonstration: %v", err)
	}
}
