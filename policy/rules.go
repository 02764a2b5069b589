package policy

import (
	"slices"

	"github.com/interlock-security/interlock/core"
)

// Ids under which the rules in code appear in Decision.Policies.
const (
	RuleVocabulary = "code:vocabulary"
	RuleIdentity   = "code:identity"
	RuleTenant     = "code:tenant"
	RuleSite       = "code:site"
	RuleSelf       = "code:self"
	RuleStop       = "code:stop"
	RuleReflex     = "code:reflex"
	RuleRepair     = "code:repair"
	RuleReport     = "code:report"
	RuleNoSet      = "code:no-policies"
	RuleError      = "code:policy-error"
	RuleCap        = "code:cap"
	RuleDefault    = "code:default-deny"
)

// strangersMay is all that a peer who proved nothing can be granted.
var strangersMay = []core.Action{HealthRead}

func deny(rule, reason string) core.Decision {
	return core.Decision{Reason: reason, Policies: []string{rule}}
}

func permit(rule, reason string) core.Decision {
	return core.Decision{Allowed: true, Reason: reason, Policies: []string{rule}}
}

// check applies the rules that no policy can loosen. ok false means that d is
// the answer.
func check(who core.Principal, action core.Action, on core.Resource) (c Class, d core.Decision, ok bool) {
	c, exists := classes[action]
	if !exists {
		return c, deny(RuleVocabulary, "there is no such action"), false
	}
	if who.ID == "" || !slices.Contains(kinds, who.Kind) {
		return c, deny(RuleIdentity, "the principal has no identity"), false
	}
	if who.Kind == core.KindStranger {
		if !slices.Contains(strangersMay, action) {
			return c, deny(RuleIdentity, "somebody who proved nothing may do nothing here"), false
		}
		return c, d, true
	}
	if who.Tenant.IsZero() || who.Tenant != on.Tenant {
		return c, deny(RuleTenant, "the object is not in the principal's tenant"), false
	}
	if who.Kind == core.KindDevice && !Self(who, on) {
		return c, deny(RuleSelf, "a device acts only on itself"), false
	}
	if !inSites(who, c, on) {
		return c, deny(RuleSite, "the object is not on a site of the principal"), false
	}
	return c, d, true
}

var kinds = []core.PrincipalKind{core.KindPerson, core.KindDevice, core.KindService, core.KindToken, core.KindStranger}

// Self reports whether the object is the device that asks, or belongs to it:
// a batch or an order whose attribute "device", set by the server, names it.
func Self(who core.Principal, on core.Resource) bool {
	if who.Kind != core.KindDevice {
		return false
	}
	if on.Type == "device" {
		return on.ID == who.ID
	}
	owner, _ := on.Attrs["device"].(string)
	return owner == who.ID
}

// inSites holds the site rule. A person or a token has the sites that it names,
// none when it names none. A program of ours is tenant-wide unless it names
// sites. An object without a site is tenant-wide, except a device that
// something is to be done to: then nobody knows whose it is.
func inSites(who core.Principal, c Class, on core.Resource) bool {
	if who.Kind == core.KindDevice {
		return true // itself only, checked before
	}
	if on.Site.IsZero() {
		moves := c == ClassContain || c == ClassStop || c == ClassLoosen || c == ClassDestroy
		return on.Type != "device" || !moves
	}
	if who.Kind == core.KindService && len(who.Sites) == 0 {
		return true
	}
	return slices.Contains(who.Sites, on.Site)
}

// Undelayed reports whether an act is on the closed list of those that wait for
// neither Cedar nor a record: the stop and a device's reflex. Nothing else is.
func Undelayed(action core.Action) bool { return action == DeviceStop || action == ReflexContain }

// undelayed decides the acts on that list. ok false means that the act is not
// on it.
func undelayed(who core.Principal, action core.Action) (d core.Decision, ok bool) {
	switch {
	case !Undelayed(action):
		return d, false
	case action == ReflexContain && who.Kind == core.KindDevice:
		return permit(RuleReflex, "a device contains itself"), true
	case action == ReflexContain:
		return deny(RuleReflex, "only a device contains itself by reflex"), true
	case who.Kind == core.KindPerson:
		return permit(RuleStop, "any person may stop machines on the own sites"), true
	case who.Kind == core.KindDevice:
		return permit(RuleStop, "a device may stop itself"), true
	}
	return deny(RuleStop, "a "+string(who.Kind)+" never stops a machine"), true
}

// known reports whether a principal is somebody: an identity of a known kind
// that was proved.
func known(who core.Principal) bool {
	return who.ID != "" && who.Kind != core.KindStranger && slices.Contains(kinds, who.Kind)
}
