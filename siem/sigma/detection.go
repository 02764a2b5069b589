package sigma

import "slices"

type op uint8

const (
	opLeaf op = iota
	opAnd
	opOr
	opNot
)

// expr is a condition: a tree over predicates.
type expr struct {
	op   op
	kids []*expr
	leaf *predicate
	// label is what the expression is in its file, nil for what has no name there.
	label *label
}

func leaf(p *predicate) *expr { return &expr{op: opLeaf, leaf: p} }
func not(e *expr) *expr       { return &expr{op: opNot, kids: []*expr{e}} }
func and(kids ...*expr) *expr { return join(opAnd, kids) }
func or(kids ...*expr) *expr  { return join(opOr, kids) }

func join(o op, kids []*expr) *expr {
	if len(kids) == 1 {
		return kids[0]
	}
	return &expr{op: o, kids: kids}
}

// selection is one search identifier of a detection.
type selection struct {
	name string
	at   Pos
	expr *expr
}

// parseDetection reads the identifiers and then the condition over them.
func parseDetection(n *node, fieldAt map[string]Pos) (*expr, error) {
	if n.kind != kindMap {
		return nil, bad(n.at, "`detection` must be a map, this is %s", n.kind)
	}
	var sels []selection
	for _, p := range n.pairs {
		switch p.key {
		case "condition":
			continue
		case "timeframe":
			return nil, bad(p.at, "`timeframe` is not supported; write a correlation rule with `timespan`")
		}
		e, err := parseSelection(p.val, fieldAt)
		if err != nil {
			return nil, err
		}
		sels = append(sels, selection{p.key, p.at, e.named(labelSelection, p.key, p.at)})
	}
	cond, ok := n.get("condition")
	if !ok {
		return nil, bad(n.at, "`detection` needs `condition`")
	}
	if len(sels) == 0 {
		return nil, bad(n.at, "`detection` needs at least one search identifier")
	}
	return parseConditions(cond, sels)
}

// parseConditions reads one condition or a list of them, of which any is enough.
func parseConditions(cond *node, sels []selection) (*expr, error) {
	items := []*node{cond}
	if cond.kind == kindList {
		items = cond.list
	}
	if len(items) == 0 {
		return nil, bad(cond.at, "`condition` is empty")
	}
	var any []*expr
	for _, it := range items {
		if it.kind != kindString {
			return nil, bad(it.at, "`condition` must be text, this is %s", it.kind)
		}
		e, err := parseCondition(it, sels)
		if err != nil {
			return nil, err
		}
		any = append(any, e)
	}
	return or(any...), nil
}

func parseSelection(n *node, fieldAt map[string]Pos) (*expr, error) {
	switch n.kind {
	case kindMap:
		return parseFields(n, fieldAt)
	case kindList:
		return parseSelectionList(n, fieldAt)
	case kindNull:
		return nil, bad(n.at, "a search identifier is empty")
	}
	return keywordExpr(&modifiers{}, n)
}

// parseSelectionList reads a list: maps and keywords, of which any is enough.
func parseSelectionList(n *node, fieldAt map[string]Pos) (*expr, error) {
	if len(n.list) == 0 {
		return nil, bad(n.at, "a search identifier is an empty list")
	}
	var any []*expr
	for _, it := range n.list {
		var e *expr
		var err error
		switch it.kind {
		case kindMap:
			e, err = parseFields(it, fieldAt)
		case kindList:
			err = bad(it.at, "a list inside a list of a search identifier has no meaning")
		default:
			e, err = keywordExpr(&modifiers{}, it)
		}
		if err != nil {
			return nil, err
		}
		any = append(any, e)
	}
	return or(any...), nil
}

// keywordExpr looks for a word in every value of an event.
func keywordExpr(m *modifiers, n *node) (*expr, error) {
	if n.text == "" {
		return nil, bad(n.at, "a keyword is empty")
	}
	return m.expression("", n)
}

// parseFields reads a map: every item must hold.
func parseFields(n *node, fieldAt map[string]Pos) (*expr, error) {
	if len(n.pairs) == 0 {
		return nil, bad(n.at, "a search identifier is an empty map")
	}
	var all []*expr
	for _, p := range n.pairs {
		field, m, err := splitKey(p.key, p.at)
		if err != nil {
			return nil, err
		}
		if _, seen := fieldAt[field]; !seen {
			fieldAt[field] = p.at
		}
		e, err := fieldExpr(field, &m, p)
		if err != nil {
			return nil, err
		}
		all = append(all, e.named(labelItem, p.key, p.at))
	}
	return and(all...), nil
}

func fieldExpr(field string, m *modifiers, p pair) (*expr, error) {
	if field == "" && (m.exists || m.cidr || m.ref || m.compare != 0) {
		return nil, bad(p.at, "this modifier needs a field")
	}
	if p.val.kind != kindList {
		if m.all {
			return nil, bad(p.at, "`all` needs a list of values")
		}
		return m.expression(field, p.val)
	}
	if len(p.val.list) == 0 {
		return nil, bad(p.val.at, "a list of values is empty")
	}
	kids := make([]*expr, 0, len(p.val.list))
	for _, v := range p.val.list {
		e, err := m.expression(field, v)
		if err != nil {
			return nil, err
		}
		kids = append(kids, e)
	}
	// "Different from any of these" means different from all of them.
	if m.all || m.neq {
		return and(kids...), nil
	}
	return or(kids...), nil
}

// fields calls fn for each field that e asks about.
func (e *expr) fields(fn func(string)) {
	if e.op == opLeaf {
		fn(e.leaf.field)
		if e.leaf.test == testRef {
			fn(e.leaf.other)
		}
		return
	}
	for _, k := range e.kids {
		k.fields(fn)
	}
}

// Fields lists the fields that a detection asks about, as the rule names them.
func (r *Rule) Fields() []string {
	var out []string
	if r.condition == nil {
		return nil
	}
	r.condition.fields(func(f string) {
		if f != "" && !slices.Contains(out, f) {
			out = append(out, f)
		}
	})
	return out
}
