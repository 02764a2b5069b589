package scanning

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Fingerprint is a finding's name across scans: the same thing has the same one
// whatever line it stands in, whoever found it and however often. It is made of
// the class and of
//
//   - a vulnerability: the advisory's first alias in order of CVE, GHSA, others;
//     the package (ecosystem and name, no version) and the file that names it
//   - everything else: the rule, the file, and the code around without what
//     changes
//
// The first 32 hex digits of SHA-256 over the length-prefixed parts.
func Fingerprint(f *Finding) string {
	parts := []string{"finding/v1", string(f.Class)}
	if f.Class == ClassVulnerability && f.Package != nil {
		parts = append(parts, canonicalAdvisory(f.Rule, f.Aliases), f.Package.Ecosystem, f.Package.Name, f.place())
	} else {
		parts = append(parts, f.Rule, f.place(), normaliseContext(f.Location.Context))
	}
	return digest(parts)
}

func (f *Finding) place() string {
	return strings.Join(append([]string{f.Location.File, f.Location.URL}, f.Location.Inner...), "\x00")
}

// canonicalAdvisory picks the name that most databases share.
func canonicalAdvisory(rule string, aliases []string) string {
	names := append([]string{rule}, aliases...)
	for _, prefix := range []string{"CVE-", "GHSA-"} {
		best := ""
		for _, n := range names {
			if strings.HasPrefix(n, prefix) && (best == "" || n < best) {
				best = n
			}
		}
		if best != "" {
			return best
		}
	}
	return rule
}

// normaliseContext folds white space, so that re-indenting moves nothing.
func normaliseContext(s string) string { return strings.Join(strings.Fields(s), " ") }

func digest(parts []string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(p))))
		_, _ = h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
