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
	// hole is set where placeholders wait for their values; until then the
	// expression holds for nothing.
	hole *hole
	// label is what the expression is in its file, nil for what has no name there.
	label *label
}

// never is what a condition is when nothing is left to ask: `or` of nothing.
func never() *expr { return &expr{op: opOr} }

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
	size int // of expr
	used bool
}

// detectionReader reads a `detection` or a `filter`. It goes on after an error,
// so that one look at a file finds all of them; an expression that could not
// be read is nil.
type detectionReader struct {
	rep     *report
	fieldAt map[string]Pos
	sels    []*selection
}

// parseDetection reads the search identifiers and then the condition over them.
func parseDetection(rep *report, doc *node, p pair, fieldAt map[string]Pos) *expr {
	d := &detectionReader{rep: rep, fieldAt: fieldAt}
	return d.read(doc, p)
}

// read passes over the keys that are no search identifiers.
func (d *detectionReader) read(doc *node, p pair, others ...string) *expr {
	n := p.val
	if n.kind != kindMap {
		d.rep.fail(n.at, "`%s` must be a map of search identifiers and `condition`, this is %s", p.key, n.kind)
		return nil
	}
	before := d.rep.errors
	for _, s := range n.pairs {
		if s.key == "condition" || s.key == "timeframe" || slices.Contains(others, s.key) {
			continue
		}
		e := d.selection(s)
		d.sels = append(d.sels, &selection{name: s.key, at: s.at, expr: e, size: e.size()})
	}
	cond, ok := n.get("condition")
	switch {
	case !ok:
		d.rep.fail(n.at, "`%s` needs `condition`%s%s", p.key, writeCondition(d.sels), misspelt(n, "condition"))
		return nil
	case len(d.sels) == 0:
		d.rep.fail(n.at, "`%s` needs at least one search identifier; write for example `selection: {field: value}`", p.key)
		return nil
	}
	e := d.conditions(doc, n, cond)
	if d.rep.errors > before {
		return nil
	}
	d.judge(cond, e)
	return e
}

func writeCondition(sels []*selection) string {
	if len(sels) == 0 {
		return ""
	}
	return "; write for example `condition: " + sels[0].name + "`"
}

// conditions reads one condition or a list of them, of which any is enough.
func (d *detectionReader) conditions(doc, detection, cond *node) *expr {
	items := []*node{cond}
	if cond.kind == kindList {
		items = cond.list
	}
	if len(items) == 0 {
		d.rep.fail(cond.at, "`condition` is empty%s", writeCondition(d.sels))
	}
	old := &sigma1{doc: doc, detection: detection}
	var any []*expr
	for _, it := range items {
		if it.kind != kindString && it.kind != kindNumber {
			d.rep.fail(it.at, "`condition` must be text, this is %s", it.kind)
			continue
		}
		if e := d.condition(it, old); e != nil {
			any = append(any, e)
		}
	}
	old.timeframe(d.rep)
	return or(any...)
}

// selection reads one search identifier: a map, a list of maps or of words, a
// word.
func (d *detectionReader) selection(p pair) *expr {
	var e *expr
	switch n := p.val; n.kind {
	case kindMap:
		e = d.fields(n)
	case kindList:
		e = d.list(n)
	case kindNull:
		d.rep.fail(n.at, "the search identifier `%s` is empty; write fields or words below it", p.key)
	default:
		e = d.keyword(n)
	}
	if e == nil {
		return never()
	}
	return e.named(labelSelection, p.key, p.at)
}

// list reads maps and keywords, of which any is enough.
func (d *detectionReader) list(n *node) *expr {
	if len(n.list) == 0 {
		d.rep.fail(n.at, "a search identifier is an empty list; write words or maps into it")
		return nil
	}
	var any []*expr
	for _, it := range n.list {
		var e *expr
		switch it.kind {
		case kindMap:
			e = d.fields(it)
		case kindList:
			d.rep.fail(it.at, "a list inside a list means nothing in a search identifier; write its values into the outer list")
		default:
			e = d.keyword(it)
		}
		if e != nil {
			any = append(any, e)
		}
	}
	return or(any...)
}

// keyword looks for a word in every value of an event.
func (d *detectionReader) keyword(n *node) *expr {
	if n.text == "" {
		d.rep.fail(n.at, "a keyword is empty; write the word to look for, or `field: ''` for a field that is empty")
		return nil
	}
	e, err := (&modifiers{at: n.at, budget: &d.rep.spent}).expression("", n)
	d.rep.add(err)
	return e
}

// fields reads a map: every item must hold.
func (d *detectionReader) fields(n *node) *expr {
	if len(n.pairs) == 0 {
		d.rep.fail(n.at, "a search identifier is an empty map; write `field: value` into it")
		return nil
	}
	var all []*expr
	for _, p := range n.pairs {
		if e := d.item(p); e != nil {
			all = append(all, e.named(labelItem, p.key, p.at))
		}
	}
	return and(all...)
}

// item reads one field with its modifiers and values.
func (d *detectionReader) item(p pair) *expr {
	field, m, err := splitKey(d.rep, p.key, p.at)
	if err != nil {
		d.rep.add(err)
		return nil
	}
	m.budget = &d.rep.spent
	if _, seen := d.fieldAt[field]; !seen {
		d.fieldAt[field] = p.at
	}
	if need := m.needsField(); field == "" && need != "" {
		d.rep.fail(p.at, "`%s` needs a field; write `field%s`", need, p.key)
		return nil
	}
	if p.val.kind != kindList {
		if m.all {
			d.rep.fail(p.val.at, "`all` needs a list of values; write the item without `all`, or several values")
			return nil
		}
		return d.value(field, &m, p.val)
	}
	return d.values(field, &m, p.val)
}

func (d *detectionReader) value(field string, m *modifiers, v *node) *expr {
	e, err := m.expression(field, v)
	d.rep.add(err)
	if err == nil {
		m.doubt(d.rep, field, v)
	}
	return e
}

func (d *detectionReader) values(field string, m *modifiers, list *node) *expr {
	if len(list.list) == 0 {
		d.rep.fail(list.at, "a list of values is empty; write a value, or `null` for a field that is not there")
		return nil
	}
	kids := make([]*expr, 0, len(list.list))
	for _, v := range list.list {
		if v.kind == kindNull && len(list.list) > 1 {
			d.rep.warn(v.at, "`null` can't stand in a list in Sigma; write a search identifier of its own for the field that is not there")
		}
		if e := d.value(field, m, v); e != nil {
			kids = append(kids, e)
		}
	}
	// "Different from any of these" means different from all of them.
	if m.all || m.neq {
		return and(kids...)
	}
	return or(kids...)
}

// fields calls fn for each field that e asks about.
func (e *expr) fields(fn func(string)) {
	if e.hole != nil {
		fn(e.hole.field)
	}
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

// asks is the expression of a detection or of a filter, nil for a correlation.
func (r *Rule) asks() *expr {
	if r.Filter != nil {
		return r.Filter.condition
	}
	return r.condition
}

// Fields lists the fields that a detection or a filter asks about, as the rule
// names them.
func (r *Rule) Fields() []string {
	var out []string
	e := r.asks()
	if e == nil {
		return nil
	}
	e.fields(func(f string) {
		if f != "" && !slices.Contains(out, f) {
			out = append(out, f)
		}
	})
	return out
}
