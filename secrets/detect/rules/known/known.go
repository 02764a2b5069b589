// Package known disproves values by what is known of the formats of tokens: a
// checksum that doesn't hold, a documented example, filler behind a provider's
// prefix, a token without a signature. It says nothing of values of no known
// format, so that it can be asked of any, also of what an assignment assigns.
//
// It stands beside the rules, for all who find secrets by where they stand.
package known

import (
	"bytes"

	"github.com/interlock-security/interlock/secrets/detect/rules/internal/look"
	"github.com/interlock-security/interlock/secrets/detect/verify"
)

// sum is a prefix whose tokens carry a checksum, and how long these are.
type sum struct {
	prefix string
	size   int // 0: any
	holds  func([]byte) bool
}

// fails judges as much of a value as a token has: what text was glued to it says
// nothing.
func (s sum) fails(v []byte) bool {
	if s.size == 0 {
		return len(v) > 60 && !s.holds(v)
	}
	return len(v) >= s.size && plain(v[:s.size]) && !s.holds(v[:s.size])
}

// plain reports one word; a token in pieces has quotes between them.
func plain(v []byte) bool {
	for _, c := range v {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if (c < '0' || c > '9') && c != '_' && c != '-' && c != '=' {
				return false
			}
		}
	}
	return true
}

var summed = []sum{
	{"ghp_", 40, verify.TrailingCRC},
	{"gho_", 40, verify.TrailingCRC},
	{"ghu_", 40, verify.TrailingCRC},
	{"ghs_", 40, verify.TrailingCRC},
	{"ghr_", 40, verify.TrailingCRC},
	{"npm_", 40, verify.TrailingCRC},
	{"glsa_", 46, verify.Grafana},
	{"ATATT3", 0, verify.Atlassian},
	{"ATCTT3", 0, verify.Atlassian},
	{"AGE-SECRET-KEY-1", 74, verify.Bech32},
	{"xprv", 111, verify.ExtendedPrivateKey},
	{"tprv", 111, verify.ExtendedPrivateKey},
}

// documented are passwords that everybody knows: a program's own settings show them, or a convention.
var documented = map[string]bool{
	"foobared":             true,
	"SW2YcwTIb9zpOOhoPsMm": true, // Grafana's, in each of its settings
	"infected":             true, // by which everybody locks archives with malware, so that nobody opens them unawares
}

// prefixes are those of tokens whose rest is random.
var prefixes = []string{
	"sk_live_", "sk_test_", "rk_live_", "rk_test_", "pk_live_", "whsec_", "xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xapp-",
	"sk-proj-", "sk-ant-api03-", "sk-ant-", "sk-svcacct-", "sk-", "AIza", "AKIA", "ASIA", "glpat-", "github_pat_", "hf_", "SG.", "key-",
	"dop_v1_", "dckr_pat_", "pypi-AgEIcHlwaS5vcmc", "hvs.", "shpat_", "lin_api_", "ntn_", "r8_", "npm_", "ghp_", "gho_", "glsa_",
	"NRAK-", "PMAK-", "dapi", "tskey-", "rubygems_", "ops_", "AC", "SK",
}

// Disproved reports whether a value can't be a secret although it looks like one.
func Disproved(value []byte) bool {
	v := bytes.Trim(value, " \t\"'`,;")
	if look.Example(v) || documented[string(v)] {
		return true
	}
	for _, s := range summed {
		if bytes.HasPrefix(v, []byte(s.prefix)) && s.fails(v) {
			return true
		}
	}
	if bytes.HasPrefix(v, []byte("ey")) && bytes.Count(v, []byte(".")) == 2 {
		t, ok := verify.ParseJWT(v)
		return ok && (!t.Signed || t.Subject == "1234567890")
	}
	for _, p := range prefixes {
		if rest, ok := bytes.CutPrefix(v, []byte(p)); ok && len(rest) >= 8 && look.Filler(rest) {
			return true
		}
	}
	return counted(v) || sealed(v)
}

// sealed reports what a Sealed Secret of Kubernetes holds: base64 of a length in
// two bytes, a key under RSA, and the ciphertext.
func sealed(v []byte) bool {
	return len(v) >= 80 && v[0] == 'A' && v[1] == 'g' && v[2] >= 'A' && v[2] <= 'D' && len(bytes.Trim(v, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/=")) == 0
}

// counted reports hex or base64 that counts up: 0123456789abcdef and its like.
func counted(v []byte) bool {
	if len(v) < 16 || len(bytes.Trim(v, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/=_-")) > 0 {
		return false
	}
	return look.Sequence(v)
}
