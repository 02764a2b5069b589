package verify

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
)

// maxPEM bounds what is taken for one key: an RSA key of 16384 bits in PEM has
// 13 KiB.
const maxPEM = 64 << 10

// ErrEncrypted says that a key can't be read without its password.
var ErrEncrypted = errors.New("the key is encrypted")

// Armor is a PEM block as it stands in a text: perhaps within a string, in
// quotes, indented, behind comment signs.
type Armor struct {
	Type      string
	Headers   string // of the block, as lines
	DER       []byte // of the body; what of it could be decoded
	Encrypted bool
	Truncated bool // no end line, or a body that breaks off
}

// ReadArmor reads a block from its "-----BEGIN" on, up to its end line or as far
// as there is base64. n is its length in text; it is 0 when there is no body.
func ReadArmor(text []byte) (a Armor, n int) {
	if len(text) > maxPEM {
		text = text[:maxPEM]
	}
	head := bytes.Index(text, []byte("-----BEGIN "))
	if head != 0 {
		return a, 0
	}
	label := text[len("-----BEGIN "):]
	stop := bytes.Index(label, []byte("-----"))
	if stop < 0 || stop > 60 {
		return a, 0
	}
	a.Type = string(label[:stop])
	at := len("-----BEGIN ") + stop + 5
	body, last := text[at:], len(text)-at
	if e := bytes.Index(body, []byte("-----")); e >= 0 {
		last, a.Truncated = e, !bytes.HasPrefix(body[e:], []byte("-----END"))
	} else {
		a.Truncated = true
	}
	var base strings.Builder
	n = at + a.lines(body[:last], &base)
	if !a.Truncated {
		n = at + last + endLine(body[last:])
	}
	a.decode(base.String())
	if len(a.DER) == 0 {
		return a, 0
	}
	return a, n
}

func endLine(b []byte) int {
	if i := bytes.Index(b[5:], []byte("-----")); i >= 0 && i < 70 {
		return 5 + i + 5
	}
	return 5
}

// lines collects the base64 of a body that may be escaped, quoted and indented,
// and returns how far it goes.
func (a *Armor) lines(body []byte, base *strings.Builder) int {
	end := 0
	for at := 0; at < len(body); {
		line, next := cutLine(body, at)
		clean := trimLine(line)
		switch {
		case bytes.Contains(line, []byte("..")): // somebody left the rest out
			a.Truncated = true
			return end
		case clean == "":
		case strings.Contains(clean, ": ") || strings.HasSuffix(clean, ":"):
			a.header(clean)
		case strings.HasPrefix(clean, "=") && len(clean) == 5: // the CRC of PGP
		case isBase64(clean):
			base.WriteString(clean)
			end = at + len(line)
		default:
			a.Truncated = true
			return end
		}
		at = next
	}
	return end
}

func (a *Armor) header(line string) {
	a.Headers += line + "\n"
	if strings.Contains(line, "ENCRYPTED") {
		a.Encrypted = true
	}
}

// cutLine takes a line that ends with a line end, or with one in a string's
// escape.
func cutLine(body []byte, at int) (line []byte, next int) {
	rest := body[at:]
	i := bytes.IndexByte(rest, '\n')
	if j := bytes.Index(rest, []byte(`\n`)); j >= 0 && (i < 0 || j < i) {
		for j > 0 && rest[j-1] == '\\' {
			j--
		}
		k := bytes.Index(rest[j:], []byte("n"))
		return rest[:j], at + j + k + 1
	}
	if i < 0 {
		return rest, len(body)
	}
	return rest[:i], at + i + 1
}

// trimLine takes off what a text puts around a line of base64: indentation,
// quotes, comment signs, a diff's plus, a string's concatenation.
func trimLine(line []byte) string {
	s := strings.TrimRight(string(line), " \t\r\\,;&.")
	s = strings.TrimSuffix(s, `\r`)
	if t := strings.TrimRight(s, " \t+"); strings.HasSuffix(t, `"`) || strings.HasSuffix(t, "'") {
		s = strings.TrimSuffix(strings.TrimSuffix(t[:len(t)-1], `\n`), `\r`)
	}
	if t := strings.TrimLeft(s, " \t+"); strings.HasPrefix(t, `"`) || strings.HasPrefix(t, "'") {
		s = t
	}
	s = strings.Trim(s, " \t\"'`")
	s = strings.TrimLeft(s, " \t\"'`#>|*;&.")
	s = strings.TrimPrefix(s, "// ")
	if strings.HasPrefix(s, "+") && len(s)%4 == 1 {
		s = s[1:]
	}
	return unspaced(s)
}

// unspaced joins a key whose line ends became spaces, as shells do.
func unspaced(s string) string {
	words := strings.Fields(s)
	if len(words) < 2 || len(words[0]) < 32 {
		return s
	}
	for _, w := range words {
		if !isBase64(w) {
			return s
		}
	}
	return strings.Join(words, "")
}

func isBase64(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=') {
			return false
		}
	}
	return true
}

