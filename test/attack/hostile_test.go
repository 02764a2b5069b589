package attack

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/test/rig"
)

// TestSwallowedEvidence: a captured server gives receipts that prove, in a log
// of its own under the stolen key, that it kept what it dropped. The device has
// to believe them; the people see the gap as soon as they have their server
// back.
func TestSwallowedEvidence(t *testing.T) {
	t.Parallel()
	s := newSite(t, people)
	m := s.enrol(press)
	s.stop()
	l := s.capture()
	p := l.impersonate()
	swallowed := make(chan struct{}, 100)
	p.answerBatches(func(w http.ResponseWriter, env *link.Envelope) {
		b, err := link.Encode(l.receipt(env))
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(b)
		if bytes.Contains(env.Payload, []byte("case_intrusion")) {
			swallowed <- struct{}{}
		}
	})
	m.sense("lid", true)
	select {
	case <-swallowed:
	case <-time.After(rig.Patience):
		t.Fatal("the device does not report to the captured server")
	}
	m.awaitStatus("freed on a forged receipt", func(st agent.Status) bool { return st.Spool.Waiting+st.Spool.Sealed == 0 })
	p.close()
	s.start()
	rig.Await(t, "the gap on record", s.log.String, func() bool { return len(s.eventsOf(press, fleet.AlarmGap)) > 0 })
	if n := len(s.eventsOf(press, "case_intrusion")); n != 0 {
		t.Fatalf("%d events came that were swallowed; this test proves nothing", n)
	}
	if st := m.status(); !st.Contained || len(st.Latches) == 0 {
		t.Error("what the server swallowed is gone from the device too")
	}
}

// TestSecondBreakIn: a break-in, released and closed; the next one, right after,
// is a matter of its own and not a count in the first one's.
func TestSecondBreakIn(t *testing.T) {
	t.Parallel()
	s := newSite(t, people)
	m := s.enrol(press)
	incidents := map[core.UUID]bool{}
	for round := range 2 {
		m.sense("lid", true)
		var open api.Incident
		rig.Await(t, fmt.Sprintf("incident %d", round+1), func() string { return s.brief(get[api.Device](s, "/v1/devices/press-7")) }, func() bool {
			for _, in := range list[api.Incident](s, "/v1/incidents", nil) {
				if !incidents[in.ID] && in.Device == press.String() {
					open = in
				}
			}
			return !open.ID.IsZero()
		})
		incidents[open.ID] = true
		m.sense("lid", false)
		o := s.order(press, "a release that waits", func(o api.Order) bool { return o.Type == string(link.OrderRelease) && o.State == "awaiting" })
		m.awaitStatus("the lid closed", func(st agent.Status) bool { return len(st.Sensors[0].Active) == 0 })
		s.approve(o.ID, "anna")
		s.approve(o.ID, "bert")
		rig.Await(t, "the incident closed", func() string { return s.brief(get[api.Device](s, "/v1/devices/press-7")) }, func() bool {
			return get[api.Incident](s, "/v1/incidents/"+open.ID.String()).State == "closed"
		})
	}
}

// TestHostileServer: whatever a captured server answers, the agent lives, senses
// and acts, and goes on with its own server afterwards.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	s := newSite(t, people)
	m := s.enrol(press)
	s.stop()
	p := s.capture().impersonate()
	pid := m.proc.Process.Pid
	// Each failure doubles the agent's pause, so there are few.
	answers := []func(http.ResponseWriter, *link.Envelope){
		func(w http.ResponseWriter, _ *link.Envelope) {
			w.Header().Set("Location", "https://127.0.0.1:1/agent/v1/batches")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		func(w http.ResponseWriter, _ *link.Envelope) {
			_, _ = w.Write(append([]byte(strings.Repeat(`{"v":`, 10_000)), bytes.Repeat([]byte{'x'}, 8<<20)...))
		},
		func(w http.ResponseWriter, env *link.Envelope) { // another batch's receipt
			other := *p.loot.receipt(env)
			other.Batch = strings.Repeat("0a", 32)
			b, err := link.Encode(other)
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(b)
		},
	}
	asked := make(chan int, 100)
	next := 0
	p.answerBatches(func(w http.ResponseWriter, env *link.Envelope) { // one after another; the agent asks again by itself
		i := next % len(answers)
		next++
		answers[i](w, env)
		select {
		case asked <- i:
		default:
		}
	})
	for _, line := range []string{
		`{"cursor":0,"kind":"shell","envelope":"rm -rf /"}`, `{"cursor":0,"kind":"order"}`, `{"cursor":0,"kind":"order","envelope":{}}`,
		`{"cursor":0,"kind":"root","envelope":{},"proof":"eA=="}`, `{"cursor":0,"kind":"order","envelope":{"payload":"","signatures":[]}}`,
		`{"cursor":0,"kind":"ping","kind":"order"}`, // these end the stream
		"\x00\xff\xfe" + strings.Repeat("[", 5000),
		`{"cursor":0,"kind":"order","envelope":"` + strings.Repeat("A", 1<<20) + `"}`,
	} {
		p.say(line)
		if st := m.status(); st.Contained || st.Stopped || st.Arming != core.Armed {
			t.Fatalf("after %.80q: %+v", line, st)
		}
	}
	seen := map[int]bool{}
	for timeout := time.After(rig.Patience); len(seen) < len(answers); {
		select {
		case i := <-asked:
			seen[i] = true
		case <-timeout:
			t.Fatalf("the agent stopped reporting after %v", seen)
		}
	}
	m.sense("lid", true)
	m.awaitStatus("the reflex", func(st agent.Status) bool { return st.Contained && m.fenced() })
	if m.proc == nil || m.proc.Process.Pid != pid {
		t.Fatal("the agent was started anew")
	}
	p.close()
	s.start()
	rig.Await(t, "everything told to the own server", m.log.String, func() bool {
		return len(s.eventsOf(press, "case_intrusion")) == 1 && len(s.eventsOf(press, "stream_invalid")) > 0
	})
	if gaps := s.eventsOf(press, fleet.AlarmGap); len(gaps) != 0 {
		t.Errorf("a receipt that was none freed events: %+v", gaps)
	}
}

