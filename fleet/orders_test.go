package fleet_test

import (
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/safety/stop"
)

var latch = strings.Repeat("ab", 16)

// tampered is a device that has reported a latched alarm.
func (r *rig) tampered(url, id string) *agent {
	a := r.enrolled(url, id)
	a.send(link.DeviceEvent{Type: "carrier_down", Sensor: "eth0", State: core.SensorAlarm, Latch: latch})
	r.catchUp(0)
	return a
}

func quarantine(id string) fleet.OrderRequest {
	return fleet.OrderRequest{Device: core.MustID[core.DeviceID](id), Type: link.OrderQuarantine}
}

func release(id string) fleet.OrderRequest {
	return fleet.OrderRequest{Device: core.MustID[core.DeviceID](id), Type: link.OrderRelease}
}

func TestContainmentIsSignedAndQueuedAtOnce(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.tampered(r.serve(), "press-7")
		req := quarantine("press-7")
		req.Key = "run-1/quarantine"
		o, err := r.order(auto, policy.DeviceQuarantine, req)
		r.must(err)
		if o.State != fleet.OrderQueued || o.Cursor != 1 || o.Counter < uint64(r.clock.Now().UnixMicro()) {
			t.Errorf("order %+v", o)
		}
		if r.device("press-7").State() != core.DeviceQuarantined {
			t.Error("the server does not treat it as contained yet")
		}
		again, err := r.order(auto, policy.DeviceQuarantine, req)
		r.must(err)
		if again.ID != o.ID {
			t.Error("the same key made two orders")
		}
		other := release("press-7")
		other.Key = req.Key
		_, err = r.order(auto, policy.DeviceRelease, other)
		r.want(err, core.KindConflict, req.Key)

		got := a.orders(0, 1)[0]
		r.must(a.result(got, link.OutcomeDone))
		r.must(a.result(got, link.OutcomeDone))
		r.must(a.result(got, link.OutcomeRefused)) // the first answer stands
		o, err = r.orders.Get(t.Context(), tenant, o.ID)
		r.must(err)
		if o.State != fleet.OrderDone || len(o.Answer) == 0 {
			t.Errorf("order %+v", o)
		}
		for _, what := range []core.Action{"order.created", "order.queued", "order.done"} {
			if !r.hasFact(what, o.Object()) {
				t.Errorf("no fact %s", what)
			}
		}
		if last := r.topic[len(r.topic)-1]; last.Order.ID != o.ID || last.Order.State != fleet.OrderDone {
			t.Errorf("published %+v", last)
		}
	})
}

// TestOnlyPersonsLoosen walks a release through everything that must not count.
func TestOnlyPersonsLoosen(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.tampered(r.serve(), "press-7")
		_, err := r.order(auto, policy.DeviceQuarantine, quarantine("press-7"))
		r.must(err)
		o, err := r.order(admin, policy.DeviceRelease, release("press-7")) // anna asks
		r.must(err)
		if o.State != fleet.OrderAwaiting || o.Needed != 2 || o.Counter != 0 {
			t.Fatalf("order %+v", o)
		}
		refused := func(name string, sig link.Signature) {
			t.Helper()
			if got, err := r.orders.Approve(t.Context(), admin, tenant, o.ID, sig); err == nil || len(got.Approvals) != 0 {
				t.Errorf("%s: counted %v, %v", name, got.Approvals, err)
			}
		}
		sign := func(who, namespace string, payload []byte) link.Signature {
			sig, err := link.Sign(r.people[who], namespace, payload)
			r.must(err)
			return sig
		}
		command, err := link.Sign(r.keys.signer, link.NamespaceApproval, o.Payload)
		r.must(err)
		refused("the command key", command)
		refused("the stop key", sign("stop", link.NamespaceApproval, o.Payload))
		refused("the requester", sign("anna", link.NamespaceApproval, o.Payload))
		refused("an offline key", sign("ben-paper", link.NamespaceApproval, o.Payload))
		refused("another namespace", sign("ben", link.NamespaceRoot, o.Payload))
		refused("other bytes", sign("ben", link.NamespaceApproval, append([]byte(" "), o.Payload...)))
		r.people["mallory"] = newSigner(t)
		refused("a stranger", sign("mallory", link.NamespaceApproval, o.Payload))

		o, err = r.approve(o, "ben")
		r.must(err)
		if o.State != fleet.OrderAwaiting || len(o.Approvals) != 1 {
			t.Fatalf("after one: %+v", o)
		}
		if _, err := r.approve(o, "ben"); err == nil {
			t.Error("one person counted twice")
		}
		o, err = r.approve(o, "cleo")
		r.must(err)
		if o.State != fleet.OrderQueued {
			t.Fatalf("after two: %+v", o)
		}
		_, err = r.approve(o, "anna")
		r.want(err, core.KindConflict, "queued")

		orders := a.orders(0, 2)
		got := orders[1]
		if got.Type != link.OrderRelease || len(got.Latches) != 1 || got.Latches[0] != latch {
			t.Fatalf("streamed %+v", got)
		}
		r.must(a.result(got, link.OutcomeDone))
		if d := r.device("press-7"); d.Contained {
			t.Error("still contained after the last latch was released")
		}
	})
}

