package sigma

import (
	"strings"
	"unicode/utf8"
)

// condParser reads
//
//	or   = and { "or" and }
//	and  = not { "and" not }
//	not  = [ "not" ] atom
//	atom = "(" or ")" | ("1"|"any"|"all") "of" ("them"|glob) | identifier
type condParser struct {
	src   *node
	toks  []condTok
	pos   int
	depth int
	sels  []*selection
	rep   *report
}

type condTok struct {
	text string
	at   Pos
}

// condition reads one condition; nil where it can't be read.
func (d *detectionReader) condition(n *node, old *sigma1) *expr {
	if i := strings.IndexByte(n.text, '|'); i >= 0 {
		old.aggregation(d.rep, n, i)
		return nil
	}
	toks, err := lexCondition(n)
	if err != nil {
		d.rep.add(err)
		return nil
	}
	p := &condParser{src: n, toks: toks, sels: d.sels, rep: d.rep}
	e, err := p.or()
	if err == nil && p.pos < len(p.toks) {
		t := p.toks[p.pos]
		err = bad(t.at, "%q is one too many in the condition; write `and` or `or` before it", t.text)
		if t.text == ")" {
			err = bad(t.at, "a parenthesis closes here that none opened")
		}
	}
	d.rep.add(err)
	return e
}

func lexCondition(n *node) ([]condTok, error) {
	var out []condTok
	at := n.inside(0)
	step := func(from, to int) { // goes on counting: a condition can be the whole file
		if n.exact {
			at.Col += utf8.RuneCountInString(n.text[from:to])
		}
	}
	for i := 0; i < len(n.text); {
		start, c := i, n.text[i]
		i++
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		case c == '(' || c == ')':
			out = append(out, condTok{n.text[start:i], at})
		case condWord(c):
			for i < len(n.text) && condWord(n.text[i]) {
				i++
			}
			out = append(out, condTok{n.text[start:i], at})
		default:
			return nil, bad(at, "character %q has no meaning in a condition%s", c, instead(c))
		}
		step(start, i)
	}
	if len(out) == 0 {
		return nil, bad(n.at, "`condition` is empty; write the name of a search identifier")
	}
	return out, nil
}

// instead says what people mean who write c.
func instead(c byte) string {
	switch c {
	case '&', '+':
		return "; write `and`"
	case '!':
		return "; write `not`"
	case ',':
		return "; write `and` or `or`"
	}
	return ""
}

func condWord(c byte) bool {
	return c >= 0x80 || c == '_' || c == '*' || c == '?' || c == '-' || c == '.' || c == ':' ||
		'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func (p *condParser) peek(word string) bool {
	return p.pos < len(p.toks) && strings.EqualFold(p.toks[p.pos].text, word)
}

func (p *condParser) next(want string) (condTok, error) {
	if p.pos == len(p.toks) {
		return condTok{}, bad(p.src.inside(len(p.src.text)), "the condition ends where %s should stand", want)
	}
	p.pos++
	return p.toks[p.pos-1], nil
}

func (p *condParser) or() (*expr, error)  { return p.chain("or", p.and, or) }
func (p *condParser) and() (*expr, error) { return p.chain("and", p.not, and) }

func (p *condParser) chain(word string, operand func() (*expr, error), join func(...*expr) *expr) (*expr, error) {
	first, err := operand()
	if err != nil {
		return nil, err
	}
	kids := []*expr{first}
	for p.peek(word) {
		p.pos++
		e, err := operand()
		if err != nil {
			return nil, err
		}
		kids = append(kids, e)
	}
	return join(kids...), nil
}

func (p *condParser) not() (*expr, error) {
	negate := false
	for p.peek("not") {
		negate = !negate
		p.pos++
	}
	e, err := p.atom()
	if err != nil || !negate {
		return e, err
	}
	return not(e), nil
}

func (p *condParser) atom() (*expr, error) {
	t, err := p.next("a search identifier")
	if err != nil {
		return nil, err
	}
	switch strings.ToLower(t.text) {
	case "(":
		return p.group(t)
	case ")", "and", "or", "of", "them":
		return nil, bad(t.at, "%q stands where the name of a search identifier should", t.text)
	}
	if p.peek("of") {
		return p.quantified(t)
	}
	if strings.ContainsAny(t.text, "*?") {
		return nil, bad(t.at, "a pattern needs `1 of` or `all of` before it; write `1 of %s`", t.text)
	}
	for _, s := range p.sels {
		if s.name == t.text {
			s.used = true
			return s.expr, p.rep.spent.ask(s.size, t.at)
		}
	}
	p.rep.fail(t.at, "there is no search identifier %q%s", t.text, p.known(t.text))
	return never(), nil
}

// known says which search identifiers there are.
func (p *condParser) known(name string) string {
	if p.rep.errors > maxProblems {
		return "" // nobody reads so far
	}
	names := make([]string, len(p.sels))
	for i, s := range p.sels {
		names[i] = s.name
	}
	if hint := didYouMean(name, names); hint != "" {
		return hint
	}
	if len(names) > 6 {
		names = append(names[:6], "...")
	}
	return "; there are: " + strings.Join(names, ", ")
}

func (p *condParser) group(open condTok) (*expr, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		return nil, bad(open.at, "parentheses nest deeper than %d levels; write parts of the condition as search identifiers", maxDepth)
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	t, err := p.next("a closing parenthesis")
	if err != nil {
		return nil, err
	}
	if t.text != ")" {
		return nil, bad(t.at, "%q stands where a closing parenthesis should", t.text)
	}
	return e, nil
}

// quantified reads "1 of x*", "all of them".
func (p *condParser) quantified(q condTok) (*expr, error) {
	p.pos++ // of
	what, err := p.next("`them` or a pattern")
	if err != nil {
		return nil, err
	}
	kids, err := p.matching(what)
	if err != nil {
		return nil, err
	}
	switch strings.ToLower(q.text) {
	case "1", "any":
		return or(kids...), nil
	case "all":
		return and(kids...), nil
	}
	return nil, bad(q.at, "`%s of` is not in Sigma; write `1 of` or `all of`", q.text)
}

func (p *condParser) matching(what condTok) ([]*expr, error) {
	if err := p.rep.spent.ask(len(p.sels)/64, what.at); err != nil {
		return nil, err // a pattern is work, also where it finds nothing
	}
	var kids []*expr
	them := strings.EqualFold(what.text, "them")
	for _, s := range p.sels {
		if them && !strings.HasPrefix(s.name, "_") || !them && glob(what.text, s.name) {
			s.used = true
			kids = append(kids, s.expr)
			if err := p.rep.spent.ask(s.size, what.at); err != nil {
				return nil, err
			}
		}
	}
	if len(kids) == 0 {
		p.rep.fail(what.at, "no search identifier matches %q%s", what.text, p.known(strings.Trim(what.text, "*")))
		return []*expr{never()}, nil
	}
	return kids, nil
}

// glob matches a pattern of search identifiers: `*` is any text, also none.
func glob(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return true
}
