package keys_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/rules/keys"
)

const dashes = "-----"

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func private(t *testing.T) (rsaKey *rsa.PrivateKey, ec *ecdsa.PrivateKey, ed ed25519.PrivateKey) {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err = ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return rsaKey, ec, ed
}

func pkcs8(t *testing.T, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

type find struct {
	rule, secret string
	verdict      detect.Verdict
}

func scan(text string) []find {
	low := strings.Map(func(r rune) rune { // of ASCII alone: offsets stay
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	text = strings.ToValidUTF8(text, "?")
	var finds []find
	for _, g := range keys.Grammars() {
		for _, k := range g.Keywords() {
			for at := 0; ; {
				i := strings.Index(low[at:], k)
				if i < 0 {
					break
				}
				g.At(detect.Text{Body: []byte(text)}, at+i, len(k), func(h detect.Hit) {
					finds = append(finds, find{h.Rule, text[h.Start:h.End], h.Verdict})
				})
				at += i + 1
			}
		}
	}
	return finds
}

func TestPrivateKeysInPEM(t *testing.T) {
	r, ec, ed := private(t)
	ecDER, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.MarshalPKIXPublicKey(ed.Public())
	if err != nil {
		t.Fatal(err)
	}
	rsaPEM := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r))
	lines := strings.Split(strings.TrimSpace(rsaPEM), "\n")
	noise := make([]byte, 300)
	_, _ = rand.Read(noise)
	noise[0] = 0x99
	for name, c := range map[string]struct {
		text    string
		rule    string
		verdict detect.Verdict
	}{
		"PKCS #1":              {rsaPEM, "private-key", detect.Valid},
		"PKCS #8":              {block("PRIVATE KEY", pkcs8(t, ed)), "private-key", detect.Valid},
		"EC":                   {block("EC PRIVATE KEY", ecDER), "private-key", detect.Valid},
		"in JSON":              {`{"private_key": "` + strings.ReplaceAll(rsaPEM, "\n", `\n`) + `"}`, "private-key", detect.Valid},
		"escaped twice":        {`"` + strings.ReplaceAll(rsaPEM, "\n", `\\n`) + `"`, "private-key", detect.Valid},
		"indented":             {"key: |\n  " + strings.ReplaceAll(rsaPEM, "\n", "\n  "), "private-key", detect.Valid},
		"with CR LF":           {strings.ReplaceAll(rsaPEM, "\n", "\r\n"), "private-key", detect.Valid},
		"concatenated":         {`k = "` + strings.Join(lines, "\\n\" +\n    \"") + `"`, "private-key", detect.Valid},
		"concatenated before":  {`k = "` + strings.Join(lines, "\\n\"\n    + \"") + `"`, "private-key", detect.Valid},
		"in a comment":         {"# " + strings.Join(lines, "\n# "), "private-key", detect.Valid},
		"in a diff":            {"+" + strings.Join(lines, "\n+"), "private-key", detect.Valid},
		"with spaces":          {strings.Join(lines, " "), "private-key", detect.Valid},
		"cut off":              {strings.Join(lines[:8], "\n"), "private-key", detect.Unknown},
		"encrypted, PKCS #8":   {block("ENCRYPTED PRIVATE KEY", pkcs8(t, ed)), "encrypted-private-key", detect.Unknown},
		"encrypted, headers":   {strings.Replace(rsaPEM, "\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", 1), "encrypted-private-key", detect.Unknown},
		"OpenSSH":              {block("OPENSSH PRIVATE KEY", openSSH("none", ed)), "private-key", detect.Valid},
		"OpenSSH, encrypted":   {block("OPENSSH PRIVATE KEY", openSSH("aes256-ctr", ed)), "encrypted-private-key", detect.Unknown},
		"PGP":                  {dashes + "BEGIN PGP PRIVATE KEY BLOCK" + dashes + "\nVersion: x\n\n" + base64.StdEncoding.EncodeToString(noise) + "\n=abcd\n" + dashes + "END PGP PRIVATE KEY BLOCK" + dashes, "private-key", detect.Unknown},
		"OpenVPN":              {dashes + "BEGIN OpenVPN Static key V1" + dashes + "\n" + strings.Repeat(hex.EncodeToString(noise[:16])+"\n", 16) + dashes + "END OpenVPN Static key V1" + dashes, "openvpn-static-key", detect.Unknown},
		"a public key":         {block("PUBLIC KEY", pub), "", 0},
		"a certificate":        {block("CERTIFICATE", noise), "", 0},
		"no key under it":      {block("RSA PRIVATE KEY", noise), "", 0},
		"only the first line":  {lines[0] + "\n" + lines[1] + "\n...\n" + lines[len(lines)-1], "", 0},
		"OpenSSH's first word": {block("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00")), "", 0},
		"only the words":       {"looks for " + lines[0] + " in files", "", 0},
		"a placeholder":        {lines[0] + "\n<your key here>\n" + lines[len(lines)-1], "", 0},
		"a test's label":       {strings.ReplaceAll(rsaPEM, "PRIVATE", "TESTING"), "", 0},
	} {
		got := scan(c.text)
		if c.rule == "" {
			if len(got) > 0 {
				t.Errorf("%s: found %s", name, got[0].rule)
			}
			continue
		}
		if len(got) != 1 || got[0].rule != c.rule || got[0].verdict != c.verdict {
			t.Errorf("%s: found %.200v, want %s %v", name, got, c.rule, c.verdict)
		}
	}
}

