package grammar

import (
	"bytes"
	"hash/crc32"
)

// missummed reports whether v is of a format with a checksum that doesn't hold:
// a look-alike, however random.
func missummed(v []byte) bool {
	if bytes.HasPrefix(v, []byte("github_pat_")) {
		return len(v) < 93
	}
	if len(v) != 40 || !bytes.HasPrefix(v, []byte("npm_")) && !(v[0] == 'g' && v[1] == 'h' && v[3] == '_' && bytes.IndexByte([]byte("pousr"), v[2]) >= 0) {
		return false
	}
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	body := [30]byte(v[4:34]) // the checksum lets its argument escape; v stays where it is
	sum := crc32.ChecksumIEEE(body[:])
	for i := 39; i >= 34; i-- {
		if v[i] != digits[sum%62] {
			return true
		}
		sum /= 62
	}
	return false
}