func TestOrdersThatCannotBeMade(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		url := r.serve()
		r.tampered(url, "press-7")
		r.enrolled(url, "silent-1")
		create := func(edit func(*fleet.OrderRequest)) error {
			req := quarantine("press-7")
			req.Tenant, req.Requester, req.Reason, req.Key = tenant, admin, "test", "k"
			req.Decision = core.Decision{Allowed: true, Intent: core.Position{Origin: origin, Index: 1}}
			edit(&req)
			_, err := r.orders.Create(t.Context(), req)
			return err
		}
		for name, row := range map[string]struct {
			edit func(*fleet.OrderRequest)
			kind core.Kind
			word string
		}{
			"a type without a row":         {func(q *fleet.OrderRequest) { q.Type = "run_command" }, core.KindInvalid, "run_command"},
			"a stop":                       {func(q *fleet.OrderRequest) { q.Type = link.OrderStop }, core.KindInvalid, "stop path"},
			"no permit":                    {func(q *fleet.OrderRequest) { q.Decision.Allowed = false }, core.KindDenied, "permit"},
			"no intent":                    {func(q *fleet.OrderRequest) { q.Decision.Intent = core.Position{} }, core.KindDenied, "intent"},
			"no reason":                    {func(q *fleet.OrderRequest) { q.Reason = "" }, core.KindInvalid, "reason"},
			"no key":                       {func(q *fleet.OrderRequest) { q.Key = "" }, core.KindInvalid, "key"},
			"another tenant":               {func(q *fleet.OrderRequest) { q.Requester.Tenant = core.MustID[core.TenantID]("other") }, core.KindInvalid, "other"},
			"an unknown device":            {func(q *fleet.OrderRequest) { q.Device = core.MustID[core.DeviceID]("nobody") }, core.KindNotFound, "nobody"},
			"a device that never reported": {func(q *fleet.OrderRequest) { q.Device = core.MustID[core.DeviceID]("silent-1") }, core.KindConflict, "not reported"},
			"a latch that is not open": {func(q *fleet.OrderRequest) {
				q.Type, q.Latches = link.OrderRelease, []string{strings.Repeat("cd", 16)}
			}, core.KindConflict, "cdcd"},
			"latches of a quarantine": {func(q *fleet.OrderRequest) { q.Latches = []string{latch} }, core.KindInvalid, "latches"},
			"unknown parameters":      {func(q *fleet.OrderRequest) { q.Params = []byte(`{"shell":"id"}`) }, core.KindInvalid, "shell"},
		} {
			t.Run(name, func(t *testing.T) {
				err := create(row.edit)
				if core.KindOf(err) != row.kind || err == nil || !strings.Contains(err.Error(), row.word) {
					t.Errorf("%v, want kind %v naming %q", err, row.kind, row.word)
				}
			})
		}
		list, err := r.orders.List(t.Context(), tenant, core.DeviceID{}, 0)
		if err != nil || len(list) != 0 {
			t.Errorf("orders %+v, %v", list, err)
		}
	})
}

func TestAnOrderWaitsForTheKeysProcess(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.tampered(r.serve(), "press-7")
		r.keys.down(errDown)
		o, err := r.order(auto, policy.DeviceQuarantine, quarantine("press-7"))
		r.want(err, core.KindUnavailable, "waits for its signature")
		if o.State != fleet.OrderSigning {
			t.Fatalf("%+v", o)
		}
		r.want(r.orders.Sweep(t.Context()), core.KindUnavailable)
		r.keys.down(nil)
		r.must(r.orders.Sweep(t.Context()))
		if o, err = r.orders.Get(t.Context(), tenant, o.ID); err != nil || o.State != fleet.OrderQueued {
			t.Errorf("%+v, %v", o, err)
		}
		r.keys.down(core.E(core.KindDenied, "keys", "over its cap"))
		o, err = r.order(auto, policy.DeviceQuarantine, quarantine("press-7"))
		r.want(err, core.KindDenied, "over its cap")
		if o.State != fleet.OrderFailed || !strings.Contains(o.Detail, "over its cap") {
			t.Errorf("%+v", o)
		}
	})
}

