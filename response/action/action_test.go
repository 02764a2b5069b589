package action_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/response/action"
)

var (
	tenant = core.MustID[core.TenantID]("acme")
	site   = core.MustID[core.SiteID]("hall-1")
	press  = core.MustID[core.DeviceID]("press-7")
	ben    = person("ben", core.RoleOperator)
)

func person(name string, roles ...string) core.Principal {
	return core.Principal{Kind: core.KindPerson, ID: name, Tenant: tenant, Roles: roles, Sites: []core.SiteID{site}}
}

// world is a fleet of one device, a log, and the orders that were made.
type world struct {
	logDown  error
	away     error
	intents  []core.Resource
	requests []fleet.OrderRequest
}

func (w *world) Get(_ context.Context, t core.TenantID, id core.DeviceID) (fleet.Device, error) {
	switch {
	case w.away != nil:
		return fleet.Device{}, w.away
	case t != tenant || id != press:
		return fleet.Device{}, core.E(core.KindNotFound, "fleet", "there is no device "+id.String())
	}
	return fleet.Device{Tenant: tenant, ID: press, Site: site}, nil
}

func (w *world) Create(_ context.Context, r fleet.OrderRequest) (fleet.Order, error) {
	w.requests = append(w.requests, r)
	return fleet.Order{Device: r.Device, Type: r.Type, Request: r.Key}, nil
}

func (w *world) Intent(_ context.Context, _ core.Principal, _ core.Action, on core.Resource, _ core.Decision) (core.Position, error) {
	if w.logDown != nil {
		return core.Position{}, w.logDown
	}
	w.intents = append(w.intents, on)
	return core.Position{Origin: "log", Index: uint64(len(w.intents))}, nil
}

func (w *world) runner() *action.Runner {
	return action.NewRunner(policy.NewGuard(policy.Default(), w, clocktest.New(time.Unix(1_800_000_000, 0))), w, w)
}

func request(kind action.Kind, by core.Principal) action.Request {
	return action.Request{
		Key: "person/1", Kind: kind, Device: press, By: by, Reason: "case open", Incident: core.NewUUID(time.Unix(1_800_000_000, 0)),
		Params: []byte(`{"presence":"4711"}`),
	}
}

// TestAnOrderCarriesTheDecision: what the Guard was asked is about exactly the
// device that the order names, and the order bears the durable intent.
func TestAnOrderCarriesTheDecision(t *testing.T) {
	w := &world{}
	q := request(action.Quarantine, ben)
	o, err := w.runner().Run(t.Context(), q)
	if err != nil || o.Type != link.OrderQuarantine || len(w.requests) != 1 {
		t.Fatalf("%+v, %v", o, err)
	}
	r := w.requests[0]
	if !r.Decision.Allowed || r.Decision.Intent != (core.Position{Origin: "log", Index: 1}) {
		t.Errorf("the order's decision is %+v", r.Decision)
	}
	if r.Key != q.Key || r.Tenant != tenant || r.Device != press || r.Requester.ID != "ben" || r.Reason != q.Reason || r.Incident != q.Incident || string(r.Params) != string(q.Params) {
		t.Errorf("the order is %+v", r)
	}
	if on := w.intents[0]; on.Type != "device" || on.ID != "press-7" || on.Tenant != tenant || on.Site != site {
		t.Errorf("the Guard was asked about %+v", on)
	}
}

// TestWithoutAPermitThereIsNoOrder.
func TestWithoutAPermitThereIsNoOrder(t *testing.T) {
	elsewhere, foreign := ben, ben
	elsewhere.Sites = []core.SiteID{core.MustID[core.SiteID]("hall-2")}
	foreign.Tenant = core.MustID[core.TenantID]("other")
	unknown := request(action.Quarantine, ben)
	unknown.Device = core.MustID[core.DeviceID]("press-8")
	for name, row := range map[string]struct {
		w    world
		q    action.Request
		kind core.Kind
	}{
		"a viewer":                  {q: request(action.Quarantine, person("vera", core.RoleViewer)), kind: core.KindDenied},
		"another site":              {q: request(action.Quarantine, elsewhere), kind: core.KindDenied},
		"another tenant":            {q: request(action.Quarantine, foreign), kind: core.KindNotFound},
		"a device about another":    {q: request(action.Quarantine, core.Principal{Kind: core.KindDevice, ID: "press-8", Tenant: tenant}), kind: core.KindDenied},
		"a service that may not":    {q: request(action.Quarantine, core.Principal{Kind: core.KindService, ID: "verification", Tenant: tenant}), kind: core.KindDenied},
		"a reset by a playbook":     {q: request(action.Reset, core.Principal{Kind: core.KindService, ID: "playbook", Tenant: tenant}), kind: core.KindDenied},
		"nobody":                    {q: request(action.Quarantine, core.Principal{}), kind: core.KindNotFound},
		"no such action":            {q: request("shell", ben), kind: core.KindInvalid},
		"an action in another case": {q: request("Quarantine", ben), kind: core.KindInvalid},
		"no such device":            {q: unknown, kind: core.KindNotFound},
		"the log is down":           {w: world{logDown: core.E(core.KindUnavailable, "audit", "the disk is full")}, q: request(action.Release, ben), kind: core.KindUnavailable},
		"the log fails oddly":       {w: world{logDown: errors.New("bad sector")}, q: request(action.Quarantine, ben), kind: core.KindInternal},
		"the registry is away":      {w: world{away: core.E(core.KindUnavailable, "fleet", "the database is paused")}, q: request(action.Quarantine, ben), kind: core.KindUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := row.w.runner().Run(t.Context(), row.q)
			if err == nil || core.KindOf(err) != row.kind {
				t.Errorf("%v (%s), want %s", err, core.KindOf(err), row.kind)
			}
			if len(row.w.requests) != 0 {
				t.Errorf("an order was made: %+v", row.w.requests)
			}
		})
	}
}

// TestEveryActionIsWhatItsOrderSays: the Guard is asked for the action that the
// keys process will ask for again, no kind stops or destroys, and what contains
// can be taken back.
func TestEveryActionIsWhatItsOrderSays(t *testing.T) {
	for _, kind := range action.Kinds() {
		s, ok := action.SpecOf(kind)
		row, known := link.DirectionOf(s.Order)
		class, _ := policy.ClassOf(s.Action)
		if !ok || !known || s.Action != core.Action("device."+string(s.Order)) || string(kind) != string(s.Order) {
			t.Errorf("%s: %+v", kind, s)
		}
		if row.Direction == link.DirectionStop || row.Direction == link.DirectionDestroy {
			t.Errorf("%s has direction %s", kind, row.Direction)
		}
		if away := row.Direction.Away(); away != (class == policy.ClassLoosen) || away == s.Reversible || s.Contains() != (class == policy.ClassContain) {
			t.Errorf("%s: away from safety %v, reversible %v, contains %v, class %s", kind, away, s.Reversible, s.Contains(), class)
		}
	}
	if _, ok := action.SpecOf("zeroize"); ok || slices.Contains(action.Kinds(), "stop") {
		t.Error("an action that destroys or stops")
	}
}
