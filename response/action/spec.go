package action

import (
	"slices"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
)

// Kind is an action's name, as playbooks write it.
type Kind string

// The kinds of action.
const (
	Quarantine Kind = "quarantine"
	Suspend    Kind = "suspend"
	Arm        Kind = "arm"
	Release    Kind = "release"
	Reset      Kind = "reset"
	Disarm     Kind = "disarm"
	Bypass     Kind = "bypass"
	Baseline   Kind = "baseline"
)

// Spec says what an action is: the order that it becomes, what the Guard is
// asked, and whether it can be taken back without harm.
type Spec struct {
	Kind       Kind
	Order      link.OrderType
	Action     core.Action
	Reversible bool
	// Persons says that it takes parameters that a playbook can't know, so only
	// persons ask for it.
	Persons bool
}

var specs = []Spec{
	{Quarantine, link.OrderQuarantine, policy.DeviceQuarantine, true, false},
	{Suspend, link.OrderSuspend, policy.DeviceSuspend, true, false},
	{Arm, link.OrderArm, policy.DeviceArm, true, false},
	{Release, link.OrderRelease, policy.DeviceRelease, false, false},
	{Reset, link.OrderReset, policy.DeviceReset, false, false},
	{Disarm, link.OrderDisarm, policy.DeviceDisarm, false, true},
	{Bypass, link.OrderBypass, policy.DeviceBypass, false, true},
	{Baseline, link.OrderBaseline, policy.DeviceBaseline, false, true},
}

// SpecOf returns an action's row, false for a kind that does not exist.
func SpecOf(k Kind) (Spec, bool) {
	i := slices.IndexFunc(specs, func(s Spec) bool { return s.Kind == k })
	if i < 0 {
		return Spec{}, false
	}
	return specs[i], true
}

// Contains reports whether the action cuts a device off, and so counts against
// the cap of its actor.
func (s Spec) Contains() bool {
	class, _ := policy.ClassOf(s.Action)
	return class == policy.ClassContain
}

// Kinds lists the kinds.
func Kinds() []Kind {
	all := make([]Kind, 0, len(specs))
	for _, s := range specs {
		all = append(all, s.Kind)
	}
	return all
}