// TestCapturedSingleOperator: where one person is all there is, the captured
// server still lacks the signature, the code on the device and the time.
func TestCapturedSingleOperator(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	m := s.enrol(press)
	m.sense("lid", true)
	st := m.awaitStatus("latched", func(st agent.Status) bool { return st.Contained && len(st.Latches) > 0 })
	s.stop()
	l := s.capture()
	p := l.impersonate()
	release := func(presence string) []byte {
		now := time.Now()
		o := &link.Order{
			V: 1, Type: link.OrderRelease, ID: core.NewUUID(now), Tenant: tenant, Site: hall, Device: press, Requester: "person/owner", Reason: "all is well",
			RootVersion: 1, Epoch: st.Epoch, Issued: now.UnixMicro(), Expires: now.Add(time.Hour).UnixMicro(),
		}
		for _, latch := range m.status().Latches {
			o.Latches = append(o.Latches, latch.ID)
		}
		var err error
		if o.Params, err = link.EncodeParams(&link.ReleaseParams{Presence: presence}); err != nil {
			t.Fatal(err)
		}
		payload, err := link.EncodeOrder(o)
		if err != nil {
			t.Fatal(err)
		}
		return payload
	}
	owner := s.signer("keys/owner")
	code := m.status().Presence
	wrong := []byte(code)
	slices.Reverse(wrong)
	for _, row := range []struct {
		name, presence, why string
		signer              link.Signer
	}{
		{"the command key with the code", code, "has 0", l.command},
		{"the owner without the code", "", "presence code", owner},
		{"the owner with another code", string(wrong), "presence code", owner},
		{"a recovery key with the code", code, "has 0", s.signer("recovery/recovery-1")},
	} {
		payload := release(row.presence)
		res := p.send(idOf(t, payload), seal(t, payload, signAs(t, row.signer, link.NamespaceApproval, payload)))
		if res.Outcome != link.OutcomeRefused || !strings.Contains(res.Detail, row.why) {
			t.Errorf("%s: %s, %s; want it refused for %q", row.name, res.Outcome, res.Detail, row.why)
		}
	}
	payload := release(code)
	res := p.send(idOf(t, payload), seal(t, payload, signAs(t, owner, link.NamespaceApproval, payload)))
	if res.Outcome != link.OutcomePending {
		t.Fatalf("the owner with the code: %s, %s; want it to wait", res.Outcome, res.Detail)
	}
	now := m.status()
	if !now.Contained || !m.fenced() || len(now.Waiting) != 1 || now.Waiting[0].Left < 500 || now.Presence == code {
		t.Errorf("while the delay runs: contained %v, waiting %+v, the code used again %v", now.Contained, now.Waiting, now.Presence == code)
	}
	// Said again, restarted, said again: the delay is not shortened.
	p.send(idOf(t, payload), seal(t, payload, signAs(t, owner, link.NamespaceApproval, payload)))
	m.terminate()
	m.start("")
	now = m.awaitStatus("started again", func(agent.Status) bool { return true })
	if !now.Contained || len(now.Waiting) != 1 || now.Waiting[0].Left < 500 {
		t.Errorf("after a restart: contained %v, waiting %+v", now.Contained, now.Waiting)
	}
}
