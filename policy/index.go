package policy

import (
	"fmt"
	"iter"
	"slices"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"github.com/interlock-security/interlock/core"
)

// Cedar evaluates every policy that it is given. The index hands it only those
// whose scope can match: policies are filed under (action, principal constraint)
// and a request opens the few drawers that can hold a match. A policy stands
// once in each action's drawer that its scope names, and a principal constraint
// is exactly one of: none, a type, an entity (the principal itself or a role it
// stands in). So no policy is seen twice, a policy with an open scope (above all
// an open forbid) is in every slice, and the slice gives the same answer as the
// whole set; TestSlicedEqualsFull holds that.

// entry is a policy with its name.
type entry struct {
	id     cedar.PolicyID
	policy *cedar.Policy
}

// key names a drawer. The zero uid with an empty type is the drawer of policies
// that any principal matches.
type key struct {
	action    core.Action
	principal cedar.EntityUID // type without id: the constraint is "is"
}

// slice is the part of a set that can match one request.
type slice [][]*entry

// All implements cedar.PolicyIterator.
func (s slice) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, drawer := range s {
			for _, e := range drawer {
				if !yield(e.id, e.policy) {
					return
				}
			}
		}
	}
}

// slice collects the drawers for a request into buf.
func (s *Set) slice(buf slice, action core.Action, p *principal) slice {
	buf = s.open(buf, key{action, cedar.EntityUID{}})
	buf = s.open(buf, key{action, cedar.EntityUID{Type: p.uid.Type}})
	buf = s.open(buf, key{action, p.uid})
	for _, role := range p.roles {
		buf = s.open(buf, key{action, role})
	}
	return buf
}

func (s *Set) open(buf slice, k key) slice {
	if drawer := s.index[k]; len(drawer) > 0 {
		return append(buf, drawer)
	}
	return buf
}

// scope returns the drawers that a policy belongs in, or says what its scope
// names that does not exist: a policy that can never match is a mistake, and in
// a forbid a dangerous one.
func scope(p *cedar.Policy) ([]key, error) {
	tree := (*ast.Policy)(p.AST())
	who, err := principalScope(p, tree.Principal)
	if err != nil {
		return nil, err
	}
	actions, err := actionScope(p, tree.Action)
	if err != nil {
		return nil, err
	}
	if err := resourceScope(p, tree.Resource); err != nil {
		return nil, err
	}
	keys := make([]key, len(actions))
	for i, a := range actions {
		keys[i] = key{a, who}
	}
	return keys, nil
}

func principalScope(p *cedar.Policy, n ast.IsPrincipalScopeNode) (cedar.EntityUID, error) {
	var uid cedar.EntityUID
	switch n := n.(type) {
	case ast.ScopeTypeAll:
		return uid, nil
	case ast.ScopeTypeIs:
		return cedar.EntityUID{Type: n.Type}, knownKind(p, n.Type)
	case ast.ScopeTypeIsIn:
		if err := knownKind(p, n.Type); err != nil {
			return uid, err
		}
		uid = n.Entity
	case ast.ScopeTypeEq:
		uid = n.Entity
	case ast.ScopeTypeIn:
		uid = n.Entity
	default:
		return uid, at(p.Position(), "this principal scope is not supported")
	}
	if uid.ID == "" {
		return uid, at(p.Position(), "the principal scope names nobody")
	}
	if uid.Type == typeRole && !slices.Contains(roleNames[:], string(uid.ID)) {
		return uid, at(p.Position(), fmt.Sprintf("there is no role %q; known are %v", uid.ID, roleNames))
	}
	if uid.Type == typeRole {
		return uid, nil
	}
	return uid, knownKind(p, uid.Type)
}

func knownKind(p *cedar.Policy, t cedar.EntityType) error {
	if _, ok := kindOfType[t]; ok {
		return nil
	}
	return at(p.Position(), fmt.Sprintf("a principal is never a %s; known are Person, Device, Service, Token, Stranger and Role", t))
}

func actionScope(p *cedar.Policy, n ast.IsActionScopeNode) ([]core.Action, error) {
	switch n := n.(type) {
	case ast.ScopeTypeAll:
		return allActions, nil
	case ast.ScopeTypeEq:
		return actionsOf(p, false, n.Entity)
	case ast.ScopeTypeIn:
		return actionsOf(p, true, n.Entity)
	case ast.ScopeTypeInSet:
		return actionsOf(p, true, n.Entities...)
	}
	return nil, at(p.Position(), "this action scope is not supported")
}

// actionsOf resolves names of actions and, where a group is allowed, of classes.
func actionsOf(p *cedar.Policy, groups bool, uids ...cedar.EntityUID) ([]core.Action, error) {
	var out []core.Action
	for _, uid := range uids {
		members := byClass[Class(uid.ID)]
		_, known := classes[core.Action(uid.ID)]
		switch {
		case uid.Type != typeAction:
			return nil, at(p.Position(), fmt.Sprintf("%s is not an action", uid))
		case known:
			out = append(out, core.Action(uid.ID))
		case groups && len(members) > 0:
			out = append(out, members...)
		default:
			return nil, at(p.Position(), fmt.Sprintf("there is no action %q", uid.ID)).WithHint("the actions are listed in policy/actions.go; write 'in' for a class")
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func resourceScope(p *cedar.Policy, n ast.IsResourceScopeNode) error {
	var t cedar.EntityType
	switch n := n.(type) {
	case ast.ScopeTypeAll:
		return nil
	case ast.ScopeTypeEq:
		t = n.Entity.Type
	case ast.ScopeTypeIn:
		t = n.Entity.Type
	case ast.ScopeTypeIs:
		t = n.Type
	case ast.ScopeTypeIsIn:
		t = n.Type
	}
	if t != typeObject {
		return at(p.Position(), fmt.Sprintf("a resource is never a %s; write resource == Object::\"device/press-7\" or resource.type == \"device\"", t))
	}
	return nil
}

var allActions = func() []core.Action {
	all := make([]core.Action, len(Actions))
	for i, r := range Actions {
		all[i] = r.Action
	}
	return all
}()

var byClass = func() map[Class][]core.Action {
	m := make(map[Class][]core.Action)
	for _, r := range Actions {
		m[r.Class] = append(m[r.Class], r.Action)
	}
	return m
}()
