package policy

import (
	"fmt"
	"slices"

	"github.com/cedar-policy/cedar-go"

	"github.com/interlock-security/interlock/core"
)

// Evaluate answers from the rules in code and the policies of the set, without
// state and without recording anything. A nil set permits stops, to a device its
// reports, and to administrators [RepairActions].
func (s *Set) Evaluate(who core.Principal, action core.Action, on core.Resource) core.Decision {
	class, d, ok := check(who, action, on)
	if !ok {
		return d
	}
	if d, ok := undelayed(who, action); ok {
		return d
	}
	if s == nil {
		if repairs(who, action) {
			return permit(RuleRepair, "an administrator mends the policies")
		}
		if who.Kind == core.KindDevice && class == ClassReport {
			return permit(RuleReport, "what devices sense is taken in whatever the policies are")
		}
		return deny(RuleNoSet, "there is no good set of policies")
	}
	e, request, err := newRequest(who, action, on)
	if err != nil {
		return deny(RuleError, err.Error())
	}
	var drawers [3 + len(roleNames)][]*entry
	return s.decide(s.slice(drawers[:0], action, &e.principal), e, request)
}

// Could reports whether any policy permits somebody like who the action, on
// whatever object. False is final, true decides nothing. A door asks it first, so
// that whoever has no right learns nothing of what there is.
func (s *Set) Could(who core.Principal, action core.Action) bool {
	if s == nil || Undelayed(action) {
		return true
	}
	p := newPrincipal(who)
	var drawers [3 + len(roleNames)][]*entry
	for _, one := range s.slice(drawers[:0], action, &p).All() {
		if one.Effect() == cedar.Permit {
			return true
		}
	}
	return false
}

// decide runs Cedar over the policies given, which are the slice for the
// request or, in the property test, all.
func (s *Set) decide(policies slice, e *entities, request cedar.Request) core.Decision {
	decision, diag := cedar.Authorize(policies, e, request)
	return s.decision(decision, diag)
}

// decision turns Cedar's answer into ours. Cedar skips a policy that errs, so
// an erring forbid would fail open: any error denies.
func (s *Set) decision(decision cedar.Decision, diag cedar.Diagnostic) core.Decision {
	if len(diag.Errors) > 0 {
		d := deny(RuleError, fmt.Sprintf("policy %q failed: %s", diag.Errors[0].PolicyID, diag.Errors[0].Message))
		for _, e := range diag.Errors {
			d.Policies = append(d.Policies, string(e.PolicyID))
		}
		slices.Sort(d.Policies[1:])
		return d
	}
	if len(diag.Reasons) == 0 {
		return deny(RuleDefault, "no policy permits it")
	}
	d := core.Decision{Allowed: decision == cedar.Allow, Policies: make([]string, len(diag.Reasons))}
	for i, r := range diag.Reasons {
		d.Policies[i] = string(r.PolicyID)
	}
	slices.Sort(d.Policies)
	d.Reason = s.reasons[d.Policies[0]]
	if d.Reason == "" {
		d.Reason = fmt.Sprintf("policy %q decided", d.Policies[0])
	}
	return d
}
