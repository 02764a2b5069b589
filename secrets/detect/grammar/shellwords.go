package grammar

// words walks over the words of a command line, as a shell, an argument list in
// a program or a shell script of Windows write them.
type words struct {
	b        []byte
	i, limit int
	// enclosed is the quote of the literal that the command stands in.
	enclosed byte
	// listed is set where every word is a literal of its own.
	listed bool
	// from and to are the word, start the first byte of it, quotes included.
	from, to int
	quoted   bool
}

// commandWords begins behind the command's name, which ends at i.
func commandWords(b []byte, start, i int) words {
	line := start
	for line > 0 && start-line < 1024 && b[line-1] != '\n' {
		line--
	}
	w := words{b: b, i: i, limit: min(len(b), i+1024), enclosed: openQuote(b[line:start])}
	if w.enclosed != 0 && i+1 < len(b) && b[i] == w.enclosed {
		if b[i+1] != ',' && !isSpace(b[i+1]) {
			w.limit = i // a literal that is no argument list
		}
		w.listed, w.enclosed = true, 0
		w.i++
	}
	return w
}

// next reads the next word and reports false at the end of the command.
func (w *words) next() bool {
	b := w.b
	for w.i < w.limit {
		c := b[w.i]
		if isBlank(c) || w.listed && (c == ',' || c == '\n' || c == '\r') {
			w.i++
			continue
		}
		if (c == '\\' || c == '^' || c == '`') && w.i+1 < w.limit && (b[w.i+1] == '\n' || b[w.i+1] == '\r') {
			for w.i++; w.i < w.limit && isSpace(b[w.i]); w.i++ {
			}
			continue
		}
		break
	}
	if w.i >= w.limit || w.ends(w.i) {
		return false
	}
	return w.read()
}

// skip reads n words that say nothing of a secret.
func (w *words) skip(n int) bool {
	for range n {
		if !w.next() {
			return false
		}
	}
	return true
}

func (w *words) ends(i int) bool {
	switch c := w.b[i]; c {
	case '\n', '\r', '|', ';', ')', ']', '}', '<', '`':
		return true
	case '&':
		return true
	default:
		return c == w.enclosed
	}
}

// read reads one word; where it is one literal, its content.
func (w *words) read() bool {
	b, i := w.b, w.i
	w.quoted = false
	if q := b[i]; isQuote(q) && q != w.enclosed {
		j := i + 1
		for j < w.limit && b[j] != q && b[j] != '\n' {
			if b[j] == '\\' && q == '"' {
				j++
			}
			j++
		}
		if j >= w.limit || b[j] != q {
			return false
		}
		w.from, w.to, w.quoted, w.i = i+1, j, true, j+1
		return true
	}
	if b[i] == '\\' && i+1 < w.limit && isQuote(b[i+1]) { // \"…\" in a literal
		j := i + 2
		for j+1 < w.limit && !(b[j] == '\\' && b[j+1] == b[i+1]) && b[j] != '\n' {
			j++
		}
		w.from, w.to, w.quoted, w.i = i+2, j, true, min(j+2, w.limit)
		return j+1 < w.limit && b[j] == '\\'
	}
	return w.bare()
}

// bare reads a word that begins without a quote; quotes within stay within.
func (w *words) bare() bool {
	b, i := w.b, w.i
	var q byte
	j := i
	for ; j < w.limit; j++ {
		c := b[j]
		if q != 0 {
			if c == q {
				q = 0
			}
			if c == '\n' {
				break
			}
			continue
		}
		if isSpace(c) || c == w.enclosed || c == '|' || c == ';' || c == '`' || c == '&' && j+1 < w.limit && b[j+1] == '&' || w.listed && (c == ',' || isQuote(c)) {
			break
		}
		if isQuote(c) {
			q = c
		}
	}
	w.from, w.to, w.i = i, j, j
	return j > i
}

// unquote takes the quotes off a span.
func unquote(b []byte, from, to int) (int, int) {
	if to-from >= 2 && isQuote(b[from]) && b[to-1] == b[from] {
		return from + 1, to - 1
	}
	return from, to
}
