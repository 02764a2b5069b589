package grammar

import "bytes"

// joiners are calls whose result is their literals put together.
var joiners = set(`join concat implode concat_ws strcat joinstring`)

// joinCall reads the literals between the parenthesis at i and its end, which a
// call puts together. A first one of at most one byte is what stands between.
func (r *reader) joinCall(i int) bool {
	b, depth, seen := r.b, 0, 0
	for limit := min(len(b), i+1024); i < limit; {
		switch c := b[i]; {
		case c == '(' || c == '[' || c == '{':
			depth++
			i++
		case c == ')' || c == ']' || c == '}':
			i++
			if depth--; depth == 0 {
				r.end = i
				return r.parts > 1
			}
		case isSpace(c) || c == ',' || c == ';':
			i++
		case isQuote(c):
			before := *r
			if !r.quotedAt(i) {
				return false
			}
			i = r.end
			if depth == 1 && before.parts > 1 && r.to-r.from >= 0 && r.b[i-2] == c {
				*r = before // "" behind the list
				continue
			}
			if seen++; seen == 1 && before.parts == 0 && r.to-r.from <= 1 {
				r.parts, r.n = 0, 0
			}
		default:
			j, ok := r.joinWord(i)
			if !ok {
				return false
			}
			if j < 0 {
				return r.end > i
			}
			i = j
		}
	}
	return false
}

// joinWord passes the words that may stand among the parts, and reads the list
// of numbers behind chr(c) for c in. It returns -1 when that was the whole.
func (r *reader) joinWord(i int) (int, bool) {
	b, j := r.b, i
	for j < len(b) && j-i < 24 && (isAlnum(b[j]) || b[j] == '_' || b[j] == '.') {
		j++
	}
	var buf [24]byte
	switch string(fold(b[i:j], buf[:])) {
	case "string", "array", "new", "list", "arrays.aslist", "listof", "arrayof", "u8", "r", "f":
		return j, true
	case "chr", "map":
		k := bytes.IndexByte(b[j:min(len(b), j+40)], '[')
		if k < 0 || !r.byteList(j+k+1, ']') {
			return 0, false
		}
		return -1, true
	}
	return 0, false
}

// chained returns where the argument of .concat("…") and .append("…") begins,
// behind a literal and whatever closes there.
func (r *reader) chained(i int) (int, bool) {
	b := r.b
	for i < len(b) && (b[i] == ')' || isSpace(b[i])) && i-r.end < 8 {
		i++
	}
	for _, call := range [...]string{".concat(", ".append(", ".push_str("} {
		if hasPrefixFold(b[i:min(len(b), i+len(call))], call) {
			return r.skip(i+len(call), 0), true
		}
	}
	return 0, false
}

// appended reads what following statements append: name += "…".
func (s *sighting) appended(r *reader) {
	b, name := r.b, r.b[s.from:s.to]
	for r.parts < maxParts {
		i := r.end
		for i < len(b) && (isBlank(b[i]) || b[i] == ';' || b[i] == '\r') {
			i++
		}
		if i >= len(b) || b[i] != '\n' {
			return
		}
		for i < len(b) && (isSpace(b[i]) || b[i] == '$') {
			i++
		}
		if !bytes.HasPrefix(b[i:], name) {
			return
		}
		i = r.skip(i+len(name), 0)
		if i+1 >= len(b) || b[i] != '+' && b[i] != '.' && b[i] != '&' || b[i+1] != '=' {
			return
		}
		before := *r
		if !r.term(r.skip(i+2, 0), 0) {
			*r = before
			return
		}
	}
}

// heredoc reads the one line of a here-document: <<EOT, <<~EOT, <<<EOT, @" and
// $(cat <<EOF.
func (s *sighting) heredoc(r *reader, i int) bool {
	b := r.b
	line := b[i:min(len(b), i+64)]
	if j := bytes.IndexByte(line, '\n'); j >= 0 {
		line = line[:j]
	} else {
		return false
	}
	mark := bytes.Index(line, []byte("<<"))
	here := bytes.HasPrefix(line, []byte(`@"`)) || bytes.HasPrefix(line, []byte(`@'`))
	if mark < 0 && !here || mark > 0 && !bytes.HasPrefix(line, []byte("$(cat")) {
		return false
	}
	from := i + len(line) + 1
	from = r.skip(from, 0)
	to := from
	for to < len(b) && b[to] != '\n' && b[to] != '\r' && to-from < maxSecret {
		to++
	}
	next := r.skip(to, 1)
	end := next
	for end < len(b) && (isAlnum(b[end]) || b[end] == '_' || here && (isQuote(b[end]) || b[end] == '@')) {
		end++
	}
	tag := b[next:end]
	if to == from || len(tag) == 0 || !here && !bytes.Contains(line, tag) {
		return false
	}
	r.part(from, to, to)
	return true
}

// echoed reads $(echo VALUE | base64 -d).
func (s *sighting) echoed(r *reader, i int) bool {
	b := r.b
	switch {
	case bytes.HasPrefix(b[i:], []byte("$(echo ")):
		i += 7
	case bytes.HasPrefix(b[i:], []byte("`echo ")):
		i += 6
	default:
		return false
	}
	w := words{b: b, i: i, limit: min(len(b), i+1024)}
	for w.next() {
		if b[w.from] == '-' {
			continue
		}
		rest := b[w.i:min(len(b), w.i+40)]
		if indexFold(rest, "| base64") < 0 && indexFold(rest, "| rev") < 0 && indexFold(rest, "| xxd") < 0 && indexFold(rest, "| openssl") < 0 {
			return false
		}
		r.part(w.from, w.to, w.i)
		return true
	}
	return false
}
