package audit

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// MaxLeaf is the size of the largest leaf in bytes: what a C2SP entry bundle
// can hold.
const MaxLeaf = 1<<16 - 1

const (
	maxName = 256 // actor, object, intent
	maxWord = 64  // action, outcome
	saltLen = 16
	macLen  = 32
	kidLen  = 16
)

// Header is the clear part of a leaf. Time is in microseconds since the Unix
// epoch.
type Header struct {
	Type     Type
	Time     int64
	Actor    string
	Action   core.Action
	Object   string
	Revision uint64
	Outcome  string
	Class    Class
	Key      [kidLen]byte
	Intent   string // "origin#index", "" for none
	Outbox   uint64 // number in the outbox, 0 for none
	Salt     [saltLen]byte
	MAC      [macLen]byte
}

// appendHeader appends the line with its newline. There is one encoding of
// each header, and [parseHeader] takes no other.
func appendHeader(b []byte, h *Header) []byte {
	b = append(append(b, `{"v":1,"type":"`...), h.Type...)
	b = strconv.AppendInt(append(b, `","time":`...), h.Time, 10)
	b = append(append(b, `,"actor":"`...), h.Actor...)
	b = append(append(b, `","action":"`...), h.Action...)
	b = append(append(b, `","object":"`...), h.Object...)
	b = strconv.AppendUint(append(b, `","revision":`...), h.Revision, 10)
	b = append(append(b, `,"outcome":"`...), h.Outcome...)
	b = append(append(b, `","class":"`...), h.Class...)
	b = hex.AppendEncode(append(b, `","key":"`...), h.Key[:])
	b = append(append(b, `","intent":"`...), h.Intent...)
	b = strconv.AppendUint(append(b, `","outbox":`...), h.Outbox, 10)
	b = hex.AppendEncode(append(b, `,"salt":"`...), h.Salt[:])
	b = hex.AppendEncode(append(b, `","mac":"`...), h.MAC[:])
	return append(b, '"', '}', '\n')
}

// ParseLeaf splits a leaf into header and ciphertext. It takes exactly the
// bytes that the encoder makes; an error names the offset.
func ParseLeaf(leaf []byte) (Header, []byte, error) {
	if len(leaf) > MaxLeaf {
		return Header{}, nil, core.E(core.KindTooLarge, "audit.ParseLeaf", fmt.Sprintf("leaf has %d bytes, at most %d are allowed", len(leaf), MaxLeaf))
	}
	end := bytes.IndexByte(leaf, '\n')
	if end < 0 {
		return Header{}, nil, core.E(core.KindInvalid, "audit.ParseLeaf", "no header line")
	}
	h, err := parseHeader(leaf[:end+1])
	return h, leaf[end+1:], err
}

func parseHeader(line []byte) (Header, error) {
	var h Header
	c := &cursor{b: line}
	c.lit(`{"v":1,"type":"`)
	h.Type = Type(c.text(maxWord))
	c.lit(`","time":`)
	h.Time = int64(c.number(1<<63 - 1))
	c.lit(`,"actor":"`)
	h.Actor = c.text(maxName)
	c.lit(`","action":"`)
	h.Action = core.Action(c.text(maxWord))
	c.lit(`","object":"`)
	h.Object = c.text(maxName)
	c.lit(`","revision":`)
	h.Revision = c.number(1<<64 - 1)
	c.lit(`,"outcome":"`)
	h.Outcome = c.text(maxWord)
	c.lit(`","class":"`)
	h.Class = Class(c.text(maxWord))
	c.lit(`","key":"`)
	c.hex(h.Key[:])
	c.lit(`","intent":"`)
	h.Intent = c.text(maxName)
	c.lit(`","outbox":`)
	h.Outbox = c.number(1<<64 - 1)
	c.lit(`,"salt":"`)
	c.hex(h.Salt[:])
	c.lit(`","mac":"`)
	c.hex(h.MAC[:])
	c.lit("\"}\n")
	if c.err == nil && c.at != len(line) {
		c.fail("bytes after the header")
	}
	if c.err == nil {
		c.err = h.check()
	}
	return h, c.err
}