// TestApprovalsAreForOneState: what persons signed is worth nothing once the
// device is in another state.
func TestApprovalsAreForOneState(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.tampered(r.serve(), "press-7")
		o, err := r.order(auto, policy.DeviceRelease, release("press-7"))
		r.must(err)
		o, err = r.approve(o, "ben")
		r.must(err)
		a.send(link.DeviceEvent{Type: "latch_released", Fields: []byte(`{"released":"` + latch + `"}`)})
		for _, f := range r.raw.since(0) {
			r.handle(f)
		}
		o, err = r.approve(o, "cleo")
		r.must(err)
		if o.State != fleet.OrderSuperseded || !strings.Contains(o.Detail, latch) {
			t.Errorf("%+v", o)
		}
	})
}

func TestOrdersRunOutAndAreWithdrawn(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.tampered(r.serve(), "press-7")
		o, err := r.order(admin, policy.DeviceRelease, release("press-7"))
		r.must(err)
		w, err := r.orders.Withdraw(t.Context(), admin, tenant, o.ID)
		r.must(err)
		if w.State != fleet.OrderWithdrawn {
			t.Errorf("%+v", w)
		}
		o, err = r.order(auto, policy.DeviceRelease, release("press-7"))
		r.must(err)
		r.clock.Advance(73 * time.Hour)
		_, err = r.approve(o, "ben")
		r.want(err, core.KindExpired, "ran out")
		r.must(r.orders.Sweep(t.Context()))
		if o, err = r.orders.Get(t.Context(), tenant, o.ID); err != nil || o.State != fleet.OrderExpired {
			t.Errorf("%+v, %v", o, err)
		}
	})
}

func TestAResultOfAnotherDevicesOrder(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		url := r.serve()
		a := r.tampered(url, "press-7")
		b := r.enrolled(url, "press-8")
		_, err := r.order(auto, policy.DeviceQuarantine, quarantine("press-7"))
		r.must(err)
		o := a.orders(0, 1)[0]
		r.want(b.result(o, link.OutcomeDone), core.KindDenied, "press-8", "press-7")
		stranger := &link.Order{ID: core.NewUUID(start)}
		r.want(a.result(stranger, link.OutcomeDone), core.KindNotFound)
		s := stop.Stop{ID: core.NewUUID(start)}
		r.hubOK[s.ID] = true
		r.must(a.result(&link.Order{ID: s.ID}, link.OutcomeDone)) // a stop's acknowledgement needs no row
	})
}

// TestNoServerKeyLoosens asks for every order type that leads away from safety
// and signs it with every key that a server holds.
func TestNoServerKeyLoosens(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.tampered(r.serve(), "press-7")
		sum := strings.Repeat("ab", 32)
		params := map[link.OrderType]string{
			link.OrderDisarm:        `{"arming":"disarmed","until":` + until + `}`,
			link.OrderBypass:        `{"sensor":"eth0","until":` + until + `}`,
			link.OrderBaseline:      `{"sensor":"eth0","sha256":"` + sum + `"}`,
			link.OrderPolicy:        `{"version":1,"sha256":"` + sum + `"}`,
			link.OrderUpdate:        `{"version":"1.2.3","sha256":"` + sum + `","size":1}`,
			link.OrderServerAddress: `{"servers":["evil.example:443"]}`,
		}
		for _, typ := range link.AllOrderTypes {
			row, _ := link.DirectionOf(typ)
			if !row.Direction.Away() {
				continue
			}
			req := fleet.OrderRequest{
				Key: string(typ), Tenant: tenant, Device: core.MustID[core.DeviceID]("press-7"), Type: typ, Requester: auto, Reason: "test", Params: []byte(params[typ]),
				Decision: core.Decision{Allowed: true, Intent: core.Position{Origin: origin, Index: 1}},
			}
			o, err := r.orders.Create(t.Context(), req)
			r.must(err)
			if o.State != fleet.OrderAwaiting || o.Needed != 2 {
				t.Errorf("%s: %+v", typ, o)
			}
			for _, key := range []link.Signer{r.keys.signer, r.people["stop"]} {
				for _, space := range []string{link.NamespaceApproval, link.NamespaceOrder} {
					sig, err := link.Sign(key, space, o.Payload)
					r.must(err)
					if got, err := r.orders.Approve(t.Context(), admin, tenant, o.ID, sig); err == nil || got.State != fleet.OrderAwaiting {
						t.Errorf("%s: a server key got it to %s (%v)", typ, got.State, err)
					}
				}
			}
		}
	})
}

const until = "1795255200000000" // a day after start, in microseconds
