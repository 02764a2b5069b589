package coverage

import (
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// maxDepth and maxNames bound one event, as the engine does.
const (
	maxDepth = 32
	maxNames = 4096
)

// walker reads the names of an event's fields: nested ones joined with dots, as
// rules write them, those that hold nothing (null) left out. It keeps its
// buffers.
type walker struct {
	b       []byte
	i       int
	path    []byte
	names   []byte
	ends    []int
	numbers []byte // the values of what is an event's number, each after a zero
}

// numberNames are the names of an event's number, by which whole groups of rules
// are told apart within a logsource.
var numberNames = func() map[string]bool {
	out := map[string]bool{numberField: true}
	for _, name := range taxonomy.Aliases(sigma.Logsource{}, numberField) {
		out[name] = true
	}
	return out
}()

// numberField is what rules call it.
const numberField = "EventID"

// maxNumber bounds the length of one.
const maxNumber = 32

func (w *walker) at(i int) []byte {
	from := 0
	if i > 0 {
		from = w.ends[i-1]
	}
	return w.names[from:w.ends[i]]
}

func (w *walker) name(name string) {
	w.names = append(w.names, name...)
	w.ends = append(w.ends, len(w.names))
}

// read takes a JSON object and reports whether it is one.
func (w *walker) read(object []byte) bool {
	w.b, w.i, w.path, w.names, w.ends = object, 0, w.path[:0], w.names[:0], w.ends[:0]
	w.numbers = w.numbers[:0]
	w.space()
	return w.i < len(w.b) && w.b[w.i] == '{' && w.value(0)
}

func (w *walker) space() {
	for w.i < len(w.b) && (w.b[w.i] == ' ' || w.b[w.i] == '\n' || w.b[w.i] == '\t' || w.b[w.i] == '\r') {
		w.i++
	}
}

func (w *walker) eat(c byte) bool {
	w.space()
	if w.i < len(w.b) && w.b[w.i] == c {
		w.i++
		return true
	}
	return false
}

func (w *walker) leaf(val []byte) {
	if numberNames[string(w.path)] && len(val) <= maxNumber {
		w.numbers = append(append(w.numbers, 0), val...)
	}
	if len(w.ends) < maxNames && !reserved(w.path) {
		w.names = append(w.names, w.path...)
		w.ends = append(w.ends, len(w.names))
	}
}

// reserved names are the receiver's; an event that has one claims nothing.
func reserved(name []byte) bool {
	return len(name) >= len(sigma.Reserved) && string(name[:len(sigma.Reserved)]) == sigma.Reserved
}

func (w *walker) value(depth int) bool {
	w.space()
	if w.i >= len(w.b) || depth > maxDepth {
		return false
	}
	switch w.b[w.i] {
	case '{':
		w.i++
		return w.object(depth)
	case '[':
		w.i++
		return w.array(depth)
	case '"':
		val, ok := w.text()
		w.leaf(val)
		return ok
	}
	start := w.i
	for w.i < len(w.b) && !ends[w.b[w.i]] {
		w.i++
	}
	if string(w.b[start:w.i]) != "null" {
		w.leaf(w.b[start:w.i])
	}
	return w.i > start
}

var ends = [256]bool{' ': true, '\t': true, '\r': true, '\n': true, ',': true, ']': true, '}': true}

func (w *walker) object(depth int) bool {
	if w.eat('}') {
		return true
	}
	mark := len(w.path)
	for {
		w.space()
		key, ok := w.text()
		if !ok || !w.eat(':') {
			return false
		}
		if mark > 0 {
			w.path = append(w.path, '.')
		}
		w.path = append(w.path, key...)
		if !w.value(depth + 1) {
			return false
		}
		w.path = w.path[:mark]
		if w.eat('}') {
			return true
		}
		if !w.eat(',') {
			return false
		}
	}
}

// array notes its own name once, however many elements it has.
func (w *walker) array(depth int) bool {
	if w.eat(']') {
		return true
	}
	before := len(w.ends)
	for {
		if !w.value(depth + 1) {
			return false
		}
		if n := len(w.ends); n == before+2 && string(w.at(before)) == string(w.at(before+1)) {
			w.names, w.ends = w.names[:w.ends[before]], w.ends[:before+1]
		}
		if w.eat(']') {
			return true
		}
		if !w.eat(',') {
			return false
		}
	}
}

// text takes a string as it stands, escapes and all: names with escapes in them
// are no names of rules.
func (w *walker) text() ([]byte, bool) {
	if w.i >= len(w.b) || w.b[w.i] != '"' {
		return nil, false
	}
	w.i++
	for start := w.i; w.i < len(w.b); w.i++ {
		switch w.b[w.i] {
		case '"':
			w.i++
			return w.b[start : w.i-1], true
		case '\\':
			w.i++
		}
	}
	return nil, false
}
