package grammar

import "bytes"

// list reads { 0x41, 0x42 }, [104, 117], ['a','b'] and ["a","b"].join(""): what
// is written byte by byte or part by part.
func (r *reader) list(i, depth int) bool {
	if depth > 3 {
		return false
	}
	closer := closing(r.b[i])
	i = r.skip(i+1, 2)
	if i < len(r.b) && (isQuote(r.b[i]) || r.b[i] == 'b' && i+1 < len(r.b) && isQuote(r.b[i+1])) {
		return r.stringList(i, closer)
	}
	return r.byteList(i, closer)
}

// stringList joins the literals of a list. More than one are a value only where
// they are characters, or where join follows.
func (r *reader) stringList(i int, closer byte) bool {
	b, before := r.b, r.parts
	for r.parts-before < maxParts {
		if parts := r.parts - before; parts > 0 && terminated(b, i) {
			if i = bytes.IndexByte(b[i:], closer) + i; i < r.end {
				return false
			}
			break
		}
		if i >= len(b) || !r.term(i, 4) {
			return false
		}
		i = r.skip(r.end, 1)
		if i >= len(b) {
			return false
		}
		if b[i] == closer {
			break
		}
		if b[i] != ',' {
			return false
		}
		if i = r.skip(i+1, 2); i < len(b) && b[i] == closer {
			break
		}
	}
	if i >= len(b) {
		return false
	}
	parts := r.parts - before
	single := r.n == parts
	r.end = i + 1
	if parts < 2 {
		return false
	}
	return single && parts >= 6 || joinFollows(b, i+1) || joinBefore(b, r.from)
}

// terminated reports whether the zero that ends a string in C stands at i.
func terminated(b []byte, i int) bool {
	return bytes.HasPrefix(b[i:], []byte("0}")) || bytes.HasPrefix(b[i:], []byte("0 }")) || bytes.HasPrefix(b[i:], []byte(`'\0'`))
}

func joinFollows(b []byte, i int) bool {
	rest := b[i:min(len(b), i+24)]
	j := indexFold(rest, "join")
	return j >= 0 && j < 12 || hasPrefixFold(rest, ".concat") || indexFold(rest, ".to_string") == 0
}

// joinBefore finds "".join( and strings.Join( before the list.
func joinBefore(b []byte, from int) bool {
	before := b[max(0, from-40):from]
	if i := bytes.LastIndexByte(before, '\n'); i >= 0 {
		before = before[i:]
	}
	return indexFold(before, "join(") >= 0 || indexFold(before, "concat(") >= 0 || indexFold(before, "implode(") >= 0 || indexFold(before, "concat!(") >= 0
}

// byteList reads numbers, each of which is a byte of the secret.
func (r *reader) byteList(i int, closer byte) bool {
	b, n, first, readable := r.b, 0, i, true
	limit := min(len(b), i+maxLook)
	for i < limit && n < 256 {
		c, j, ok := number(b, i)
		if !ok {
			break
		}
		readable = readable && c >= 0x20 && c < 0x7f
		if n < maxJoined {
			r.joined[n] = c
		}
		n++
		r.to = j
		if i = r.skip(j, 2); i < limit && b[i] == ',' {
			i = r.skip(i+1, 2)
		}
	}
	if i >= limit || b[i] != closer || n < 6 || n > 80 {
		return false
	}
	if isRun(r.joined[:n]) {
		return false // 1, 2, 3 of a test
	}
	r.from, r.end, r.quoted = first, i+1, true
	r.n, r.parts = n, 2
	return readable || r.fold(n)
}

// fold replaces bytes that are no text by their hexadecimal form, so that the
// same judgement is asked of them.
func (r *reader) fold(n int) bool {
	if n < 8 || n*2 > maxJoined {
		return false
	}
	const digits = "0123456789abcdef"
	for i := n - 1; i >= 0; i-- {
		c := r.joined[i]
		r.joined[2*i], r.joined[2*i+1] = digits[c>>4], digits[c&15]
	}
	r.n = 2 * n
	return true
}

// number reads 0x41, 65, 'A', '\x41', (byte)65, 65u8 and chr(65).
func number(b []byte, i int) (c byte, end int, ok bool) {
	if bytes.HasPrefix(b[i:], []byte("(byte)")) {
		for i += 6; i < len(b) && b[i] == ' '; i++ {
		}
	}
	minus := i < len(b) && b[i] == '-'
	i += b2i(minus)
	if i+2 < len(b) && b[i] == '\'' && b[i+2] == '\'' {
		return b[i+1], i + 3, true
	}
	base, v, j := 10, 0, i
	if i+1 < len(b) && b[i] == '0' && lower(b[i+1]) == 'x' {
		base, j = 16, i+2
	}
	from := j
	for j < len(b) && j-from < 3 && (isDigit(b[j]) || base == 16 && isHexDigit(b[j])) {
		v = v*base + hexValue(b[j])
		j++
	}
	if j == from || v > 255 {
		return 0, 0, false
	}
	for k := j; k < len(b) && k-j < 3 && (lower(b[k]) == 'u' || b[k] == '8' || b[k] == 'y'); k++ {
		if k-j == 1 && b[k] == '8' {
			j = k + 1
			break
		}
	}
	if minus {
		v = 256 - v
	}
	return byte(v), j, true
}

func hexValue(c byte) int {
	if isDigit(c) {
		return int(c - '0')
	}
	return int(lower(c)-'a') + 10
}

func characters(word []byte) bool {
	return equalFold(word, "chr") || equalFold(word, "chrw") || equalFold(word, "char") || hasSuffixFold(word, "fromcharcode")
}

// charCodes reads chr(104), CHAR(104) and String.fromCharCode(104, 117).
func (r *reader) charCodes(i int) bool {
	c, j, ok := number(r.b, i+1)
	if !ok || j >= len(r.b) {
		return false
	}
	if r.b[j] != ')' {
		return r.byteList(i+1, ')')
	}
	if r.parts == 0 {
		r.from = i
		r.parts++ // the value is never the text as it stands
	}
	r.to, r.end, r.quoted = j, j+1, true
	if r.parts++; r.n < maxJoined {
		r.joined[r.n] = c
		r.n++
	}
	return true
}

// byteLike reports whether a composite literal of this type holds bytes.
func (r *reader) byteLike(word []byte) bool {
	return hasSuffixFold(word, "byte") || hasSuffixFold(word, "uint8") || hasSuffixFold(word, "char") || hasSuffixFold(word, "bytes") || hasSuffixFold(word, "u8")
}
