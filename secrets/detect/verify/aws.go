package verify

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
)

// AWSAccount reads the account number out of an access key id: behind the four
// letters stands base32 whose bits 1 to 40 are the account. Ids from before 2019
// carry none.
func AWSAccount(id []byte) (account string, ok bool) {
	if len(id) != 20 {
		return "", false
	}
	raw, err := base32.StdEncoding.DecodeString(string(id[4:]))
	if err != nil || raw[0]&0x80 == 0 {
		return "", false
	}
	var b [8]byte
	copy(b[2:], raw[:6])
	number := binary.BigEndian.Uint64(b[:]) & 0x7fffffffff80 >> 7
	if number >= 1_000_000_000_000 {
		return "", false
	}
	return fmt.Sprintf("%012d", number), true
}
