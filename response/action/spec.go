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
)

// Spec says what an action is: the order that it becomes, what the Guard is
// asked, and whether it can be taken back without harm.
type Spec struct {
	Kind       Kind
	Order      link.OrderType
	Action     core.Action
	Reversible bool
}

var specs = []Spec{
	{Quarantine, link.OrderQuarantine, policy.DeviceQuarantine, true},
	{Suspend, link.OrderSuspend, policy.DeviceSuspend, true},
	{Arm, link.OrderArm, policy.DeviceArm, true},
	{Release, link.OrderRelease, policy.DeviceRelease, false},
	{Reset, link.OrderReset, policy.DeviceReset, false},
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
