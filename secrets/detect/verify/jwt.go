package verify

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// maxJWT bounds what is decoded: the largest header that servers accept is
// 8 to 16 KiB.
const maxJWT = 64 << 10

// JWT is what a JSON web token says of itself.
type JWT struct {
	Algorithm string
	Type      string
	KeyID     string
	Issuer    string
	Subject   string
	Role      string
	Expires   time.Time // zero: never
	Encrypted bool      // a JWE: five parts, claims unreadable
	Signed    bool      // the signature is there and the algorithm isn't "none"
}

// ParseJWT decodes a compact token's header and claims. It checks no signature:
// the key is somebody else's.
func ParseJWT(token []byte) (JWT, bool) {
	parts := bytes.Split(token, []byte("."))
	if len(token) > maxJWT || len(parts) != 3 && len(parts) != 5 {
		return JWT{}, false
	}
	var header struct{ Alg, Typ, Kid, Enc any }
	if !decodePart(parts[0], &header) {
		return JWT{}, false
	}
	t := JWT{Algorithm: word(header.Alg), Type: word(header.Typ), KeyID: word(header.Kid)}
	if t.Algorithm == "" {
		return JWT{}, false
	}
	if len(parts) == 5 {
		t.Encrypted, t.Signed = true, header.Enc != nil
		return t, header.Enc != nil
	}
	var claims struct{ Iss, Sub, Role, Exp any }
	if !decodePart(parts[1], &claims) {
		return JWT{}, false
	}
	t.Issuer, t.Subject, t.Role = word(claims.Iss), word(claims.Sub), word(claims.Role)
	if exp, ok := claims.Exp.(float64); ok && exp > 0 && exp < 1e11 {
		t.Expires = time.Unix(int64(exp), 0).UTC()
	}
	t.Signed = len(parts[2]) > 0 && !strings.EqualFold(t.Algorithm, "none")
	return t, true
}

// Expired reports whether the token has ended at a moment. One without an end
// never does.
func (t JWT) Expired(at time.Time) bool {
	return !t.Expires.IsZero() && !at.Before(t.Expires)
}

func decodePart(part []byte, into any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(string(part), "="))
	return err == nil && len(raw) > 1 && raw[0] == '{' && json.Unmarshal(raw, into) == nil
}

func word(v any) string {
	s, _ := v.(string)
	return s
}
