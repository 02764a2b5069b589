package grammar

// unescape writes the text that v spells by \x41, \u0041 and &#65; into buf. It
// returns v itself where there is nothing to do, and nil where v spells what no
// secret is written in.
func unescape(v []byte, buf *[maxJoined]byte) []byte {
	n, escaped := 0, 0
	for i := 0; i < len(v) && n < len(buf); n++ {
		c, size := escapeAt(v[i:])
		switch {
		case size < 0:
			return nil
		case size == 0:
			buf[n] = v[i]
			i++
		default:
			buf[n] = c
			i += size
			escaped++
		}
	}
	if escaped == 0 {
		return v
	}
	return buf[:n]
}

// escapeAt reads one escape: the byte and how long it is written, zero for none,
// and a negative size for one beyond ASCII, as emoji and translations have.
func escapeAt(v []byte) (c byte, size int) {
	switch {
	case len(v) >= 4 && v[0] == '\\' && v[1] == 'x' && isHexDigit(v[2]) && isHexDigit(v[3]):
		return byte(hexValue(v[2])<<4 | hexValue(v[3])), 4
	case len(v) >= 6 && v[0] == '\\' && v[1] == 'u' && isHexDigit(v[2]) && isHexDigit(v[3]) && isHexDigit(v[4]) && isHexDigit(v[5]):
		if v[2] != '0' || v[3] != '0' {
			return 0, -1
		}
		return byte(hexValue(v[4])<<4 | hexValue(v[5])), 6
	case len(v) >= 5 && v[0] == '&' && v[1] == '#':
		n, j := 0, 2
		for j < len(v) && j < 6 && isDigit(v[j]) {
			n = n*10 + int(v[j]-'0')
			j++
		}
		if j < len(v) && v[j] == ';' && j > 2 && n < 128 {
			return byte(n), j + 1
		}
	}
	return 0, 0
}
