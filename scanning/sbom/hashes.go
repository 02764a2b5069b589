package sbom

import (
	"encoding/hex"
	"maps"
	"slices"
	"strings"
)

// algorithms are the hashes that both formats and we have names for, with the
// bytes that each has.
var algorithms = []struct {
	ours, cyclonedx, spdx string
	size                  int
}{
	{"md5", "MD5", "MD5", 16},
	{"sha1", "SHA-1", "SHA1", 20},
	{"sha256", "SHA-256", "SHA256", 32},
	{"sha384", "SHA-384", "SHA384", 48},
	{"sha512", "SHA-512", "SHA512", 64},
	{"sha3-256", "SHA3-256", "SHA3-256", 32},
	{"sha3-384", "SHA3-384", "SHA3-384", 48},
	{"sha3-512", "SHA3-512", "SHA3-512", 64},
	{"blake2b-256", "BLAKE2b-256", "BLAKE2b-256", 32},
	{"blake2b-384", "BLAKE2b-384", "BLAKE2b-384", 48},
	{"blake2b-512", "BLAKE2b-512", "BLAKE2b-512", 64},
}

type sum struct{ algorithm, value string }

// sums returns the hashes in order, in the words of one of the formats; what is
// no hash of its algorithm is left out, since both formats demand that it is.
func sums(hashes map[string]string, spdx bool) []sum {
	var out []sum
	for _, ours := range slices.Sorted(maps.Keys(hashes)) {
		for _, a := range algorithms {
			value := strings.ToLower(hashes[ours])
			if a.ours != ours || !isHash(value, a.size) {
				continue
			}
			name := a.cyclonedx
			if spdx {
				name = a.spdx
			}
			out = append(out, sum{name, value})
		}
	}
	return out
}

func isHash(s string, size int) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == size
}

// addHash takes a hash in a format's words; unknown algorithms are passed over.
func addHash(hashes *map[string]string, algorithm, value string) {
	for _, a := range algorithms {
		value = strings.ToLower(value)
		if (strings.EqualFold(a.cyclonedx, algorithm) || strings.EqualFold(a.spdx, algorithm)) && isHash(value, a.size) {
			if *hashes == nil {
				*hashes = map[string]string{}
			}
			(*hashes)[a.ours] = value
		}
	}
}

// digest splits "sha256:hex".
func digest(s string) map[string]string {
	alg, value, ok := strings.Cut(s, ":")
	if !ok {
		return nil
	}
	return map[string]string{alg: value}
}

func firstDigest(hashes map[string]string) string {
	for _, alg := range []string{"sha512", "sha384", "sha256"} {
		if v := hashes[alg]; v != "" {
			return alg + ":" + v
		}
	}
	return ""
}
