package audit

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
)

// content is the plaintext of a leaf. Actor and Object are there only where
// the header holds an HMAC of them; a person's name is resolved by the subject
// key itself, so that it never stands under somebody else's key.
type content struct {
	Actor  string          `json:"actor,omitempty"`
	Object string          `json:"object,omitempty"`
	Body   json.RawMessage `json:"body"`
}

// seal turns an entry into a leaf.
func (s *subjects) seal(e *Entry) ([]byte, error) {
	key, err := s.get(owner(e))
	if err != nil {
		return nil, err
	}
	h := Header{
		Type: e.Type, Time: e.Time.UnixMicro(), Action: e.Action, Revision: e.Revision,
		Outcome: e.Outcome, Class: e.Class, Key: key.id, Outbox: e.outbox,
	}
	if h.Actor, err = s.hide(e.Actor, e.Time); err != nil {
		return nil, err
	}
	if h.Object, err = s.hide(e.Object, e.Time); err != nil {
		return nil, err
	}
	if e.Intent != nil {
		h.Intent = formatPosition(*e.Intent)
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	plain, err := e.content(&h)
	if err != nil {
		return nil, err
	}
	if copy(h.Salt[:], e.salt) == 0 {
		_, _ = rand.Read(h.Salt[:]) // never fails since Go 1.24
	}
	h.MAC = key.sum(key.macs, h.Salt[:], plain)
	return key.encrypt(&h, plain)
}

func (e *Entry) content(h *Header) ([]byte, error) {
	c := content{}
	if kindOf(e.Actor) != kindPerson && h.Actor != e.Actor {
		c.Actor = e.Actor
	}
	if kindOf(e.Object) != kindPerson && h.Object != e.Object {
		c.Object = e.Object
	}
	body, ok := e.Body.(json.RawMessage)
	if !ok || !json.Valid(body) {
		var err error
		if body, err = json.Marshal(e.Body); err != nil {
			return nil, core.Wrap(core.KindInvalid, "audit.Append", fmt.Errorf("the body of %s is not JSON: %w", e.Action, err))
		}
	}
	if c.Actor == "" && c.Object == "" { // the common case, without reflection
		plain := make([]byte, 0, len(body)+16)
		return append(append(append(plain, `{"body":`...), body...), '}'), nil
	}
	c.Body = body
	plain, err := json.Marshal(c)
	return plain, core.Wrap(core.KindInvalid, "audit.Append", err)
}

func (k *subject) encrypt(h *Header, plain []byte) ([]byte, error) {
	leaf := appendHeader(make([]byte, 0, 512+len(plain)+k.aead.Overhead()), h)
	leaf = k.aead.Seal(leaf, h.Salt[:k.aead.NonceSize()], plain, leaf)
	if len(leaf) > MaxLeaf {
		return nil, core.E(core.KindTooLarge, "audit.Append", fmt.Sprintf("the leaf of %s has %d bytes, at most %d are allowed", h.Action, len(leaf), MaxLeaf))
	}
	return leaf, nil
}

// open reads a leaf back as far as the keys go.
func (s *subjects) open(at core.Position, leaf []byte) (Record, error) {
	h, sealed, err := ParseLeaf(leaf)
	if err != nil {
		return Record{}, err
	}
	r := Record{Position: at, Header: h, Leaf: leaf, Actor: s.resolve(h.Actor), Object: s.resolve(h.Object)}
	key := s.lookup(h.Key)
	if key == nil {
		return r, nil
	}
	plain, err := key.aead.Open(nil, h.Salt[:key.aead.NonceSize()], sealed, leaf[:len(leaf)-len(sealed)])
	if err != nil {
		return r, core.E(core.KindDamaged, "audit", fmt.Sprintf("the content of %s does not open under its subject key", formatPosition(at)))
	}
	if mac := key.sum(key.macs, h.Salt[:], plain); !hmac.Equal(mac[:], h.MAC[:]) {
		return r, core.E(core.KindDamaged, "audit", fmt.Sprintf("the content of %s is not what its header commits to", formatPosition(at)))
	}
	var c content
	if err := json.Unmarshal(plain, &c); err != nil {
		return r, core.Wrap(core.KindDamaged, "audit", err)
	}
	if c.Actor != "" {
		r.Actor = c.Actor
	}
	if c.Object != "" {
		r.Object = c.Object
	}
	r.Body = c.Body
	return r, nil
}

// resolve turns a person's pseudonym back into the name.
func (s *subjects) resolve(name string) string {
	digits, ok := strings.CutPrefix(name, kindPerson+"/~")
	id, err := hex.DecodeString(digits)
	if !ok || err != nil || len(id) != kidLen {
		return name
	}
	if k := s.lookup([kidLen]byte(id)); k != nil {
		return k.name
	}
	return name
}

// normalise fills in what a caller may leave out.
func (e *Entry) normalise(clock core.Clock) {
	if e.Time.IsZero() {
		e.Time = clock.Now()
	}
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
}
