package fleet_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/safety/stop"
)

// stream is an open GET /agent/v1/orders. Its lines channel is closed when the
// server ends it.
type stream struct {
	lines chan fleet.Line
	close func()
}

func (a *agent) stream(after uint64) (*stream, error) {
	a.r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s/agent/v1/orders?after=%d", a.url, after), nil)
	a.r.must(err)
	res, err := a.client().Do(req)
	if err != nil {
		cancel()
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		defer cancel()
		defer func() { _ = res.Body.Close() }()
		return nil, httpd.ErrorOf("agent", res)
	}
	s := &stream{lines: make(chan fleet.Line, 100), close: cancel}
	a.r.t.Cleanup(cancel)
	go func() {
		defer close(s.lines)
		defer func() { _ = res.Body.Close() }()
		scan := bufio.NewScanner(res.Body)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			var line fleet.Line
			if json.Unmarshal(scan.Bytes(), &line) != nil {
				return
			}
			s.lines <- line
		}
	}()
	return s, nil
}

// next waits for the next line that is no ping.
func (s *stream) next(t *testing.T) (fleet.Line, bool) {
	t.Helper()
	for {
		select {
		case line, ok := <-s.lines:
			if ok && line.Kind == fleet.LinePing {
				continue
			}
			return line, ok
		case <-time.After(3 * time.Minute): // only a hang gets here
			t.Fatal("the stream says nothing")
		}
	}
}

// orders reads n orders from a fresh stream and verifies each as a device does.
func (a *agent) orders(after uint64, n int) []*link.Order {
	a.r.t.Helper()
	s, err := a.stream(after)
	a.r.must(err)
	defer s.close()
	var list []*link.Order
	for range n {
		line, ok := s.next(a.r.t)
		if !ok || line.Kind != fleet.LineOrder {
			a.r.t.Fatalf("line %+v", line)
		}
		env, err := link.ParseEnvelope(line.Envelope)
		a.r.must(err)
		last := uint64(0)
		at := link.Context{
			Tenant: tenant, Site: site, Device: a.id, Epoch: a.epoch, LastCounter: last, Latches: map[string]bool{latch: true},
			Now: link.TrustedTime{Lower: a.r.clock.Now(), Upper: a.r.clock.Now()},
		}
		v, err := a.r.trust().CheckOrder(env, at)
		a.r.must(err)
		list = append(list, v.Order)
	}
	return list
}

func TestTheStreamGoesOnAfterItsCursor(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.tampered(r.serve(), "press-7")
		s, err := a.stream(0)
		r.must(err)
		var last fleet.Order
		for i := range 3 {
			var err error
			last, err = r.order(auto, policy.DeviceQuarantine, quarantine("press-7"))
			r.must(err)
			if line, _ := s.next(t); line.Cursor != uint64(i+1) {
				t.Errorf("cursor %d, want %d", line.Cursor, i+1)
			}
		}
		if got := a.orders(2, 1)[0]; got.ID != last.ID {
			t.Errorf("after cursor 2 came order %s, want the third, %s", got.ID, last.ID)
		}
		// A cursor that this server never gave: all that is queued, rather than
		// a device that is deaf for good.
		for _, strange := range []uint64{4, math.MaxInt64, math.MaxUint64} {
			if got := a.orders(strange, 3); got[2].ID != last.ID || got[0].Counter >= got[1].Counter || got[1].Counter >= got[2].Counter {
				t.Errorf("after cursor %d came %v", strange, got)
			}
		}
		for _, bad := range []string{"", "x", "-1", "../1"} {
			_, err := a.do("GET", "/agent/v1/orders?after="+bad, nil)
			r.want(err, core.KindInvalid, "cursor")
		}
	})
}

// TestARevokedDevicesStreamIsCut is F30: the stream ends, and what was queued
// behind it is not sent.
func TestARevokedDevicesStreamIsCut(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		url := r.serve()
		a := r.agent(url, "press-7")
		tok := r.token("press-7", "")
		_, err := a.enrolWith(tok)
		r.must(err)
		r.must(r.enrol.Approve(t.Context(), admin, tenant, a.id, link.ShortCode(a.spki())))
		a.in(tok)
		a.send(link.DeviceEvent{Type: "carrier_down", Sensor: "eth0", State: core.SensorAlarm, Latch: latch})
		r.catchUp(0)
		s, err := a.stream(0)
		r.must(err)
		if line := <-s.lines; line.Kind != fleet.LinePing {
			t.Fatalf("%+v", line)
		}
		_, err = r.agent(url, "press-7").enrolWith(tok) // suspends the first
		r.want(err, core.KindReplayed)
		if line, ok := s.next(t); ok {
			t.Errorf("a suspended device was sent %+v", line)
		}
		if _, err := a.stream(0); core.KindOf(err) != core.KindDenied {
			t.Errorf("a suspended device opened a stream: %v", err)
		}
	})
}

