package correlate

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
)

// bodyVersion is the first byte of a body.
const bodyVersion = 1

// maxBody bounds a body before it is read.
const maxBody = 64 << 20

// Changes hands out every group that changed since the last call: put gets its
// whole content and the time, in microseconds since the epoch, at which
// [State.Advance] will look at it; drop gets those that are gone. Where either
// fails, or the transaction around them, the state no longer agrees with what
// is stored: make a new one and restore it.
func (s *State) Changes(put func(k Key, body []byte, due int64) error, drop func(Key) error) error {
	for _, g := range s.dropped {
		if s.groups[g.key] != nil {
			continue // it is back, and changed
		}
		if err := drop(s.keyOf(g)); err != nil {
			return err
		}
	}
	s.dropped = s.dropped[:0]
	for _, g := range s.dirty {
		g.dirty = 0
		if err := put(s.keyOf(g), s.encode(g), g.plan.due(g)); err != nil {
			return err
		}
		g.stored = true
	}
	clear(s.dirty[:cap(s.dirty)])
	s.dirty = s.dirty[:0]
	return nil
}

// encode writes a group: what is the same in many entries once, times as
// distances.
func (s *State) encode(g *group) []byte {
	b := make([]byte, 0, 64+len(g.es)*32)
	b = append(b, bodyVersion)
	b = append(b, g.episode[:]...)
	b = binary.AppendUvarint(b, g.lost)
	ids, numberOf := g.texts()
	b = binary.AppendUvarint(b, uint64(len(ids)))
	for _, id := range ids {
		b = binary.AppendUvarint(b, uint64(len(s.texts.get(id))))
		b = append(b, s.texts.get(id)...)
	}
	b = binary.AppendUvarint(b, uint64(len(g.es)))
	at := int64(0)
	for i := range g.es {
		b = g.es[i].encode(b, at, g.plan.corr.Kind, numberOf)
		at = g.es[i].at
	}
	return b
}

// texts numbers what the entries name, from 1 on in the order of mention.
func (g *group) texts() (ids []uint32, numberOf map[uint32]uint64) {
	numberOf = map[uint32]uint64{0: 0}
	note := func(id uint32) {
		if _, ok := numberOf[id]; !ok {
			ids = append(ids, id)
			numberOf[id] = uint64(len(ids))
		}
	}
	for i := range g.es {
		note(g.es[i].source)
		note(g.es[i].attempt)
		if g.plan.corr.Kind == sigma.ValueCount {
			note(uint32(g.es[i].val))
		}
	}
	return ids, numberOf
}

func (e *entry) encode(b []byte, at int64, kind sigma.Kind, numberOf map[uint32]uint64) []byte {
	b = append(b, e.id[:]...)
	b = append(b, e.flags, e.prov)
	b = binary.AppendUvarint(b, uint64(e.ref))
	b = binary.AppendVarint(b, e.at-at)
	b = binary.AppendVarint(b, e.until-e.at)
	b = binary.AppendUvarint(b, numberOf[e.source])
	b = binary.AppendUvarint(b, numberOf[e.attempt])
	switch {
	case kind == sigma.ValueCount:
		b = binary.AppendUvarint(b, numberOf[uint32(e.val)])
	case e.has(flagValue):
		b = binary.LittleEndian.AppendUint64(b, e.val)
	}
	return b
}

