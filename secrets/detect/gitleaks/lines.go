package gitleaks

import (
	"bytes"
	"fmt"
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// lines knows on which line a value stands: "rules[3].regex".
type lines map[string]int

// of is the line of a value, or of the nearest table around it.
func (l lines) of(path string) int {
	for path != "" {
		if n, ok := l[path]; ok {
			return n
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

// index reads a document that is known to be good.
func index(data []byte) lines {
	x := indexer{lines: lines{}, counts: map[string]int{}, breaks: breaksOf(data)}
	var p unstable.Parser
	p.Reset(data)
	for p.NextExpression() {
		x.expression(p.Expression())
	}
	return x.lines
}

type indexer struct {
	lines  lines
	counts map[string]int // of array tables
	breaks []int
	table  string
}

func breaksOf(data []byte) []int {
	var at []int
	for i, c := range data {
		if c == '\n' {
			at = append(at, i)
		}
	}
	return at
}

func (x *indexer) line(offset uint32) int {
	return sort.SearchInts(x.breaks, int(offset)) + 1
}

func (x *indexer) expression(n *unstable.Node) {
	switch n.Kind {
	case unstable.Table:
		path, at := x.key(n, "")
		x.table = path
		x.lines[path] = at
	case unstable.ArrayTable:
		path, at := x.key(n, "")
		i := x.counts[path]
		x.counts[path]++
		x.table = fmt.Sprintf("%s[%d]", path, i)
		x.lines[x.table] = at
	case unstable.KeyValue:
		path, at := x.key(n, x.table)
		x.lines[path] = at
		x.elements(n.Value(), path)
	}
}

// longestPath is far more than the path of any value that is asked for. Without a bound
// each key below a long header would be as long as that.
const longestPath = 128

// key joins the parts of a key; a part that is an array of tables means its
// last one.
func (x *indexer) key(n *unstable.Node, below string) (path string, line int) {
	path = below
	for it := n.Key(); it.Next(); {
		part := it.Node()
		if line == 0 {
			line = x.line(part.Raw.Offset)
		}
		if i := x.counts[path]; i > 0 {
			path = fmt.Sprintf("%s[%d]", path, i-1)
		}
		path = strings.TrimPrefix(path+"."+strings.ToLower(string(bytes.TrimSpace(part.Data))), ".")
		path = path[:min(len(path), longestPath)]
	}
	return path, line
}

func (x *indexer) elements(value *unstable.Node, path string) {
	if value == nil || value.Kind != unstable.Array {
		return
	}
	i := 0
	for it := value.Children(); it.Next(); {
		if n := it.Node(); n.Kind == unstable.String {
			x.lines[fmt.Sprintf("%s[%d]", path, i)] = x.line(n.Raw.Offset)
			i++
		}
	}
}
