// Package jsonwalk goes through the members of one event as it stands there, for
// those who stand beside the engine and ask what is in an event, not whether a
// rule matches it: nothing is unescaped, copied or kept. It believes nothing:
// what is not JSON, or nested too deeply, ends the walk.
package jsonwalk

// maxDepth is how deep an event is looked into; the engine has the same limit.
const maxDepth = 32

// Walker keeps its buffer from one event to the next.
type Walker struct {
	// Visit gets every scalar: its path, which is names joined by dots as rules
	// write them, and the value as it stands there, quotes included. The path
	// is valid until it returns. The elements of an array share its path.
	Visit func(path, val []byte)

	b    []byte
	i    int
	path []byte
}

// Object walks over an object and reports whether it is one.
func (w *Walker) Object(object []byte) bool {
	w.b, w.i, w.path = object, 0, w.path[:0]
	w.space()
	return w.i < len(w.b) && w.b[w.i] == '{' && w.value(0)
}

// Member returns a member of an object as it stands there, nil if it has none
// of that name or is no JSON up to there. What is in the members is visited on
// the way.
func (w *Walker) Member(object []byte, name string) []byte {
	w.b, w.i, w.path = object, 0, w.path[:0]
	if !w.next('{') {
		return nil
	}
	for {
		w.space()
		key, ok := w.text()
		if !ok || !w.next(':') {
			return nil
		}
		w.space()
		at := w.i
		if !w.value(1) {
			return nil
		}
		if string(key[1:len(key)-1]) == name {
			return object[at:w.i]
		}
		if !w.next(',') {
			return nil
		}
	}
}

func (w *Walker) visit(val []byte) {
	if w.Visit != nil {
		w.Visit(w.path, val)
	}
}

func (w *Walker) space() {
	for w.i < len(w.b) && (w.b[w.i] == ' ' || w.b[w.i] == '\t' || w.b[w.i] == '\n' || w.b[w.i] == '\r') {
		w.i++
	}
}

// next takes c, if that is what comes.
func (w *Walker) next(c byte) bool {
	w.space()
	if w.i < len(w.b) && w.b[w.i] == c {
		w.i++
		return true
	}
	return false
}

func (w *Walker) value(depth int) bool {
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
		if ok {
			w.visit(val)
		}
		return ok
	}
	from := w.i
	for w.i < len(w.b) && !ends[w.b[w.i]] {
		w.i++
	}
	if w.i > from {
		w.visit(w.b[from:w.i])
	}
	return w.i > from
}

// ends are what a number or a word of JSON ends at.
var ends = [256]bool{' ': true, '\t': true, '\r': true, '\n': true, ',': true, ']': true, '}': true}

func (w *Walker) object(depth int) bool {
	if w.next('}') {
		return true
	}
	mark := len(w.path)
	for {
		w.space()
		key, ok := w.text()
		if !ok || !w.next(':') {
			return false
		}
		if mark > 0 {
			w.path = append(w.path, '.')
		}
		w.path = append(w.path, key[1:len(key)-1]...)
		if !w.value(depth + 1) {
			return false
		}
		w.path = w.path[:mark]
		if w.next('}') {
			return true
		}
		if !w.next(',') {
			return false
		}
	}
}

func (w *Walker) array(depth int) bool {
	if w.next(']') {
		return true
	}
	for {
		if !w.value(depth + 1) {
			return false
		}
		if w.next(']') {
			return true
		}
		if !w.next(',') {
			return false
		}
	}
}

// text takes a string with its quotes, escapes and all: names with escapes in
// them are no names of rules.
func (w *Walker) text() ([]byte, bool) {
	from := w.i
	if w.i >= len(w.b) || w.b[w.i] != '"' {
		return nil, false
	}
	for w.i++; w.i < len(w.b); w.i++ {
		switch w.b[w.i] {
		case '"':
			w.i++
			return w.b[from:w.i], true
		case '\\':
			w.i++
		}
	}
	return nil, false
}
