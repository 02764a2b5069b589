package sigma

import (
	"fmt"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/siem/sigma/internal/scan"
)

// compiler joins rules into an engine.
type compiler struct {
	o      Options
	e      *Engine
	byID   map[string]*Rule
	byName map[string]*Rule
	preds  map[string]int32
	slots  map[string]int32   // by all paths that share one
	fields map[fieldKey]int32 // by what rules say
}

// fieldKey is a field as a rule of a logsource means it.
type fieldKey struct {
	src   Logsource
	field string
}

func newCompiler(o Options) *compiler {
	return &compiler{
		o: o, e: &Engine{opts: o, paths: make(map[string][]int32), feeds: make(map[string][]*Correlation), any: make(map[int32]*anyOf), premises: make(map[int32]premise)},
		byID: make(map[string]*Rule), byName: make(map[string]*Rule), preds: make(map[string]int32),
		slots: make(map[string]int32), fields: make(map[fieldKey]int32),
	}
}

func (c *compiler) unique(r *Rule) error {
	other := c.byID[r.ID]
	if other == nil && r.Name != "" {
		other = c.byName[r.Name]
	}
	if other != nil {
		err := bad(r.Pos, "this rule has the id or name of %s:%d", other.File, other.Pos.Line)
		err.File = r.File
		return err
	}
	c.byID[r.ID] = r
	if r.Name != "" {
		c.byName[r.Name] = r
	}
	return nil
}

func (c *compiler) cond(r *Rule, e *expr) *cond {
	if e.op == opLeaf {
		return &cond{op: opLeaf, pred: c.pred(r, e.leaf)}
	}
	out := &cond{op: e.op, kids: make([]*cond, 0, len(e.kids))}
	for _, k := range e.kids {
		out.kids = append(out.kids, c.cond(r, k))
	}
	if e.op == opOr {
		out.kids = c.together(out.kids)
	}
	c.cheapFirst(out.kids)
	return out
}

// pred gives equal questions about the same slots one number.
func (c *compiler) pred(r *Rule, p *predicate) int32 {
	slot, ref := int32(-1), int32(-1)
	if p.field != "" {
		slot = c.slot(r.Logsource, p.field)
	} else {
		c.e.keywords = true
	}
	if p.test == testRef {
		ref = c.slot(r.Logsource, p.other)
	}
	bare := *p
	bare.field, bare.other = "", ""
	key := fmt.Sprintf("%d|%d|%s", slot, ref, bare.key())
	if id, ok := c.preds[key]; ok {
		return id
	}
	c.e.rarity.learn(p.text)
	id := c.newPred(key, p, slot, ref)
	if p.test == testRegex {
		c.e.premises[id] = c.premise(p.text)
	}
	return id
}

func (c *compiler) newPred(key string, p *predicate, slot, ref int32) int32 {
	id := int32(len(c.e.preds))
	c.preds[key] = id
	c.e.preds = append(c.e.preds, p)
	c.e.predSlot = append(c.e.predSlot, slot)
	c.e.predRef = append(c.e.predRef, ref)
	return id
}

// slot is the place of a field: all paths that may carry it share one.
func (c *compiler) slot(src Logsource, field string) int32 {
	key := fieldKey{src, field}
	id, ok := c.fields[key]
	if !ok {
		id = c.newSlot(src, field)
		c.fields[key] = id
	}
	return id
}

func (c *compiler) newSlot(src Logsource, field string) int32 {
	paths := []string{field}
	if c.o.Aliases != nil {
		for _, alias := range c.o.Aliases(src, field) {
			if !slices.Contains(paths, alias) {
				paths = append(paths, alias)
			}
		}
	}
	slices.Sort(paths)
	key := strings.Join(paths, "\x00")
	if id, ok := c.slots[key]; ok {
		return id
	}
	id := int32(c.e.slotCount)
	c.e.slotCount++
	c.slots[key] = id
	for _, p := range paths {
		c.e.paths[p] = append(c.e.paths[p], id)
	}
	return id
}

func (c *compiler) capture(rule int, field string) {
	for _, have := range c.e.captures[rule] {
		if have.field == field {
			return
		}
	}
	slot := c.slot(c.e.rules[rule].Logsource, field)
	c.e.captures[rule] = append(c.e.captures[rule], capture{field, slot})
}

// finish makes what matching reads, once all slots are known.
func (c *compiler) finish() {
	e := c.e
	names := make([]string, 0, len(e.paths))
	for p := range e.paths {
		names = append(names, p)
	}
	slices.Sort(names)
	e.table = scan.NewTable(names)
	e.pathSlots, e.slotPaths = make([][]int32, len(names)), make([][]int32, e.slotCount)
	e.reserved = make([]bool, len(names))
	for i, name := range names {
		e.pathSlots[i], e.reserved[i] = e.paths[name], strings.HasPrefix(name, Reserved)
		for _, id := range e.paths[name] {
			e.slotPaths[id] = append(e.slotPaths[id], int32(i))
		}
	}
	e.finishRoutes()
	e.finishGroups()
}

// finishGroups puts rules of one logsource together and finds every rule's
// witness.
func (e *Engine) finishGroups() {
	at := make(map[Logsource]int)
	choose := newChooser(e)
	e.witnesses = make([]witness, len(e.rules))
	for i, r := range e.rules {
		n, ok := at[r.Logsource]
		if !ok {
			n = len(e.groups)
			at[r.Logsource] = n
			e.groups = append(e.groups, group{src: r.Logsource})
		}
		e.groups[n].rules = append(e.groups[n].rules, int32(i))
		e.witnesses[i] = choose.choose(e.conds[i], false)
		if e.witnesses[i].none() {
			e.always++
		}
	}
}
