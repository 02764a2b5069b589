package rules

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/rules/internal/look"
	"github.com/interlock-security/interlock/secrets/detect/verify"
)

// networks are keys of overlays and tunnels.
func networks() []detect.Rule {
	all := ofKind(detect.KindKey,
		checked(raw("wireguard-private-key", "WireGuard private key", critical, `(?i:private[_\-]?key)`+between+`([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)(?:[^A-Za-z0-9+/=]|\z)`, "privatekey", "private_key", "private-key"), key32),
		checked(raw("wireguard-preshared-key", "WireGuard preshared key", high, `(?i:pre_?shared[_\-]?key)`+between+`([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)(?:[^A-Za-z0-9+/=]|\z)`, "presharedkey", "preshared_key", "preshared-key", "pre_shared_key"), key32),
		raw("zerotier-identity-secret", "ZeroTier identity secret", critical, `\b[a-f0-9]{10}:0:[a-f0-9]{128}:([a-f0-9]{128})\b`, ":0:"),
	)
	return append(all,
		token("tailscale-key", "Tailscale key", critical, `tskey-(?:auth|api|client|scim|webhook)-[A-Za-z0-9]{8,24}(?:CNTRL)?-[A-Za-z0-9]{16,48}`, "tskey-"),
		token("tailscale-key-legacy", "Tailscale key, legacy", critical, `tskey-[A-Za-z0-9]{12}-[A-Za-z0-9]{22}`, "tskey-"),
		raw("ngrok-authtoken", "ngrok authtoken", high, `(?i:ngrok|authtoken)[^\n]{0,40}?[^\w]([12][A-Za-z0-9]{26}_[A-Za-z0-9]{21,22})`+end, "ngrok", "authtoken"),
		checked(raw("cloudflare-tunnel-token", "Cloudflare tunnel token", critical, `\b(eyJhIjoi[A-Za-z0-9+/]{100,400}={0,2})`, "eyjhijoi"), tunnelToken),
	)
}

// key32 asks for 32 bytes of base64 that nobody typed.
func key32(secret []byte) detect.Verdict {
	b, err := base64.StdEncoding.DecodeString(string(secret))
	if err != nil || len(b) != 32 || look.Filler(b) {
		return detect.Invalid
	}
	return mixed(secret)
}

func tunnelToken(token []byte) detect.Verdict {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(string(token), "="))
	if err != nil || !bytes.Contains(b, []byte(`"s":`)) || !bytes.Contains(b, []byte(`"t":`)) {
		return detect.Invalid
	}
	return detect.Valid
}

// currency are the keys of whoever holds them.
func currency() []detect.Rule {
	return ofKind(detect.KindPrivateKey,
		checked(raw("bitcoin-wif", "Bitcoin private key", critical, `(?i:wif|priv|bitcoin|btc|wallet)[^\n]{0,40}?[^\w]([5KL9c][1-9A-HJ-NP-Za-km-z]{50,51})(?:[^\w]|\z)`, "wif", "priv", "bitcoin", "btc", "wallet"), proven(verify.BitcoinWIF)),
		checked(raw("bip32-private-key", "extended private key of a wallet", critical, `\b([xyztuv]prv[1-9A-HJ-NP-Za-km-z]{107,108})\b`, "xprv", "yprv", "zprv", "tprv", "uprv", "vprv"), proven(verify.ExtendedPrivateKey)),
		checked(raw("ethereum-private-key", "Ethereum private key", critical,
			`(?:^|[^:\w])[\w.\-]{0,40}?(?i:(?:eth_|ethereum|wallet|deployer|signer|relayer)[\w\-]{0,20}(?:key|pk|secret)|private_key|privatekey|private-key|priv_key|privkey|priv-key)`+between+`((?:0x)?[a-fA-F0-9]{64})(?:[^\w]|\z)`,
			"private_key", "privatekey", "private-key", "priv_key", "privkey", "priv-key", "deployer", "wallet", "signer", "eth_", "ethereum", "relayer"), curveKey),
		checked(raw("ethereum-account-key", "Ethereum private key in a list of accounts", critical,
			`(?i:\baccounts)["']?[ \t]*[:=][ \t]*\[\s{0,40}["'`+"`"+`]((?:0x)?[a-fA-F0-9]{64})["'`+"`"+`]`, "accounts"), curveKey),
		checked(raw("wallet-mnemonic", "recovery phrase of a wallet", critical,
			`(?i:mnemonic|seed[_ \-]?phrase|recovery[_ \-]?phrase|secret[_ \-]?phrase)[\w]{0,10}`+between+`((?:[a-z]{3,8} ){11,23}[a-z]{3,8})(?:["'\x60\r\n,;)]|\z)`, "mnemonic", "phrase"), phrase),
	)
}

// developers' chains hand out these keys: everybody has them.
var devKeys = [][]byte{
	[]byte("ac0974bec39a17e3"), []byte("59c6995e998f97a5"), []byte("5de4111afa1a4b94"), []byte("7c852118294e51e6"),
	[]byte("4f3edf983ac636a6"), []byte("6cbed15c793ce576"), []byte("8b3a350cf5c34c91"), []byte("47e179ec19748859"),
}

func curveKey(key []byte) detect.Verdict {
	key = bytes.TrimPrefix(bytes.ToLower(key), []byte("0x"))
	for _, known := range devKeys {
		if bytes.HasPrefix(key, known) {
			return detect.Invalid
		}
	}
	if bytes.HasPrefix(key, []byte("000000")) || bytes.HasPrefix(key, []byte("ffffffff")) {
		return detect.Invalid
	}
	return genuine(key)
}

// phrase asks for different words.
func phrase(words []byte) detect.Verdict {
	seen := map[string]bool{}
	all := strings.Fields(string(words))
	for _, w := range all {
		seen[w] = true
	}
	if len(all)%3 != 0 || len(seen)*4 < len(all)*3 {
		return detect.Invalid
	}
	for _, w := range []string{"the", "and", "for", "with", "that", "from", "this", "are"} {
		if seen[w] {
			return detect.Invalid
		}
	}
	return detect.Unknown
}
