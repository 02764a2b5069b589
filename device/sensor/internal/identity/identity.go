// Package identity writes what makes a part this one and no other, so that two
// drivers that see the same part in the same way write the same.
package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/device/sensor"
)

// room is what is left of an identity that is too long: its hash follows.
const room = 180

// Of joins keys and values, "serial=4711". Values that are not there are left
// out. A value with a space or a quote is quoted, so that no value can look like
// another key. What is too long for an event ends in a hash of all of it: a part
// can't hide its difference behind a long name.
func Of(pairs ...string) string {
	var words []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if v := pairs[i+1]; v != "" {
			words = append(words, pairs[i]+"="+quoted(v))
		}
	}
	all := strings.Join(words, " ")
	if len(all) <= sensor.MaxText {
		return all
	}
	sum := sha256.Sum256([]byte(all))
	return strings.ToValidUTF8(all[:room], "") + "... sha256=" + hex.EncodeToString(sum[:16])
}

// quoted keeps plain values as they are. Quoting also makes control characters
// and what is no UTF-8 visible, each differently.
func quoted(v string) string {
	plain := strings.IndexFunc(v, func(r rune) bool { return r <= ' ' || r == '"' || r == '=' || r == '\\' || r >= 0x7f }) < 0
	if plain {
		return v
	}
	return strconv.QuoteToASCII(v)
}