// Restore puts a group back. Give every group that was put and not dropped, in
// any order, and the last watermark to [State.Resume]: the state goes on as if
// it had never been away. An error of kind [core.KindNotFound] says
// that no correlation has such groups any more, one of [core.KindDamaged] that
// key or body are not what was put; both leave the state as it was.
func (s *State) Restore(k Key, body []byte) error {
	i := slices.IndexFunc(s.plans, func(p *plan) bool { return p.shape == k.Rule })
	if i < 0 {
		return core.E(core.KindNotFound, "correlate.Restore", fmt.Sprintf("no correlation has windows of the shape %.80q", k.Rule))
	}
	p := s.plans[i]
	key, ok := p.keyFrom(k)
	if !ok || s.groups[key] != nil {
		return core.E(core.KindDamaged, "correlate.Restore", fmt.Sprintf("the group %.200q of %q can't be, or is there already", k.Group, p.corr.Rule.ID))
	}
	d := decoder{b: body}
	es, texts := d.group(p)
	if d.bad || len(d.b) > 0 || len(es) == 0 || len(body) > maxBody {
		return core.E(core.KindDamaged, "correlate.Restore", fmt.Sprintf("the body of the group %.200q of %q is damaged", k.Group, p.corr.Rule.ID))
	}
	g := s.newGroup(p, key)
	g.lost, g.episode, g.stored = d.lost, d.episode, true
	for _, e := range es {
		e.source, e.attempt = s.texts.keep(texts[e.source]), s.texts.keep(texts[e.attempt])
		if p.corr.Kind == sigma.ValueCount {
			e.val = uint64(s.texts.keep(texts[e.val]))
		}
		g.insert(e)
	}
	s.settle(g)
	s.dirty, g.dirty = s.dirty[:len(s.dirty)-1], 0
	return nil
}

// keyFrom reads a key that keyOf wrote.
func (p *plan) keyFrom(k Key) (string, bool) {
	var parts []*string
	if json.Unmarshal([]byte(k.Group), &parts) != nil || len(parts) != len(p.corr.GroupBy) {
		return "", false
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(p.index))
	b = binary.AppendUvarint(b, uint64(len(k.Scope)))
	b = append(b, k.Scope...)
	for _, part := range parts {
		if part == nil {
			b = append(b, 0)
			continue
		}
		b = appendText(append(b, 1), *part)
	}
	return string(b), true
}

// decoder reads a body. After something bad it yields zeros.
type decoder struct {
	b       []byte
	bad     bool
	lost    uint64
	episode core.UUID
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uvarint(below uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if d.bad || n <= 0 || v >= below {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if d.bad || n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) group(p *plan) ([]entry, []string) {
	if d.byte() != bodyVersion {
		d.bad = true
	}
	copy(d.episode[:], d.take(uint64(len(d.episode))))
	d.lost = d.uvarint(math.MaxUint64)
	texts := make([]string, 1)
	for range d.uvarint(uint64(len(d.b)) + 1) {
		if texts = append(texts, string(d.take(d.uvarint(math.MaxInt32)))); d.bad {
			return nil, nil
		}
	}
	var es []entry
	at := int64(0)
	for range d.uvarint(uint64(len(d.b)) + 1) {
		e := d.entry(p, at, uint64(len(texts)))
		if d.bad || len(es) > 0 && es[len(es)-1].before(&e) >= 0 {
			d.bad = true
			return nil, nil
		}
		es = append(es, e)
		at = e.at
	}
	return es, texts
}

// maxAt is how far from the epoch a time can lie, in microseconds, so that sums
// of times stay what they are.
const maxAt = math.MaxInt64 / 4

func (d *decoder) entry(p *plan, at int64, texts uint64) entry {
	var e entry
	copy(e.id[:], d.take(uint64(len(e.id))))
	e.flags, e.prov = d.byte(), d.byte()
	e.ref = uint16(d.uvarint(uint64(len(p.corr.Refs))))
	far, stay := d.varint(), d.varint()
	if far > maxAt || far < -maxAt || stay > maxAt || stay < 0 {
		d.bad = true
		return e
	}
	e.at = at + far
	e.until = e.at + stay
	e.source, e.attempt = uint32(d.uvarint(texts)), uint32(d.uvarint(texts))
	switch {
	case p.corr.Kind == sigma.ValueCount:
		e.val = d.uvarint(texts)
		d.bad = d.bad || e.has(flagValue) != (e.val > 0)
	case e.has(flagValue):
		if b := d.take(8); b != nil {
			e.val = binary.LittleEndian.Uint64(b)
		}
	}
	v := math.Float64frombits(e.val)
	numeric := p.corr.Kind.Numeric()
	if e.flags&^flagAll != 0 || int(e.prov) >= len(core.Provenances) || e.at > maxAt || e.at < -maxAt ||
		numeric && (!e.has(flagValue) || math.IsNaN(v) || math.IsInf(v, 0)) || !numeric && p.corr.Kind != sigma.ValueCount && e.has(flagValue) {
		d.bad = true
	}
	return e
}
