package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/cedar-policy/cedar-go"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
)

// guard1000 is what a decision costs with a thousand policies, of which fifteen
// can match the question, compared with asking Cedar about all of them.
func guard1000() trial {
	return trial{
		figures: []figure{{name: "policy/guard/1000", unit: "µs-cpu", floor: "cedar/linear/1000", bars: []bar{{atMost: 10}}}},
		open:    openGuard,
	}
}

var errRefused = errors.New("the question that must be permitted was refused")

func openGuard(ctx context.Context, _ string) (sides, error) {
	text := []byte(thousand())
	set, err := policy.Parse(policy.File{Name: "thousand.cedar", Text: text})
	if err != nil {
		return sides{}, err
	}
	all, err := cedar.NewPolicyListFromBytes("thousand.cedar", text)
	if err != nil {
		return sides{}, err
	}
	guard := policy.NewGuard(set, unrecorded{}, core.SystemClock{})
	who := operator()
	return sides{
		ours: micros(func() error {
			d, err := guard.Permit(ctx, who, policy.DeviceQuarantine, press(7))
			if err == nil && !d.Allowed {
				err = errRefused
			}
			return err
		}),
		floor: micros(linear(all)),
		close: func() error { return nil },
	}, nil
}

// unrecorded answers in place of the audit log, whose cost is audit/append's.
type unrecorded struct{}

func (unrecorded) Intent(context.Context, core.Principal, core.Action, core.Resource, core.Decision) (core.Position, error) {
	return core.Position{Origin: "bench", Index: 1}, nil
}

var hall = core.MustID[core.SiteID]("hall-2")

func operator() core.Principal {
	return core.Principal{
		Kind: core.KindPerson, ID: "otto", Tenant: benchTenant, Roles: []string{core.RoleOperator}, Sites: []core.SiteID{hall},
	}
}

// press is a device with attributes made anew, as a request has them.
func press(n int) core.Resource {
	return core.Resource{
		Type: "device", ID: fmt.Sprintf("press-%d", n), Tenant: benchTenant, Site: hall,
		Attrs: map[string]any{"zone": int64(3), "state": "online", "simulated": false},
	}
}

// thousand writes 1 000 policies of which 15 are left for an operator who
// quarantines: a site with a policy for each zone and shift.
func thousand() string {
	var text strings.Builder
	n := 0
	add := func(format string, args ...any) {
		fmt.Fprintf(&text, "@id(\"p%d\") "+format+"\n", append([]any{n}, args...)...)
		n++
	}
	for i := range 7 {
		add(`permit (principal is Person in Role::"operator", action == Action::"device.quarantine", resource) when { resource.type == "device" && resource.zone == %d };`, i)
	}
	for i := range 4 {
		add(`forbid (principal, action, resource) when { resource has frozen%d && resource.frozen%d };`, i, i)
		add(`forbid (principal is Person, action == Action::"device.quarantine", resource) when { resource.id == "never-%d" };`, i)
	}
	roles := []string{core.RoleViewer, core.RoleOperator, core.RoleSecurityOfficer, core.RoleAdministrator}
	for i := 0; n < 1000; i++ {
		a := policy.Actions[i%len(policy.Actions)].Action
		if a != policy.DeviceQuarantine {
			add(`permit (principal is Person in Role::"%s", action == Action::"%s", resource) when { resource.type == "device" && resource.zone == %d };`, roles[i%len(roles)], a, i)
		}
	}
	return text.String()
}

// linear asks Cedar about every policy. Its entities are made beforehand, which
// the Guard does for each question.
func linear(all cedar.PolicyList) func() error {
	person, role := cedar.NewEntityUID("Person", "otto"), cedar.NewEntityUID("Role", core.RoleOperator)
	action, object := cedar.NewEntityUID("Action", "device.quarantine"), cedar.NewEntityUID("Object", "device/press-7")
	entities := cedar.EntityMap{
		person: {UID: person, Parents: cedar.NewEntityUIDSet(role)},
		action: {UID: action, Parents: cedar.NewEntityUIDSet(cedar.NewEntityUID("Action", "contain"))},
		object: {UID: object, Attributes: cedar.NewRecord(cedar.RecordMap{
			"type": cedar.String("device"), "id": cedar.String("press-7"), "zone": cedar.Long(3),
		})},
	}
	request := cedar.Request{Principal: person, Action: action, Resource: object}
	return func() error {
		if d, _ := cedar.Authorize(listed(all), entities, request); d != cedar.Allow {
			return errRefused
		}
		return nil
	}
}

// listed hands Cedar a list of policies as it is: its own PolicySet is a map,
// which is slower.
type listed cedar.PolicyList

// All implements cedar.PolicyIterator.
func (l listed) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, p := range l {
			if !yield("p", p) {
				return
			}
		}
	}
}
