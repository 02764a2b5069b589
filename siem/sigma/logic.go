package sigma

import (
	"slices"
	"strings"
)

// judge says what can be seen of a condition without any event: search
// identifiers that it does not use, and that it can never or must always hold.
func (d *detectionReader) judge(cond *node, e *expr) {
	for _, s := range d.sels {
		if !s.used {
			d.rep.warn(s.at, "the condition does not use `%s`; write it into the condition, or leave it out", s.name)
		}
	}
	l := &logic{ids: make(map[string]int)}
	t := l.read(e)
	if !l.mixed() {
		return // what is asked only one way can be answered that way
	}
	t = l.present(t)
	if !l.possible(t) {
		d.rep.doubt(cond.at, "the condition can never hold: it asks for something and for its opposite%s; write it without one of them", l.culprit())
		return
	}
	if !l.possible(term{op: opNot, kids: []term{t}}) && len(l.presence) == 0 {
		d.rep.warn(cond.at, "the condition holds for every event%s; write what it is to find", l.culprit())
	}
}

// logic is a condition reduced to which questions it asks which way.
type logic struct {
	ids      map[string]int
	asked    []asked
	presence map[string]int // field: the question whether it is there
	steps    int
}

// asked is one question: which ways it is asked, and by what words.
type asked struct {
	yes, no bool
	pred    *predicate
	name    string
}

// term is an expression over numbered questions.
type term struct {
	op   op
	kids []term
	id   int
}

func (l *logic) read(e *expr) term { return l.term(e, true, "") }

func (l *logic) term(e *expr, positive bool, name string) term {
	for la := e.label; la != nil; la = la.under {
		if la.kind == labelSelection {
			name = la.text
		}
	}
	switch {
	case e.hole != nil:
		return term{op: opLeaf, id: l.ask("hole "+e.hole.field+"\x00"+e.hole.value.text, nil, positive, name)}
	case e.op == opLeaf:
		return term{op: opLeaf, id: l.ask(e.leaf.key(), e.leaf, positive, name)}
	case e.op == opNot:
		return term{op: opNot, kids: []term{l.term(e.kids[0], !positive, name)}}
	}
	t := term{op: e.op, kids: make([]term, len(e.kids))}
	for i, k := range e.kids {
		t.kids[i] = l.term(k, positive, name)
	}
	return t
}

func (l *logic) ask(key string, p *predicate, positive bool, name string) int {
	id, ok := l.ids[key]
	if !ok {
		id = len(l.asked)
		l.ids[key] = id
		l.asked = append(l.asked, asked{pred: p, name: name})
		if p != nil && p.field != "" && (p.test == testPresent || p.test == testExists) {
			if l.presence == nil {
				l.presence = make(map[string]int)
			}
			l.presence[p.field] = id
		}
	}
	if positive {
		l.asked[id].yes = true
	} else {
		l.asked[id].no = true
	}
	return id
}

// mixed reports whether anything is asked both ways, or a field's absence
// beside its value.
func (l *logic) mixed() bool {
	if slices.ContainsFunc(l.asked, func(a asked) bool { return a.yes && a.no }) {
		return true
	}
	for _, id := range l.presence {
		if l.asked[id].no {
			return true
		}
	}
	return false
}

// present adds to t that a field that has a value is there.
func (l *logic) present(t term) term {
	all := []term{t}
	for id, a := range l.asked {
		if a.pred == nil || a.pred.field == "" {
			continue
		}
		there, ok := l.presence[a.pred.field]
		// A field may be there and null: then it exists and is not present.
		if ok && there != id && !(a.pred.test == testExists && l.asked[there].pred.test == testPresent) {
			all = append(all, term{op: opOr, kids: []term{{op: opNot, kids: []term{{id: id}}}, {id: there}}})
		}
	}
	return term{op: opAnd, kids: all}
}

// culprit names a search identifier that is asked for both ways.
func (l *logic) culprit() string {
	for _, a := range l.asked {
		if a.yes && a.no && a.name != "" {
			return " (`" + strings.TrimSpace(a.name) + "`)"
		}
	}
	return ""
}

// maxSteps bounds the search for answers; a condition that is still open then
// counts as possible.
const maxSteps = 200_000

// possible looks for answers to the questions with which t holds.
func (l *logic) possible(t term) bool {
	l.steps = 0
	return l.search(t, make([]truth, len(l.asked)))
}

type truth int8

const (
	open truth = iota
	yes
	no
)

func (l *logic) search(t term, answers []truth) bool {
	next := -1
	switch l.eval(t, answers, &next) {
	case yes:
		return true
	case no:
		return false
	}
	if next < 0 || l.steps > maxSteps {
		return true
	}
	for _, a := range l.order(next) {
		answers[next] = a
		if l.search(t, answers) {
			return true
		}
	}
	answers[next] = open
	return false
}

// order tries first what the condition asks for.
func (l *logic) order(id int) []truth {
	if l.asked[id].yes {
		return []truth{yes, no}
	}
	return []truth{no, yes}
}

// eval answers t as far as the answers go, and names an open question in it.
func (l *logic) eval(t term, answers []truth, next *int) truth {
	l.steps++
	switch t.op {
	case opLeaf:
		if answers[t.id] == open {
			*next = t.id
		}
		return answers[t.id]
	case opNot:
		switch l.eval(t.kids[0], answers, next) {
		case yes:
			return no
		case no:
			return yes
		}
		return open
	}
	stop, result := no, yes
	if t.op == opOr {
		stop, result = yes, no
	}
	for _, k := range t.kids {
		switch a := l.eval(k, answers, next); a {
		case stop:
			return stop
		case open:
			result = open
		}
	}
	return result
}