func (a *Armor) decode(base string) {
	base = strings.TrimRight(base, "=")
	if len(base)%4 == 1 {
		base = base[:len(base)-1]
		a.Truncated = true
	}
	der, err := base64.RawStdEncoding.DecodeString(base)
	if err != nil {
		a.Truncated = true
		return
	}
	a.DER = der
	if strings.Contains(a.Type, "ENCRYPTED") || openSSHEncrypted(der) {
		a.Encrypted = true
	}
}

var openSSHMagic = []byte("openssh-key-v1\x00")

// leastOpenSSH is shorter than any key in OpenSSH's format with its public half.
const leastOpenSSH = 64

// openSSHEncrypted reads the cipher's name: everything but "none" asks for a
// password.
func openSSHEncrypted(der []byte) bool {
	rest, ok := bytes.CutPrefix(der, openSSHMagic)
	return ok && !bytes.HasPrefix(rest, []byte("\x00\x00\x00\x04none"))
}

// Plausible reports whether the body begins as a key of its type does. A key that
// was cut off still does; text in base64 doesn't.
func (a Armor) Plausible() bool {
	switch {
	case a.Type == "OPENSSH PRIVATE KEY":
		return bytes.HasPrefix(a.DER, openSSHMagic) && len(a.DER) >= leastOpenSSH
	case strings.HasPrefix(a.Type, "PGP"):
		return len(a.DER) > 32 && a.DER[0]&0x80 != 0
	case strings.HasPrefix(a.Type, "SSH2"), strings.HasPrefix(a.Type, "NEBULA"), a.Encrypted && strings.Contains(a.Headers, "DEK-Info"):
		return len(a.DER) >= 32
	}
	return sequence(a.DER)
}

// sequence reports a DER sequence that claims a length a key can have and that
// the body doesn't exceed by much.
func sequence(der []byte) bool {
	if len(der) < 24 || der[0] != 0x30 {
		return false
	}
	size, header := int(der[1]), 2
	switch der[1] {
	case 0x81:
		size, header = int(der[2]), 3
	case 0x82:
		size, header = int(der[2])<<8|int(der[3]), 4
	}
	return size >= 32 && size < 20<<10 && len(der) <= header+size+16
}

// Key parses the block. It fails with ErrEncrypted where a password is needed.
func (a Armor) Key() (crypto.Signer, error) {
	if a.Encrypted {
		return nil, ErrEncrypted
	}
	return ParsePrivateKey(a.Type, a.DER)
}

// ParsePrivateKey parses DER of any of the types that PEM labels name.
func ParsePrivateKey(label string, der []byte) (crypto.Signer, error) {
	if label == "OPENSSH PRIVATE KEY" {
		return parseOpenSSH(der)
	}
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if s, ok := k.(crypto.Signer); ok {
			return s, nil
		}
	}
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k, nil
	}
	if k, err := x509.ParseECPrivateKey(der); err == nil {
		return k, nil
	}
	return nil, errors.New("no private key that can be read")
}

// Matches reports whether a certificate, a public key in PEM, or a line of
// OpenSSH belongs to a private key.
func Matches(key crypto.Signer, public []byte) bool {
	pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return false
	}
	if block, _ := pem.Decode(public); block != nil {
		other := publicOf(block)
		return other != nil && pub.Equal(other)
	}
	line := bytes.Fields(public)
	if len(line) < 2 {
		return false
	}
	blob, err := base64.StdEncoding.DecodeString(string(line[1]))
	return err == nil && bytes.Equal(blob, sshPublic(key.Public()))
}

func publicOf(block *pem.Block) crypto.PublicKey {
	switch block.Type {
	case "CERTIFICATE":
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			return c.PublicKey
		}
	case "RSA PUBLIC KEY":
		if k, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
			return k
		}
	case "PUBLIC KEY":
		if k, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
			return k
		}
	case "CERTIFICATE REQUEST":
		if r, err := x509.ParseCertificateRequest(block.Bytes); err == nil {
			return r.PublicKey
		}
	}
	return nil
}

// sshPublic is a public key in the wire form of RFC 4253.
func sshPublic(pub crypto.PublicKey) []byte {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return join([]byte("ssh-ed25519"), k)
	case *rsa.PublicKey:
		return join([]byte("ssh-rsa"), mpint(big.NewInt(int64(k.E))), mpint(k.N))
	case *ecdsa.PublicKey:
		name := "nistp" + strings.TrimPrefix(k.Curve.Params().Name, "P-")
		point, err := k.Bytes()
		if err != nil {
			return nil
		}
		return join([]byte("ecdsa-sha2-"+name), []byte(name), point)
	}
	return nil
}

func mpint(n *big.Int) []byte {
	b := n.Bytes()
	if len(b) > 0 && b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return b
}

func join(fields ...[]byte) []byte {
	var out []byte
	for _, f := range fields {
		out = append(out, byte(len(f)>>24), byte(len(f)>>16), byte(len(f)>>8), byte(len(f)))
		out = append(out, f...)
	}
	return out
}
