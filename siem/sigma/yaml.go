package sigma

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits on a rule file, checked before it is parsed.
const (
	// MaxFile is the largest rule file accepted, in bytes.
	MaxFile = 512 << 10
	// maxDepth is how deep collections may nest.
	maxDepth = 32
)

type nodeKind uint8

const (
	kindNull nodeKind = iota
	kindString
	kindNumber
	kindBool
	kindList
	kindMap
)

var kindWords = [...]string{"nothing", "text", "a number", "a boolean", "a list", "a map"}

func (k nodeKind) String() string { return kindWords[k] }

// node is a YAML value with its place. Only what Sigma needs is kept: no
// anchors, aliases, merge keys or tags.
type node struct {
	kind nodeKind
	at   Pos
	text string // scalars
	// exact is set where byte i of text stands at column at.Col+shift+i.
	exact bool
	shift int
	list  []*node
	pairs []pair
}

type pair struct {
	key string
	at  Pos
	val *node
}

func (n *node) get(key string) (*node, bool) {
	for _, p := range n.pairs {
		if p.key == key {
			return p.val, true
		}
	}
	return nil, false
}

// inside returns the place of byte i of a scalar.
func (n *node) inside(i int) Pos {
	if !n.exact {
		return n.at
	}
	return Pos{n.at.Line, n.at.Col + n.shift + i}
}

// parseYAML reads the documents of a file. The parser underneath is not ours,
// so its panics become errors.
func parseYAML(data []byte) (docs []*node, err error) {
	if data, err = cleanText(data); err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			docs, err = nil, bad(Pos{1, 1}, "not YAML that can be read (%v)", r)
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if err := checkNesting(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, yamlError(err)
	}
	for _, d := range file.Docs {
		if d.Body == nil {
			continue
		}
		n, err := convert(d.Body, 0)
		if err != nil {
			return nil, err
		}
		docs = append(docs, n)
	}
	return docs, nil
}

// checkNesting refuses what would make a recursive parser run deep.
func checkNesting(tokens token.Tokens) error {
	flow, entries, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position != nil && t.Position.Line != line {
			entries, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			entries++
		}
		if flow > maxDepth || entries > 4*maxDepth || t.Position != nil && t.Position.IndentLevel > maxDepth {
			return bad(tokenPos(t), "nested deeper than %d levels", maxDepth)
		}
	}
	return nil
}

func tokenPos(t *token.Token) Pos {
	if t == nil || t.Position == nil {
		return Pos{1, 1}
	}
	return Pos{t.Position.Line, t.Position.Column}
}

func yamlError(err error) error {
	var e interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if errors.As(err, &e) {
		return bad(tokenPos(e.GetToken()), "not YAML: %s", e.GetMessage())
	}
	return bad(Pos{1, 1}, "not YAML: %v", err)
}

func convert(n ast.Node, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, bad(tokenPos(n.GetToken()), "nested deeper than %d levels", maxDepth)
	}
	at := tokenPos(n.GetToken())
	switch v := n.(type) {
	case *ast.NullNode:
		return &node{kind: kindNull, at: at}, nil
	case *ast.StringNode:
		return stringNode(v, at), nil
	case *ast.LiteralNode:
		return &node{kind: kindString, at: at, text: v.Value.Value}, nil
	case *ast.IntegerNode:
		return &node{kind: kindNumber, at: at, text: fmt.Sprint(v.Value)}, nil
	case *ast.FloatNode:
		return &node{kind: kindNumber, at: at, text: v.GetToken().Value}, nil
	case *ast.BoolNode:
		return &node{kind: kindBool, at: at, text: strconv.FormatBool(v.Value)}, nil
	case *ast.SequenceNode:
		return convertList(v, at, depth)
	case *ast.MappingNode:
		return convertMap(v.Values, mapPos(v.Values, at), depth)
	case *ast.MappingValueNode:
		return convertMap([]*ast.MappingValueNode{v}, mapPos([]*ast.MappingValueNode{v}, at), depth)
	}
	return nil, bad(at, "YAML %s are not supported in rules", strings.ToLower(n.Type().YAMLName())+" nodes")
}

// mapPos is where a block map's first key stands; the parser underneath says
// where its first colon stands.
func mapPos(values []*ast.MappingValueNode, at Pos) Pos {
	if len(values) == 0 || values[0].Key == nil {
		return at
	}
	return tokenPos(values[0].Key.GetToken())
}

func stringNode(v *ast.StringNode, at Pos) *node {
	n := &node{kind: kindString, at: at, text: v.Value}
	origin := strings.TrimSpace(v.GetToken().Origin)
	switch v.GetToken().Type {
	case token.SingleQuoteType, token.DoubleQuoteType:
		n.shift = 1
		n.exact = strings.Trim(origin, `'"`) == v.Value || origin == v.Value
	default:
		n.exact = origin == v.Value
	}
	return n
}

func convertList(v *ast.SequenceNode, at Pos, depth int) (*node, error) {
	out := &node{kind: kindList, at: at}
	for _, item := range v.Values {
		c, err := convert(item, depth+1)
		if err != nil {
			return nil, err
		}
		out.list = append(out.list, c)
	}
	return out, nil
}

func convertMap(values []*ast.MappingValueNode, at Pos, depth int) (*node, error) {
	out := &node{kind: kindMap, at: at}
	seen := make(map[string]Pos, len(values))
	for _, v := range values {
		key, err := convertKey(v)
		if err != nil {
			return nil, err
		}
		if first, dup := seen[key.text]; dup {
			return nil, bad(key.at, "key %q stands here and at line %d", key.text, first.Line)
		}
		seen[key.text] = key.at
		val, err := convert(v.Value, depth+1)
		if err != nil {
			return nil, err
		}
		out.pairs = append(out.pairs, pair{key.text, key.at, val})
	}
	return out, nil
}

func convertKey(v *ast.MappingValueNode) (*node, error) {
	if v.Key == nil {
		return nil, bad(tokenPos(v.GetToken()), "a key is missing")
	}
	at := tokenPos(v.Key.GetToken())
	if v.Key.IsMergeKey() {
		return nil, bad(at, "YAML merge keys are not supported in rules")
	}
	switch k := v.Key.(type) {
	case *ast.StringNode:
		return &node{kind: kindString, at: at, text: k.Value}, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return &node{kind: kindString, at: at, text: k.GetToken().Value}, nil
	}
	return nil, bad(at, "a key must be plain text")
}
