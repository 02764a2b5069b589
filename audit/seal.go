package audit

import (
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

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

// pending is an entry on its way to disk. What can fail or block is done in the
// caller's goroutine; the bytes are made by the one that writes, in order,
// which costs less than switching between many.
type pending struct {
	h     Header // without salt and mac
	plain []byte
	key   *subject
	salt  []byte // nil: a fresh one
	vital bool
	size  int // of the leaf
	at    int // where it stands in its frame

	leaf   []byte
	hash   tlog.Hash // of the leaf
	result Result
	err    error
}

// headerFixed is how long a header is without its texts and numbers.
var headerFixed = len(appendHeader(nil, &Header{})) - 3

// headerLen is the length of what appendHeader writes.
func headerLen(h *Header) int {
	return headerFixed + len(h.Type) + len(h.Actor) + len(h.Action) + len(h.Object) + len(h.Outcome) + len(h.Class) + len(h.Intent) +
		digits(uint64(h.Time)) + digits(h.Revision) + digits(h.Outbox)
}

func digits(n uint64) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}

// prepare resolves names and keys, which may have to be made durable first, and
// checks everything that the log would refuse.
func (s *subjects) prepare(e *Entry, p *pending) (err error) {
	if p.key, err = s.get(owner(e)); err != nil {
		return err
	}
	p.h = Header{
		Type: e.Type, Time: e.Time.UnixMicro(), Action: e.Action, Revision: e.Revision,
		Outcome: e.Outcome, Class: e.Class, Key: p.key.id, Outbox: e.outbox,
	}
	if p.h.Actor, err = s.hide(e.Actor, e.Time); err != nil {
		return err
	}
	if p.h.Object, err = s.hide(e.Object, e.Time); err != nil {
		return err
	}
	if e.Intent != nil {
		p.h.Intent = formatPosition(*e.Intent)
	}
	if err := p.h.check(); err != nil {
		return err
	}
	if p.plain, err = e.content(&p.h); err != nil {
		return err
	}
	p.salt, p.vital = e.salt, e.Vital != ""
	p.size = headerLen(&p.h) + len(p.plain) + p.key.aead.Overhead()
	if p.size > MaxLeaf {
		return core.E(core.KindTooLarge, "audit.Append", fmt.Sprintf("the leaf of %s has %d bytes, at most %d are allowed", e.Action, p.size, MaxLeaf))
	}
	return nil
}

// appendLeaf seals the entry into b, which has room for it, under the salt.
func (p *pending) appendLeaf(b, salt []byte) {
	if p.salt != nil {
		salt = p.salt
	}
	copy(p.h.Salt[:], salt)
	p.h.MAC = p.key.sum(p.key.macs, p.h.Salt[:], p.plain)
	start := len(b)
	b = appendHeader(b, &p.h)
	b = p.key.aead.Seal(b, p.h.Salt[:p.key.aead.NonceSize()], p.plain, b[start:])
	p.leaf = b[start:len(b):len(b)]
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
