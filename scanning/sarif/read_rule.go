package sarif

import (
	"cmp"
	"strings"
)

// ruleIndex finds the rule that a result refers to, by any of the ways that the
// standard has: index, id, guid, in the driver or in an extension.
type ruleIndex struct {
	tool   *tool
	byID   []map[string]*rule // the driver's, then one of each extension
	byGUID map[string]*rule
}

func indexRules(t *tool) ruleIndex {
	x := ruleIndex{tool: t, byGUID: map[string]*rule{}}
	for i := -1; i < len(t.Extensions); i++ {
		c, ids := componentAt(t, i), map[string]*rule{}
		for j := range c.Rules {
			if j == maxRules {
				break
			}
			r := &c.Rules[j]
			ids[r.ID] = r
			if r.GUID != "" {
				x.byGUID[r.GUID] = r
			}
		}
		x.byID = append(x.byID, ids)
	}
	return x
}

// componentAt is the driver for -1 and the extension of that index else.
func componentAt(t *tool, i int) *component {
	if i < 0 {
		return &t.Driver
	}
	return &t.Extensions[i]
}

// find never returns nil: a result of an unknown rule is still a result.
func (x ruleIndex) find(res *result) *rule {
	which, index, guid := -1, res.RuleIndex, ""
	if r := res.Rule; r != nil {
		which, guid = x.component(r.ToolComponent), r.GUID
		if r.Index != nil {
			index = r.Index
		}
	}
	if r := x.byGUID[guid]; guid != "" && r != nil {
		return r
	}
	id := ruleName(res)
	if index != nil {
		rules := componentAt(x.tool, which).Rules
		if *index >= 0 && *index < len(rules) && matches(rules[*index].ID, id) {
			return &rules[*index]
		}
	}
	if r := x.lookup(which, id); r != nil {
		return r
	}
	return &rule{ID: id}
}

// lookup takes "CA1000/1" for CA1000 too, as the standard's hierarchical ids
// ask, and looks into extensions when the reference names none.
func (x ruleIndex) lookup(which int, id string) *rule {
	for name := id; name != ""; name = parent(name) {
		if r := x.byID[which+1][name]; r != nil {
			return r
		}
		for _, ids := range x.byID {
			if r := ids[name]; r != nil {
				return r
			}
		}
	}
	return nil
}

func parent(id string) string {
	i := strings.LastIndexByte(id, '/')
	if i < 0 {
		return ""
	}
	return id[:i]
}

func matches(rule, id string) bool {
	return id == "" || rule == id || strings.HasPrefix(id, rule+"/")
}

// component is the index of the extension that a reference names, -1 for the
// driver.
func (x ruleIndex) component(ref *componentReference) int {
	if ref == nil {
		return -1
	}
	if ref.Index != nil && *ref.Index >= 0 && *ref.Index < len(x.tool.Extensions) {
		return *ref.Index
	}
	for i := range x.tool.Extensions {
		e := &x.tool.Extensions[i]
		if ref.GUID != "" && e.GUID == ref.GUID || ref.GUID == "" && ref.Name != "" && e.Name == ref.Name {
			return i
		}
	}
	return -1
}

func ruleName(res *result) string {
	if res.Rule != nil {
		return cmp.Or(res.RuleID, res.Rule.ID)
	}
	return res.RuleID
}