func TestAStopGoesByTheHub(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		url := r.serve()
		a, b := r.enrolled(url, "press-7"), r.enrolled(url, "press-8")
		sa, err := a.stream(0)
		r.must(err)
		sb, err := b.stream(0)
		r.must(err)
		<-sa.lines
		<-sb.lines
		s := stop.Stop{ID: core.NewUUID(start), Tenant: tenant, By: "person/anna", Reason: "hand", At: start, Scope: stop.Scope{Kind: stop.ScopeDevice, Device: a.id}}
		r.hub.Publish(s)
		line, _ := sa.next(t)
		env, err := link.ParseEnvelope(line.Envelope)
		r.must(err)
		v, err := r.trust().CheckOrder(env, link.Context{Tenant: tenant, Site: site, Device: a.id, Epoch: a.epoch})
		r.must(err)
		if v.Order.ID != s.ID || line.Cursor != 0 {
			t.Errorf("order %+v at cursor %d", v.Order, line.Cursor)
		}
		again, err := a.stream(0) // a device that comes later gets it too
		r.must(err)
		if line, _ := again.next(t); line.Kind != fleet.LineOrder {
			t.Errorf("%+v", line)
		}
		if _, ok := sa.next(t); ok {
			t.Error("two streams of one device")
		}
		select {
		case line := <-sb.lines:
			t.Errorf("another device got %+v", line)
		default:
		}
	})
}

func TestTrustRootsAreRelayed(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.enrolled(r.serve(), "press-7")
		a.send()
		r.catchUp(0)
		s, err := a.stream(0)
		r.must(err)
		<-s.lines
		next := *r.trust().Root()
		next.Version, next.Servers = 2, []string{"localhost:7444"}

		byServer := next
		_, err = r.roots.Publish(t.Context(), admin, r.signRoot(&byServer, "stop"))
		r.want(err, core.KindDenied, "root")
		skipped := next
		skipped.Version = 3
		_, err = r.roots.Publish(t.Context(), admin, r.signRoot(&skipped, "anna-paper", "ben-paper"))
		r.want(err, core.KindConflict, "one at a time")

		v, err := r.roots.Publish(t.Context(), admin, r.signRoot(&next, "anna-paper", "ben-paper", "anna", "ben"))
		r.must(err)
		line, _ := s.next(t)
		if line.Kind != fleet.LineRoot {
			t.Fatalf("%+v", line)
		}
		if got, err := r.trust().Update(line.Envelope, line.Proof); err != nil || got.Root().Version != 2 {
			t.Errorf("a device would say: %v", err)
		}
		now, err := r.roots.Current(t.Context(), tenant)
		if err != nil || now.Version != 2 || now.Hash != v.Hash {
			t.Errorf("%+v, %v", now, err)
		}
		r.want(r.roots.Install(t.Context(), r.signRoot(&next, "anna-paper", "ben-paper"), v.Hash), core.KindInvalid, "begins with 1")
	})
}

// TestARecoveryWaits: recovery keys alone make a root that does not count here
// before its delay either.
func TestARecoveryWaits(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		next := *r.trust().Root()
		next.Version = 2
		_, err := r.roots.Publish(t.Context(), admin, r.signRoot(&next, "anna-paper", "ben-paper"))
		r.must(err)
		version := func() uint64 {
			v, err := r.roots.Current(t.Context(), tenant)
			r.must(err)
			return v.Version
		}
		if version() != 1 {
			t.Error("in effect at once")
		}
		r.clock.Advance(73 * time.Hour)
		if version() != 2 {
			t.Error("never in effect")
		}
	})
}

func TestRenewal(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		url := r.serve()
		a, b := r.enrolled(url, "press-7"), r.enrolled(url, "press-8")
		challenge := func(x *agent) string {
			out, err := x.do("GET", "/agent/v1/renew", nil)
			r.must(err)
			var c fleet.RenewChallenge
			r.must(link.DecodeStrict(out, &c))
			return c.Challenge
		}
		renew := func(x *agent, csr, text string, edit func(*fleet.RenewProof)) error {
			p := fleet.RenewProof{V: 1, Purpose: fleet.PurposeRenew, Tenant: tenant, Device: x.id, Challenge: text}
			if edit != nil {
				edit(&p)
			}
			payload, err := link.Encode(p)
			r.must(err)
			env, err := link.SealEnvelope(link.NamespaceBatch, payload, x.signer())
			r.must(err)
			body, err := link.Encode(fleet.RenewRequest{V: 1, CSR: csr, Challenge: *env})
			r.must(err)
			out, err := x.do("POST", "/agent/v1/renew", body)
			if err != nil {
				return err
			}
			var answer fleet.RenewAnswer
			r.must(link.DecodeStrict(out, &answer))
			x.chain = []byte(answer.Certificate)
			return nil
		}
		r.clock.Advance(30 * 24 * time.Hour) // away, certificate run out
		body, _ := a.seal(a.batch())
		_, err := a.do("POST", "/agent/v1/batches", body)
		r.want(err, core.KindExpired)

		r.want(renew(a, a.csr(), "AAAA", nil), core.KindReplayed, "challenge")
		c := challenge(a)
		r.want(renew(a, a.csr(), c, func(p *fleet.RenewProof) { p.Purpose = "login" }), core.KindDenied, "renewal")
		r.want(renew(a, b.csr(), c, nil), core.KindDenied, "registered key")
		c = challenge(a)
		r.clock.Advance(3 * time.Minute)
		r.want(renew(a, a.csr(), c, nil), core.KindExpired, "ran out")
		c = challenge(a)
		r.must(renew(a, a.csr(), c, nil))
		a.receipt(body) // nothing of the time away is lost
		r.want(renew(a, a.csr(), c, nil), core.KindReplayed, "challenge")
	})
}

