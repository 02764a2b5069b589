package hunt

import "bytes"

// maxNesting is how deep a record is looked into here; the engine has its own
// limit and says so.
const maxNesting = 32

// walker goes through the scalars of one JSON object. It believes nothing: what
// is not JSON ends the walk.
type walker struct {
	b    []byte
	i    int
	path []byte
	// visit gets a path of names joined by dots and the value as it stands
	// there, quotes included. It returns false to stop.
	visit func(path, val []byte) bool
}

// scalars walks over object.
func (w *walker) scalars(object []byte) {
	w.b, w.i, w.path = object, 0, w.path[:0]
	w.value(0)
}

func (w *walker) space() {
	for w.i < len(w.b) && (w.b[w.i] == ' ' || w.b[w.i] == '\t' || w.b[w.i] == '\n' || w.b[w.i] == '\r') {
		w.i++
	}
}

func (w *walker) next(c byte) bool {
	w.space()
	if w.i < len(w.b) && w.b[w.i] == c {
		w.i++
		return true
	}
	return false
}

func (w *walker) value(depth int) bool {
	w.space()
	if w.i >= len(w.b) || depth > maxNesting {
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
		from := w.i
		return w.str() && w.visit(w.path, w.b[from:w.i])
	}
	from := w.i
	for w.i < len(w.b) && !bytes.ContainsRune([]byte(" \t\r\n,]}"), rune(w.b[w.i])) {
		w.i++
	}
	return w.i > from && w.visit(w.path, w.b[from:w.i])
}

func (w *walker) object(depth int) bool {
	if w.next('}') {
		return true
	}
	mark := len(w.path)
	for {
		w.space()
		from := w.i
		if !w.str() {
			return false
		}
		if mark > 0 {
			w.path = append(w.path, '.')
		}
		w.path = append(w.path, w.b[from+1:w.i-1]...)
		if !w.next(':') || !w.value(depth+1) {
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

func (w *walker) array(depth int) bool {
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

func (w *walker) str() bool {
	if w.i >= len(w.b) || w.b[w.i] != '"' {
		return false
	}
	for w.i++; w.i < len(w.b); w.i++ {
		switch w.b[w.i] {
		case '"':
			w.i++
			return true
		case '\\':
			w.i++
		}
	}
	return false
}
