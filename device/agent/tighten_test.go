package agent_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/link"
)

// local asks for something on the machine's local socket.
func (m *machine) local(route string) {
	m.t.Helper()
	m.bring(route, nil)
}

// bring hands something to the agent on the machine itself, which must take it.
func (m *machine) bring(route string, what []byte) {
	m.t.Helper()
	if got := m.ask(route, what); got != http.StatusOK {
		m.t.Fatalf("%s is answered %d", route, got)
	}
}

func (m *machine) ask(route string, what []byte) int {
	m.t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", m.cfg.SocketPath())
	}}}
	res, err := c.Post("http://agent"+route, "application/json", bytes.NewReader(what))
	m.s.must(err)
	defer res.Body.Close()
	return res.StatusCode
}

func (m *machine) motor() string {
	b, err := os.ReadFile(m.relay)
	m.s.must(err)
	return string(b)
}

// alone is a stopped machine of a single operator whose reset waits.
func alone(t *testing.T, change ...func(*agent.Config)) (*server, *machine, *link.Order) {
	t.Helper()
	s := newServer(t, link.ModeSingleOperator)
	m := newMachine(t, s, change...).start()
	s.event("agent_started")
	stop, env := s.order(link.OrderStop, link.StopParams{}, nil, link.NamespaceOrder, "stop")
	s.send("order", env, nil)
	s.resultOf(stop.ID, link.OutcomeDone)
	reset, env := s.approved(link.OrderReset, link.ResetParams{Presence: m.status().Presence}, nil, "anna")
	s.send("order", env, nil)
	s.resultOf(reset.ID, link.OutcomePending)
	return s, m, reset
}

func (m *machine) staysStopped(reset *link.Order) {
	m.t.Helper()
	m.offset.Add(int64(11 * time.Minute))
	m.s.resultOf(reset.ID, link.OutcomeRefused)
	if st := m.status(); !st.Stopped || len(st.Waiting) != 0 || m.motor() != "safe\n" {
		m.t.Errorf("stopped %v, %d waiting, motor %q", st.Stopped, len(st.Waiting), m.motor())
	}
}

func TestAStopWhileAResetWaitsOutlastsIt(t *testing.T) {
	t.Run("an order", func(t *testing.T) {
		s, m, reset := alone(t)
		stop, env := s.order(link.OrderStop, link.StopParams{}, nil, link.NamespaceOrder, "stop")
		s.send("order", env, nil)
		s.resultOf(stop.ID, link.OutcomeDone)
		m.staysStopped(reset)
		s.event("order_refused", "a stop was requested", `"via":"delay"`)
	})
	t.Run("at the machine, then the agent starts anew", func(t *testing.T) {
		s, m, reset := alone(t)
		m.local("/v1/stop")
		s.event("stopped", "local socket")
		m.stop()
		m.start()
		m.staysStopped(reset)
	})
	t.Run("by a sensor", func(t *testing.T) {
		s, m, reset := alone(t, func(c *agent.Config) { c.Sensors[0].Reflex = &[]string{agent.ReflexStop} })
		m.opened()
		s.event("stopped", "latch")
		m.staysStopped(reset)
	})
}

func TestAResetWaitsThroughARestartOfTheAgent(t *testing.T) {
	s, m, reset := alone(t)
	m.stop()
	m.start() // what it puts back into force is no new stop
	s.event("stopped", "in force before this start")
	m.offset.Add(int64(11 * time.Minute))
	s.resultOf(reset.ID, link.OutcomeDone)
	if st := m.status(); st.Stopped || m.motor() != "allowed\n" {
		t.Errorf("stopped %v, motor %q", st.Stopped, m.motor())
	}
}

func TestAStopThatIsSaidAgainIsNoNewOne(t *testing.T) {
	s := newServer(t, link.ModeSingleOperator)
	m := newMachine(t, s).start()
	s.event("agent_started")
	stop, env := s.order(link.OrderStop, link.StopParams{}, nil, link.NamespaceOrder, "stop")
	s.send("order", env, nil)
	s.resultOf(stop.ID, link.OutcomeDone)
	reset, resetEnv := s.approved(link.OrderReset, link.ResetParams{Presence: m.status().Presence}, nil, "anna")
	s.send("order", resetEnv, nil)
	s.resultOf(reset.ID, link.OutcomePending)
	s.send("order", env, nil)
	s.await("answered again", func() bool {
		n := 0
		for _, r := range s.results {
			if r.Order == stop.ID {
				n++
			}
		}
		return n > 1
	})
	m.offset.Add(int64(11 * time.Minute))
	s.resultOf(reset.ID, link.OutcomeDone)
}

