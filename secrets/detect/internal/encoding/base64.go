package encoding

// sextets is the value of each letter of both alphabets, 64 for others.
var sextets = func() (t [256]uint8) {
	for c := range t {
		t[c] = 64
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = uint8(i)
	}
	t['-'], t['_'] = 62, 63
	return t
}()

// decodeBase64 takes the run, its padding, and the lines that continue it. Names
// in programs are runs too, so nearly all of this is about saying no early.
func decodeBase64(b []byte, start, end int) (Segment, bool) {
	padded := padding(b, end)
	if end-start < leastBase64 && padded == 0 || !mixed(b[start:end]) {
		return Segment{}, false
	}
	if !opens(b[start:]) {
		return Segment{}, false
	}
	plain, ok := piece(b[start:end], padded)
	end += padded
	if ok && padded == 0 {
		plain, end = wrapped(b, start, end, plain)
	}
	return Segment{start, end, plain, Base64}, ok
}

// piece decodes letters that must be text.
func piece(letters []byte, padded int) ([]byte, bool) {
	if len(letters)%4 == 1 || padded > 0 && (len(letters)+padded)%4 != 0 {
		return nil, false
	}
	return text(unpack(letters))
}

func padding(b []byte, at int) int {
	n := 0
	for n < 2 && at+n < len(b) && b[at+n] == '=' {
		n++
	}
	return n
}

// mixed asks for one of the letters that words don't have; without it one in a
// hundred is lost, and ten times as much is tried.
func mixed(b []byte) bool {
	for _, c := range b {
		if c < 'A' || c == '_' {
			return true
		}
	}
	return false
}

// opens looks at the first letters only: they must begin a text, in UTF-8 or
// UTF-16.
func opens(b []byte) bool {
	plain := unpack(b[:8])
	if plain[1] == 0 && plain[3] == 0 && plain[5] == 0 {
		return plausible(plain[0]) && plausible(plain[2])
	}
	for _, c := range plain[:6] {
		if !plausible(c) {
			return false
		}
	}
	return true
}

// unpack gives the bytes of letters of either alphabet.
func unpack(letters []byte) []byte {
	out := make([]byte, 0, len(letters)*3/4+1)
	var bits uint32
	n := 0
	for _, c := range letters {
		bits = bits<<6 | uint32(sextets[c]&63)
		if n += 6; n >= 8 {
			n -= 8
			out = append(out, byte(bits>>n))
		}
	}
	return out
}

// wraps reports whether programs break base64 into lines of so many letters:
// 64 as in PEM, 76 as in mail. Lines of another length are texts of their own.
func wraps(letters int) bool { return letters == 64 || letters == 76 }

// wrapped adds the lines that follow for as long as they are text, each a run
// alone, as long as the first one or the last.
func wrapped(b []byte, start, end int, plain []byte) ([]byte, int) {
	first := end - start
	for wraps(first) && len(plain) < MaxRun {
		from := end
		for from < len(b) && from-end < maxBreak && (b[from] == '\r' || b[from] == '\n' || b[from] == ' ' || b[from] == '\t') {
			from++
		}
		stop := from
		for stop < len(b) && classes[b[stop]] == run && stop-from <= first {
			stop++
		}
		if stop == from || stop-from > first || !broken(b[end:from]) {
			break
		}
		padded := padding(b, stop)
		more, ok := piece(b[from:stop], padded)
		if !ok {
			break
		}
		plain, end = append(plain, more...), stop+padded
		if stop-from < first || padded > 0 {
			break
		}
	}
	return plain, end
}

// maxBreak is how much white space, with the next line's, may be between two lines.
const maxBreak = 256

// broken reports whether white space is the break of exactly one line.
func broken(space []byte) bool {
	lines := 0
	for _, c := range space {
		if c == '\n' {
			lines++
		}
	}
	return lines == 1
}
