package extract

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// lengths of digests in bytes.
var lengths = map[string]int{"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}

// SRI reads a subresource integrity value: "sha512-BASE64 sha1-BASE64". What is
// none is left out.
func SRI(integrity string) map[string]string {
	var all map[string]string
	for _, one := range strings.Fields(integrity) {
		algorithm, b64, ok := strings.Cut(one, "-")
		raw, err := base64.StdEncoding.DecodeString(strings.SplitN(b64, "?", 2)[0])
		if !ok || err != nil || len(raw) != lengths[algorithm] || len(raw) == 0 {
			continue
		}
		if all == nil {
			all = map[string]string{}
		}
		all[algorithm] = hex.EncodeToString(raw)
	}
	return all
}

// Hex reads one digest in hex, nil where it is none.
func Hex(algorithm, digest string) map[string]string {
	raw, err := hex.DecodeString(digest)
	if err != nil || len(raw) != lengths[algorithm] || len(raw) == 0 {
		return nil
	}
	return map[string]string{algorithm: strings.ToLower(digest)}
}
