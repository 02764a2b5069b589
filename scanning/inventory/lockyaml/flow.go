package lockyaml

import (
	"errors"
	"fmt"
	"strings"
)

// flow reads {a: b, c: [d]} within one line.
type flow struct{ text string }

var errUnclosed = errors.New("a bracket that does not close in its line")

func (f *flow) skip() { f.text = strings.TrimLeft(f.text, " ") }

func (f *flow) node(n *Node, depth int) error {
	f.skip()
	switch {
	case f.text == "":
		return errUnclosed
	case depth > maxDepth:
		return errors.New("nested deeper than any lockfile is")
	case f.text[0] == '{':
		return f.members(n, '}', depth)
	case f.text[0] == '[':
		return f.members(n, ']', depth)
	}
	value, err := f.atom(",}]")
	n.Value = value
	return err
}

func (f *flow) members(n *Node, end byte, depth int) error {
	f.text = f.text[1:]
	for {
		f.skip()
		if f.text == "" {
			return errUnclosed
		}
		if f.text[0] == end {
			f.text = f.text[1:]
			return nil
		}
		m := &Node{Line: n.Line}
		if err := f.member(m, end == '}', depth); err != nil {
			return err
		}
		n.Nodes = append(n.Nodes, m)
		f.skip()
		if f.text != "" && f.text[0] == ',' {
			f.text = f.text[1:]
		} else if f.text != "" && f.text[0] != end {
			return fmt.Errorf("no comma before %.40q", f.text)
		}
	}
}

func (f *flow) member(m *Node, keyed bool, depth int) (err error) {
	if keyed {
		if m.Key, err = f.key(); err != nil {
			return err
		}
	}
	return f.node(m, depth+1)
}

// key reads up to a colon that is followed by a space.
func (f *flow) key() (key string, err error) {
	if f.text[0] == '"' || f.text[0] == '\'' {
		if key, f.text, err = quoted(f.text); err != nil {
			return "", err
		}
	} else {
		i := strings.Index(f.text, ": ")
		if i < 0 {
			return "", errors.New("no colon after the key")
		}
		key, f.text = f.text[:i], f.text[i:]
	}
	f.skip()
	rest, ok := strings.CutPrefix(f.text, ":")
	if !ok {
		return "", errors.New("no colon after the key")
	}
	f.text = rest
	return key, nil
}

// atom reads a scalar that one of the bytes in ends ends.
func (f *flow) atom(ends string) (string, error) {
	if f.text[0] == '"' || f.text[0] == '\'' {
		value, rest, err := quoted(f.text)
		f.text = rest
		return value, err
	}
	i := strings.IndexAny(f.text, ends)
	if i < 0 {
		return "", errUnclosed
	}
	value := strings.TrimRight(f.text[:i], " ")
	f.text = f.text[i:]
	return scalar(value)
}
