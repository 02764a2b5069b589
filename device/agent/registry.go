package agent

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

// settings is the configuration of a driver, a judge or a fusion. Its zero value
// is the defaults, where there are any.
type settings interface{ Validate() error }

// Role is what an entry of the registry is.
type Role string

// The roles.
const (
	RoleDriver Role = "driver"
	RoleJudge  Role = "judge"
	RoleFusion Role = "fusion"
)

// entryOf is a driver, a judge or a fusion of this build, as drivers.go lists
// it: how its part of the file is read, and how it is made. One of the three
// makers is set.
type entryOf struct {
	role   Role
	acts   bool // a run does something to the machine, and not only looks
	doc    sensor.Doc
	zero   settings
	decode func(ast.Node) (settings, error)
	sensor func(host, sensor.Env, settings) (sensor.Sensor, error)
	judge  func(settings) (monitor.Judge, error)
	fusion func(settings) (monitor.Fusion, error)
}

// host is what a driver may need to know of the device beyond [sensor.Env].
type host struct{ enrolled, demo bool }

// driver registers a driver whose configuration is a C.
func driver[C settings, S sensor.Sensor](doc sensor.Doc, make func(sensor.Env, C) (S, error)) entryOf {
	return driverOn(doc, func(_ host, env sensor.Env, c C) (S, error) { return make(env, c) })
}

// driverOn registers a driver that asks what kind of device this is.
func driverOn[C settings, S sensor.Sensor](doc sensor.Doc, make func(host, sensor.Env, C) (S, error)) entryOf {
	e := entryFor[C](RoleDriver, doc)
	e.sensor = func(h host, env sensor.Env, s settings) (sensor.Sensor, error) { return make(h, env, s.(C)) }
	return e
}

// acting marks a driver whose run does something to the machine: a self-test
// without an agent leaves it alone.
func acting(e entryOf) entryOf {
	e.acts = true
	return e
}

// judge registers a judge.
func judge[C settings, J monitor.Judge](doc sensor.Doc, make func(C) (J, error)) entryOf {
	e := entryFor[C](RoleJudge, doc)
	e.judge = func(s settings) (monitor.Judge, error) { return make(s.(C)) }
	return e
}

// fusion registers a fusion.
func fusion[C settings, F monitor.Fusion](doc sensor.Doc, make func(C) (F, error)) entryOf {
	e := entryFor[C](RoleFusion, doc)
	e.fusion = func(s settings) (monitor.Fusion, error) { return make(s.(C)) }
	return e
}

func entryFor[C settings](role Role, doc sensor.Doc) entryOf {
	var zero C
	return entryOf{role: role, doc: doc, zero: zero, decode: func(n ast.Node) (settings, error) {
		var c C
		if n == nil {
			return c, nil
		}
		return c, yaml.NodeToValue(n, &c, yaml.Strict())
	}}
}

// fits says whether s is this entry's configuration.
func (e entryOf) fits(s settings) bool { return fmt.Sprintf("%T", s) == fmt.Sprintf("%T", e.zero) }

// find returns the entry of a name that has one of the roles.
func find(name string, roles ...Role) (entryOf, bool) {
	i := slices.IndexFunc(registry, func(e entryOf) bool { return e.doc.Name == name && slices.Contains(roles, e.role) })
	if i < 0 {
		return entryOf{}, false
	}
	return registry[i], true
}

// unknownName says what this build has instead.
func unknownName(name string, roles ...Role) string {
	known := map[string]bool{}
	for _, e := range registry {
		if slices.Contains(roles, e.role) {
			known[e.doc.Name] = true
		}
	}
	if len(known) == 0 {
		return fmt.Sprintf("%s: %q; this build has none", roles[0], sensor.Text(name))
	}
	return fmt.Sprintf("%s: %q; this build has %s", roles[0], sensor.Text(name), strings.Join(slices.Sorted(maps.Keys(known)), ", "))
}

// Drivers returns the names of the drivers that this build has.
func Drivers() []string {
	var names []string
	for _, e := range registry {
		if e.role == RoleDriver {
			names = append(names, e.doc.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Part is a driver, a judge or a fusion of this build as pages show it: what it
// says of itself, and its configuration with nothing set.
type Part struct {
	Role   Role
	Doc    sensor.Doc
	Config any
}

// Parts returns all that this build has: drivers, then judges, then fusions,
// each by name.
func Parts() []Part {
	var all []Part
	for _, role := range []Role{RoleDriver, RoleJudge, RoleFusion} {
		from := len(all)
		for _, e := range registry {
			if e.role == role {
				all = append(all, Part{e.role, e.doc, e.zero})
			}
		}
		slices.SortFunc(all[from:], func(a, b Part) int { return strings.Compare(a.Doc.Name, b.Doc.Name) })
	}
	return all
}

// Docs returns what each of [Parts] says of itself.
func Docs() []sensor.Doc {
	var all []sensor.Doc
	for _, p := range Parts() {
		all = append(all, p.Doc)
	}
	return all
}

// positioned is an error at a place of the file.
func positioned(n ast.Node, format string, args ...any) error {
	return &yaml.SyntaxError{Message: fmt.Sprintf(format, args...), Token: n.GetToken()}
}

// pairsOf returns the entries of a mapping.
func pairsOf(n ast.Node) ([]*ast.MappingValueNode, error) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, nil
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, nil
	}
	return nil, positioned(n, "this must be keys and values")
}

// mappingOf makes a mapping of some of the entries of another one. Its entries
// keep their places in the file.
func mappingOf(n ast.Node, pairs []*ast.MappingValueNode) ast.Node {
	return ast.Mapping(n.GetToken(), false, pairs...)
}

// ordered turns a configuration into keys and values that can stand beside
// others.
func ordered(s settings) (yaml.MapSlice, error) {
	text, err := yaml.Marshal(s)
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "agent.Config", err)
	}
	var m yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(text, &m, yaml.UseOrderedMap()); err != nil {
		return nil, core.Wrap(core.KindInternal, "agent.Config", err)
	}
	return m, nil
}