// TestAStopNeedsNoPolicy: policies that refuse devices their orders, or can't be
// asked, hold up no stop (F06). Orders wait until they permit.
func TestAStopNeedsNoPolicy(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		url := r.serve()
		a := r.enrolled(url, "press-7")
		a.send()
		r.catchUp(0)
		g := &guardOf{Guard: r.guard}
		parts := r.parts()
		parts.Guard = g
		door, err := fleet.NewListener(parts)
		r.must(err)
		r.door = door
		a.url = r.serve()
		for name, answer := range map[string]func() (core.Decision, error){
			"refuses":        func() (core.Decision, error) { return core.Decision{Reason: "a bad policy"}, nil },
			"can't be asked": func() (core.Decision, error) { return core.Decision{}, errDown },
		} {
			g.set(answer)
			_, err := r.order(auto, policy.DeviceQuarantine, quarantine("press-7"))
			r.must(err)
			s, err := a.stream(0)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			st := stop.Stop{ID: core.NewUUID(start), Tenant: tenant, By: "person/anna", Reason: "hand", At: start, Scope: stop.Scope{Kind: stop.ScopeDevice, Device: a.id}}
			r.hub.Publish(st)
			line, _ := s.next(t)
			env, err := link.ParseEnvelope(line.Envelope)
			r.must(err)
			if o, err := link.DecodeOrder(env.Payload); err != nil || o.ID != st.ID {
				t.Errorf("%s: %+v, %v", name, o, err)
			}
			r.hub.End(st.ID)
			g.set(nil)
			if line := s.afterAWhile(t, r); line.Kind != fleet.LineOrder || line.Cursor == 0 {
				t.Errorf("%s: after it permits: %+v", name, line)
			}
			s.close()
		}
	})
}

// afterAWhile moves the clock on until the next line that is no ping.
func (s *stream) afterAWhile(t *testing.T, r *rig) (line fleet.Line) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		select {
		case line = <-s.lines:
			if line.Kind != fleet.LinePing {
				return line
			}
		case <-tick.C:
			r.clock.Advance(5 * time.Second)
		}
	}
	t.Fatal("the stream says nothing")
	return line
}

// guardOf answers for order.fetch what a test says.
type guardOf struct {
	core.Guard
	mu     sync.Mutex
	answer func() (core.Decision, error)
}

func (g *guardOf) set(answer func() (core.Decision, error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer = answer
}

func (g *guardOf) Permit(ctx context.Context, who core.Principal, action core.Action, on core.Resource) (core.Decision, error) {
	g.mu.Lock()
	answer := g.answer
	g.mu.Unlock()
	if answer != nil && action == policy.OrderFetch {
		return answer()
	}
	return g.Guard.Permit(ctx, who, action, on)
}

// TestAStopNeedsNoDatabase closes the database under an open stream and under
// one that is opened after it (F06).
func TestAStopNeedsNoDatabase(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.enrolled(r.serve(), "press-7")
		open, err := a.stream(0)
		r.must(err)
		<-open.lines
		r.must(r.db.Close())
		trip := func() core.UUID {
			s := stop.Stop{ID: core.NewUUID(start), Tenant: tenant, By: "person/anna", Reason: "hand", At: start, Scope: stop.Scope{Kind: stop.ScopeDevice, Device: a.id}}
			r.hub.Publish(s)
			return s.ID
		}
		stopped := func(s *stream, id core.UUID) {
			t.Helper()
			line, _ := s.next(t)
			env, err := link.ParseEnvelope(line.Envelope)
			r.must(err)
			o, err := link.DecodeOrder(env.Payload)
			r.must(err)
			if o.ID != id || o.Type != link.OrderStop {
				t.Errorf("order %+v", o)
			}
		}
		id := trip()
		stopped(open, id)
		late, err := a.stream(0)
		r.must(err)
		stopped(late, id)
		body, _ := a.seal(a.batch())
		if _, err := a.do("POST", "/agent/v1/batches", body); err == nil {
			t.Error("a batch was taken without asking the registry")
		}
	})
}
