package sigma

// YAMLTree reads a file as lists of pairs, lists and texts, for comparing it with
// what another reader makes of it.
func YAMLTree(data []byte) ([]any, error) {
	docs, err := parseYAML(data)
	out := make([]any, len(docs))
	for i, d := range docs {
		out[i] = treeOf(d)
	}
	return out, err
}

func treeOf(n *node) any {
	switch n.kind {
	case kindNull:
		return nil
	case kindList:
		out := make([]any, len(n.list))
		for i, k := range n.list {
			out[i] = treeOf(k)
		}
		return out
	case kindMap:
		out := make([][2]any, len(n.pairs))
		for i, p := range n.pairs {
			out[i] = [2]any{p.key, treeOf(p.val)}
		}
		return out
	case kindString:
		return n.text
	}
	return n.kind.String() + " " + n.text
}

// YAMLPlaces lists where every key and value of a file stands.
func YAMLPlaces(data []byte) []Pos {
	docs, _ := parseYAML(data)
	var out []Pos
	for _, d := range docs {
		out = d.places(out)
	}
	return out
}

func (n *node) places(out []Pos) []Pos {
	out = append(out, n.at)
	if n.kind == kindString && len(n.text) > 0 {
		out = append(out, n.inside(len(n.text)))
	}
	for _, k := range n.list {
		out = k.places(out)
	}
	for _, p := range n.pairs {
		out = p.val.places(append(out, p.at))
	}
	return out
}