// check holds for every header that is written or read.
func (h *Header) check() error {
	switch {
	case !slices.Contains(Types, h.Type):
		return badEntry("type", string(h.Type))
	case !slices.Contains(Classes, h.Class):
		return badEntry("class", string(h.Class))
	case h.Time < 0:
		return badEntry("time", strconv.FormatInt(h.Time, 10))
	case !isName(h.Actor):
		return badEntry("actor", h.Actor)
	case h.Object != "" && !isName(h.Object):
		return badEntry("object", h.Object)
	case !isWord(string(h.Action)):
		return badEntry("action", string(h.Action))
	case h.Outcome != "" && !isWord(h.Outcome):
		return badEntry("outcome", h.Outcome)
	case h.Intent != "" && !isPosition(h.Intent):
		return badEntry("intent", h.Intent)
	}
	return nil
}

func badEntry(field, value string) error {
	return core.E(core.KindInvalid, "audit", fmt.Sprintf("%s %.80q is not allowed", field, value)).
		WithHint("what stands in clear are words of a-z 0-9 . _ : - and names of the form kind/id; everything else belongs into the body")
}

// isWord reports whether s is safe to stand in clear as action or outcome.
func isWord(s string) bool {
	if s == "" || len(s) > maxWord {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("._:-", c) >= 0) {
			return false
		}
	}
	return true
}

// isName reports whether s has the form kind/id, or kind alone.
func isName(s string) bool {
	if len(s) > maxName {
		return false
	}
	kind, id, ok := strings.Cut(s, "/")
	if !isWord(kind) {
		return false
	}
	if !ok {
		return true
	}
	id = strings.TrimPrefix(id, "~")
	for i := range len(id) {
		if c := id[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._:-", c) >= 0) {
			return false
		}
	}
	return id != ""
}

// isPosition reports whether s is origin#index in its one form.
func isPosition(s string) bool {
	_, err := parsePosition(s)
	return err == nil
}

func formatPosition(p core.Position) string {
	return p.Origin + "#" + strconv.FormatUint(p.Index, 10)
}

func parsePosition(s string) (core.Position, error) {
	origin, index, _ := strings.Cut(s, "#")
	n, err := strconv.ParseUint(index, 10, 64)
	if err != nil || checkOrigin(origin) != nil || formatPosition(core.Position{Origin: origin, Index: n}) != s || len(s) > maxName {
		return core.Position{}, core.E(core.KindInvalid, "audit", fmt.Sprintf("%.80q is not an entry's position", s))
	}
	return core.Position{Origin: origin, Index: n}, nil
}

// cursor reads a header left to right; after the first mismatch it stands
// still.
type cursor struct {
	b   []byte
	at  int
	err error
}

func (c *cursor) fail(what string) {
	if c.err == nil {
		c.err = core.E(core.KindInvalid, "audit.ParseLeaf", fmt.Sprintf("%s at offset %d", what, c.at))
	}
}

func (c *cursor) lit(s string) {
	if c.err != nil {
		return
	}
	if !bytes.HasPrefix(c.b[c.at:], []byte(s)) {
		c.fail(fmt.Sprintf("%q does not stand", s))
		return
	}
	c.at += len(s)
}

// text reads up to the next quote. Nothing is ever escaped, because no
// character that would need it is allowed.
func (c *cursor) text(limit int) string {
	if c.err != nil {
		return ""
	}
	n := bytes.IndexByte(c.b[c.at:], '"')
	if n < 0 || n > limit {
		c.fail("text without end or too long")
		return ""
	}
	s := string(c.b[c.at : c.at+n])
	c.at += n
	return s
}

func (c *cursor) number(limit uint64) uint64 {
	if c.err != nil {
		return 0
	}
	end := c.at
	for end < len(c.b) && '0' <= c.b[end] && c.b[end] <= '9' {
		end++
	}
	s := string(c.b[c.at:end])
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > limit || s != strconv.FormatUint(n, 10) {
		c.fail("not a number in its shortest form")
		return 0
	}
	c.at = end
	return n
}

func (c *cursor) hex(dst []byte) {
	if c.err != nil {
		return
	}
	n := hex.EncodedLen(len(dst))
	if len(c.b)-c.at < n {
		c.fail("hex digits missing")
		return
	}
	s := c.b[c.at : c.at+n]
	if _, err := hex.Decode(dst, s); err != nil || !bytes.Equal(hex.AppendEncode(nil, dst), s) {
		c.fail("not lower-case hex")
		return
	}
	c.at += n
}
