package policy

import (
	"fmt"

	"github.com/cedar-policy/cedar-go"

	"github.com/interlock-security/interlock/core"
)

// The entity types of policies.
const (
	typeAction cedar.EntityType = "Action"
	typeObject cedar.EntityType = "Object"
	typeRole   cedar.EntityType = "Role"
)

var typeOfKind = map[core.PrincipalKind]cedar.EntityType{
	core.KindPerson: "Person", core.KindDevice: "Device", core.KindService: "Service",
	core.KindToken: "Token", core.KindStranger: "Stranger",
}

var kindOfType = func() map[cedar.EntityType]core.PrincipalKind {
	m := make(map[cedar.EntityType]core.PrincipalKind, len(typeOfKind))
	for k, t := range typeOfKind {
		m[t] = k
	}
	return m
}()

// roleNames are the roles that exist. A role that a principal claims beside
// these grants nothing.
var roleNames = [...]string{core.RoleViewer, core.RoleOperator, core.RoleSecurityOfficer, core.RoleAdministrator}

// roleSets holds, for each combination of roles as a bit mask, the role
// entities that a principal stands in: every role includes viewer.
var roleSets = func() [1 << len(roleNames)]struct {
	uids []cedar.EntityUID
	set  cedar.EntityUIDSet
} {
	var sets [1 << len(roleNames)]struct {
		uids []cedar.EntityUID
		set  cedar.EntityUIDSet
	}
	for mask := range sets {
		for i, name := range roleNames {
			if mask&(1<<i) != 0 || (i == 0 && mask != 0) {
				sets[mask].uids = append(sets[mask].uids, cedar.NewEntityUID(typeRole, cedar.String(name)))
			}
		}
		sets[mask].set = cedar.NewEntityUIDSet(sets[mask].uids...)
	}
	return sets
}()

// actionEntities holds every action with the group of its class.
var actionEntities = func() map[cedar.EntityUID]cedar.Entity {
	m := make(map[cedar.EntityUID]cedar.Entity, len(Actions))
	for _, r := range Actions {
		uid := cedar.NewEntityUID(typeAction, cedar.String(r.Action))
		group := cedar.NewEntityUID(typeAction, cedar.String(r.Class))
		m[uid] = cedar.Entity{UID: uid, Parents: cedar.NewEntityUIDSet(group)}
	}
	return m
}()

// principal is who asks, as policies see it.
type principal struct {
	uid   cedar.EntityUID
	roles []cedar.EntityUID
	set   cedar.EntityUIDSet
}

func newPrincipal(who core.Principal) principal {
	mask := 0
	for _, r := range who.Roles {
		for i, name := range roleNames {
			if r == name {
				mask |= 1 << i
			}
		}
	}
	return principal{
		uid:   cedar.EntityUID{Type: typeOfKind[who.Kind], ID: cedar.String(who.ID)},
		roles: roleSets[mask].uids,
		set:   roleSets[mask].set,
	}
}

// entities answers what Cedar asks of the request's three parts. The object's
// attributes are built when a policy asks for one.
type entities struct {
	principal principal
	object    cedar.EntityUID
	record    cedar.Record
}

// Get implements cedar.EntityGetter.
func (e *entities) Get(uid cedar.EntityUID) (cedar.Entity, bool) {
	switch uid {
	case e.principal.uid:
		return cedar.Entity{UID: uid, Parents: e.principal.set}, true
	case e.object:
		return cedar.Entity{UID: uid, Attributes: e.record}, true
	}
	a, ok := actionEntities[uid]
	return a, ok
}

// attributes makes the object's record. An attribute of a type that policies
// don't know, or one that would hide an attribute of ours, is an error: the
// caller's mistake must not become a policy that looks at nothing.
func attributes(who core.Principal, on core.Resource) (cedar.Record, error) {
	m := make(cedar.RecordMap, 4+len(on.Attrs))
	for name, v := range on.Attrs {
		switch v := v.(type) {
		case string:
			m[cedar.String(name)] = cedar.String(v)
		case bool:
			m[cedar.String(name)] = cedar.Boolean(v)
		case int64:
			m[cedar.String(name)] = cedar.Long(v)
		default:
			return cedar.Record{}, fmt.Errorf("attribute %q of %s is a %T; policies know string, bool and int64", name, on, v)
		}
	}
	for _, ours := range []struct {
		name  cedar.String
		value cedar.Value
	}{
		{"type", cedar.String(on.Type)},
		{"id", cedar.String(on.ID)},
		{"site", cedar.String(on.Site.String())},
		{"self", cedar.Boolean(Self(who, on))},
	} {
		if _, taken := m[ours.name]; taken {
			return cedar.Record{}, fmt.Errorf("attribute %q of %s is ours to set", ours.name, on)
		}
		m[ours.name] = ours.value
	}
	return cedar.NewRecord(m), nil
}

func newRequest(who core.Principal, action core.Action, on core.Resource) (*entities, cedar.Request, error) {
	record, err := attributes(who, on)
	if err != nil {
		return nil, cedar.Request{}, err
	}
	e := &entities{principal: newPrincipal(who), object: cedar.EntityUID{Type: typeObject, ID: cedar.String(on.String())}, record: record}
	return e, cedar.Request{
		Principal: e.principal.uid,
		Action:    cedar.EntityUID{Type: typeAction, ID: cedar.String(action)},
		Resource:  e.object,
	}, nil
}