// openSSH is openssh-key-v1 of an Ed25519 key.
func openSSH(cipher string, key ed25519.PrivateKey) []byte {
	field := func(b []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...) }
	pub := append(field([]byte("ssh-ed25519")), field(key.Public().(ed25519.PublicKey))...)
	inner := append([]byte("\x01\x02\x03\x04\x01\x02\x03\x04"), pub...)
	inner = append(append(inner, field(key)...), field([]byte("c"))...)
	out := append([]byte("openssh-key-v1\x00"), field([]byte(cipher))...)
	out = append(append(out, field([]byte("none"))...), field(nil)...)
	out = append(binary.BigEndian.AppendUint32(out, 1), field(pub)...)
	return append(out, field(inner)...)
}

func TestOtherKeys(t *testing.T) {
	noise := make([]byte, 600)
	_, _ = rand.Read(noise)
	ppk := func(encryption string) string {
		var b strings.Builder
		body := base64.StdEncoding.EncodeToString(noise)
		fmt.Fprintf(&b, "PuTTY-User-Key-File-3: ssh-rsa\nEncryption: %s\nComment: c\nPublic-Lines: 1\nAAAA\nPrivate-Lines: %d\n", encryption, (len(body)+63)/64)
		for len(body) > 0 {
			n := min(64, len(body))
			b.WriteString(body[:n] + "\n")
			body = body[n:]
		}
		return b.String() + "Private-MAC: 00\n"
	}
	signing := func(size int, head string) string {
		b := make([]byte, size)
		copy(b, noise)
		copy(b, head)
		return "untrusted comment: a key\n" + base64.StdEncoding.EncodeToString(b) + "\n"
	}
	sshCom := func(cipher string) string {
		b := binary.BigEndian.AppendUint32(nil, 0x3f6ff9eb)
		b = append(b, "\x00\x00\x00\x64\x00\x00\x00\x03rsa\x00\x00\x00"+string(rune(len(cipher)))+cipher...)
		return "-" + "--- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: \"a \\\nb\"\n" + base64.StdEncoding.EncodeToString(append(b, noise...)) + "\n---- END SSH2 ENCRYPTED PRIVATE KEY ----\n"
	}
	d := base64.RawURLEncoding.EncodeToString(noise[:32])
	for name, c := range map[string]struct{ text, rule string }{
		"PuTTY":               {ppk("none"), "putty-private-key"},
		"PuTTY, encrypted":    {ppk("aes256-cbc"), "encrypted-putty-private-key"},
		"PuTTY, public":       {"PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\nPublic-Lines: 1\nAAAA\n", ""},
		"ssh.com":             {sshCom("none"), "ssh-com-private-key"},
		"ssh.com, encrypted":  {sshCom("3des-cbc"), "encrypted-ssh-com-private-key"},
		"ssh.com, public":     {"-" + "--- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----", ""},
		"JWK":                 {`{"kty":"EC","crv":"P-256","x":"` + d + `","d":"` + d + `"}`, "jwk-private-key"},
		"JWK, escaped":        {`"{\"kty\": \"OKP\", \"d\": \"` + d + `\"}"`, "jwk-private-key"},
		"JWK, symmetric":      {`{"keys":[{"k":"` + d + `","kty":"oct"}]}`, "jwk-private-key"},
		"JWK, public":         {`{"kty":"EC","crv":"P-256","x":"` + d + `"}`, ""},
		"JWK, of an RFC":      {`{"kty":"OKP","d":"nWGxne` + `_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`, ""},
		"minisign":            {signing(158, "Ed\x00\x00B2"), "minisign-secret-key"},
		"minisign, encrypted": {signing(158, "EdScB2"), "encrypted-minisign-secret-key"},
		"signify":             {signing(104, "EdBK\x00\x00\x00\x00"), "minisign-secret-key"},
		"minisign, public":    {signing(42, "Ed"), ""},
		"signature":           {signing(74, "Ed"), ""},
	} {
		got := scan(c.text)
		if c.rule == "" && len(got) > 0 || c.rule != "" && (len(got) != 1 || got[0].rule != c.rule) {
			t.Errorf("%s: found %.200v, want %q in\n%s", name, got, c.rule, c.text)
		}
	}
}

// FuzzKeys gives the readers any bytes: a hit lies within them.
func FuzzKeys(f *testing.F) {
	f.Add(dashes + "BEGIN PRIVATE KEY" + dashes + "\nMC4=\n" + dashes + "END PRIVATE KEY" + dashes)
	f.Add("PuTTY-User-Key-File-2: x\nPrivate-Lines: 3\nAAAA\n")
	f.Add(`{"kty":"RSA","d":"` + strconv.Itoa(1) + `"}`)
	f.Add("untrusted comment: a\nRWQ=\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, got := range scan(text) {
			if got.secret == "" {
				t.Fatal("an empty secret")
			}
		}
	})
}
