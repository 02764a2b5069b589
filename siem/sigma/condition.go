package sigma

import (
	"path"
	"strings"
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
	sels  []selection
}

type condTok struct {
	text string
	at   Pos
}

func parseCondition(n *node, sels []selection) (*expr, error) {
	toks, err := lexCondition(n)
	if err != nil {
		return nil, err
	}
	p := &condParser{src: n, toks: toks, sels: sels}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.pos < len(p.toks) {
		return nil, bad(p.toks[p.pos].at, "%q is one too many in the condition", p.toks[p.pos].text)
	}
	return e, nil
}

func lexCondition(n *node) ([]condTok, error) {
	var out []condTok
	for i := 0; i < len(n.text); {
		c := n.text[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '(' || c == ')':
			out = append(out, condTok{n.text[i : i+1], n.inside(i)})
			i++
		case c == '|':
			return nil, bad(n.inside(i), "aggregations in a condition (`| count() ...`) are not supported; write a correlation rule")
		case condWord(c):
			start := i
			for i < len(n.text) && condWord(n.text[i]) {
				i++
			}
			out = append(out, condTok{n.text[start:i], n.inside(start)})
		default:
			return nil, bad(n.inside(i), "character %q has no meaning in a condition", c)
		}
	}
	if len(out) == 0 {
		return nil, bad(n.at, "`condition` is empty")
	}
	return out, nil
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
		return nil, bad(t.at, "%q stands where a search identifier should", t.text)
	case "near":
		return nil, bad(t.at, "`near` is not supported; write a correlation rule")
	}
	if p.peek("of") {
		return p.quantified(t)
	}
	if strings.ContainsAny(t.text, "*?") {
		return nil, bad(t.at, "a pattern needs `1 of` or `all of` before it")
	}
	for _, s := range p.sels {
		if s.name == t.text {
			return s.expr, nil
		}
	}
	return nil, bad(t.at, "there is no search identifier %q", t.text)
}

func (p *condParser) group(open condTok) (*expr, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		return nil, bad(open.at, "parentheses nest deeper than %d levels", maxDepth)
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
	return nil, bad(q.at, "`%s of` is not supported; only `1 of` and `all of` are", q.text)
}

func (p *condParser) matching(what condTok) ([]*expr, error) {
	var kids []*expr
	them := strings.EqualFold(what.text, "them")
	for _, s := range p.sels {
		ok := them && !strings.HasPrefix(s.name, "_")
		if !them {
			ok, _ = path.Match(what.text, s.name)
		}
		if ok {
			kids = append(kids, s.expr)
		}
	}
	if len(kids) == 0 {
		return nil, bad(what.at, "no search identifier matches %q", what.text)
	}
	return kids, nil
}
