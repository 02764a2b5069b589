package sigma

import "slices"

// Parse reads a rule file: one or more YAML documents. The first error is
// returned; it is an [Error] that names line and column. [Check] says all, and
// more: a condition that can never hold is an error there and no reason not to
// load the rule.
func Parse(file string, data []byte) ([]*Rule, error) {
	rules, problems := Check(file, data)
	for _, p := range problems {
		if p.Severity == SeverityError && !p.loads {
			return nil, p.error()
		}
	}
	return rules, nil
}

// Check reads a rule file and returns everything there is to say about it, in
// the order of the file, with the rules that are right. A file of which one
// document is wrong still gives the others.
func Check(file string, data []byte) ([]*Rule, []Problem) {
	rep := &report{}
	docs, err := parseYAML(data)
	rep.add(err)
	if err == nil && len(docs) == 0 {
		rep.fail(Pos{1, 1}, "the file holds no rule; write one, with `title`, `logsource` and `detection`")
	}
	var rules []*Rule
	for _, d := range collect(rep, docs) {
		before := rep.errors
		r := parseRule(rep, file, d.number, d.node)
		if d.shared && slices.ContainsFunc(rules, func(o *Rule) bool { return o.ID == r.ID }) {
			r.ID = ownID(file, d.number, r.Title)
		}
		if rep.errors == before {
			rules = append(rules, r)
		}
	}
	return rules, rep.sorted(file)
}

// numbered is a document as it is after the rule collections of Sigma 1 have
// been written out.
type numbered struct {
	*node
	number int
	// shared is set where the id comes from another document.
	shared bool
}

// collect writes out rule collections: a document with `action: global` is laid
// under all that follow until `action: reset`; one with `action: repeat` stands
// on the document before it. What a document says itself goes before what it
// takes over.
func collect(rep *report, docs []*node) []numbered {
	var out []numbered
	var global, last *node
	for i, d := range docs {
		if d.kind != kindMap {
			rep.fail(d.at, "a rule is a map of keys and values, this is %s", d.kind)
			continue
		}
		action, body := takeAction(rep, d)
		switch action {
		case "":
			last = over(body, global)
		case "global":
			global = over(body, global)
			continue
		case "reset":
			global = nil
			continue
		case "repeat":
			if last == nil {
				rep.fail(d.at, "`action: repeat` stands on the rule before it, and there is none")
				continue
			}
			last = over(body, last)
		default:
			continue
		}
		if action != "" || global != nil {
			// Few bytes repeat many rules, which are read anew each time.
			if err := rep.spent.ask(last.size(maxQuestions), d.at); err != nil {
				rep.add(err)
				return nil
			}
		}
		_, own := body.get("id")
		out = append(out, numbered{last, i + 1, !own})
	}
	if len(out) == 0 && len(docs) > 0 && rep.errors == 0 {
		rep.fail(docs[0].at, "the file holds no rule: every document only prepares others")
	}
	return out
}

var actions = []string{"global", "reset", "repeat"}

// takeAction splits `action` off a document.
func takeAction(rep *report, d *node) (string, *node) {
	i := slices.IndexFunc(d.pairs, func(p pair) bool { return p.key == "action" })
	if i < 0 {
		return "", d
	}
	p := d.pairs[i]
	if !slices.Contains(actions, p.val.text) {
		rep.fail(p.val.at, "`action` is global, reset or repeat%s", didYouMean(p.val.text, actions))
		return "?", d
	}
	rep.warn(p.at, "`action: %s` is Sigma 1 and no longer in the specification; write each rule out as a document of its own", p.val.text)
	body := *d
	body.pairs = slices.Delete(slices.Clone(d.pairs), i, i+1)
	return p.val.text, &body
}

// over lays top over base: maps are joined key by key, anything else of top
// replaces what base has. Neither is changed.
func over(top, base *node) *node {
	if base == nil || top.kind != kindMap || base.kind != kindMap {
		return top
	}
	out := *top
	out.pairs = slices.Clone(top.pairs)
	for _, b := range base.pairs {
		i := slices.IndexFunc(out.pairs, func(p pair) bool { return p.key == b.key })
		if i < 0 {
			out.pairs = append(out.pairs, b)
			continue
		}
		out.pairs[i].val = over(out.pairs[i].val, b.val)
	}
	return &out
}