func TestArmingWhileADisarmWaitsOutlastsIt(t *testing.T) {
	s := newServer(t, link.ModeSingleOperator)
	m := newMachine(t, s).start()
	s.event("agent_started")
	until := time.Now().Add(time.Hour).UnixMicro()
	o, env := s.approved(link.OrderDisarm, link.DisarmParams{Arming: core.Disarmed, Until: until, Presence: m.status().Presence}, nil, "anna")
	s.send("order", env, nil)
	s.resultOf(o.ID, link.OutcomePending)
	m.local("/v1/arm")
	m.offset.Add(int64(11 * time.Minute))
	s.resultOf(o.ID, link.OutcomeRefused)
	if got := agentArming(m); got != core.Armed {
		t.Errorf("arming %s", got)
	}
}

func TestAQuarantineWithoutALatchOfItsOwnOutlastsAWaitingRelease(t *testing.T) {
	s := newServer(t, link.ModeSingleOperator)
	m := newMachine(t, s).start()
	s.event("agent_started")
	for range 8 {
		m.local("/v1/quarantine")
	}
	var ids []string
	s.await("eight latches", func() bool {
		st, err := agent.Ask(context.Background(), m.cfg.SocketPath())
		if err != nil {
			return false
		}
		ids = nil
		for _, l := range st.Latches {
			ids = append(ids, l.ID)
		}
		return len(ids) == 8
	})
	o, env := s.approved(link.OrderRelease, link.ReleaseParams{Presence: m.status().Presence}, latches(ids...), "anna")
	s.send("order", env, nil)
	s.resultOf(o.ID, link.OutcomePending)
	m.local("/v1/quarantine")
	m.offset.Add(int64(11 * time.Minute))
	s.resultOf(o.ID, link.OutcomeRefused)
	if !m.fw.isOn() {
		t.Error("the quarantine ended")
	}
}

// A reset ends what its persons knew of, not the stop that somebody requested
// while it lay about.
func TestAResetFromBeforeAStopDoesNotEndIt(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s).start()
	s.event("agent_started")
	m.local("/v1/stop")
	kept, keptEnv := s.approved(link.OrderReset, link.ResetParams{}, nil, "anna", "ben")
	// As the real stop path signs one: a stop takes part in no order of orders.
	uncounted := func(o *link.Order) { o.Counter, o.Epoch = 0, "" }
	order, env := s.order(link.OrderStop, link.StopParams{}, uncounted, link.NamespaceOrder, "stop")
	s.send("order", env, nil)
	s.resultOf(order.ID, link.OutcomeDone)
	s.send("order", keptEnv, nil)
	s.resultOf(kept.ID, link.OutcomeRefused)
	s.event("order_refused", "before the stop of")
	m.stop()
	m.start() // a restart forgets no stop
	m.status()
	if m.ask("/v1/order", keptEnv) != http.StatusForbidden {
		t.Error("the same by hand is taken")
	}
	if st := m.status(); !st.Stopped || m.motor() != "safe\n" {
		t.Fatalf("stopped %v, motor %q", st.Stopped, m.motor())
	}
	again, env := s.approved(link.OrderReset, link.ResetParams{}, nil, "anna", "ben")
	s.send("order", env, nil)
	s.resultOf(again.ID, link.OutcomeDone)
}

// With a clock that is wrong every reset may look old; the code that the machine
// shows since the stop is the way out, one from before the stop is none.
func TestTheCodeShownSinceTheStopStandsForTheClock(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s).start()
	s.event("agent_started")
	before := m.status().Presence
	m.local("/v1/stop")
	old := func(o *link.Order) { o.Issued = time.Now().Add(-time.Hour).UnixMicro() }
	for code, want := range map[string]link.Outcome{before: link.OutcomeRefused, "": link.OutcomeRefused} {
		o, env := s.approved(link.OrderReset, link.ResetParams{Presence: code}, old, "anna", "ben")
		s.send("order", env, nil)
		s.resultOf(o.ID, want)
	}
	o, env := s.approved(link.OrderReset, link.ResetParams{Presence: m.status().Presence}, old, "anna", "ben")
	s.send("order", env, nil)
	s.resultOf(o.ID, link.OutcomeDone)
}
