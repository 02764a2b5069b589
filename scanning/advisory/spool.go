package advisory

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// The sections of a database.
const (
	partText     = "text"     // advisories whole, in compressed blocks
	partBlocks   = "blocks"   // where the blocks are, and their checksums
	partRecords  = "records"  // what a finding needs, by id
	partRecordAt = "recordat" // their offsets
	partNames    = "names"    // aliases
	partNameAt   = "nameat"
	partPackages = "packages" // affected versions, by key
	partPackAt   = "packat"
)

const (
	blockSize  = 128 << 10
	blockEntry = 8 + 4 + 4 + 16 // offset, length, raw length, half a SHA-256
)

// textPlace is where an advisory stands whole.
type textPlace struct{ block, begin, length int }

// spool holds the advisories of a database that is being built, in a file, with
// the newest of each id.
type spool struct {
	file  *os.File
	size  int64
	items map[string]*item
	tally tally
}

type item struct {
	at       int64
	length   int
	modified uint64
	sum      [sha256.Size]byte
	first    string // key of the first package, which orders the texts
	text     textPlace
	ordinal  int
}

// tally counts what adding did.
type tally struct{ older, again int }

func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, ".spool-*")
	if err != nil {
		return nil, err
	}
	// The name goes at once: whatever happens, nothing is left behind.
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &spool{file: f, items: map[string]*item{}}, nil
}

func (s *spool) close() error { return s.file.Close() }

// add takes an advisory unless a newer one of its id is there. Of two that were
// modified at the same moment the later one to arrive stays.
func (s *spool) add(a *Advisory) error {
	var w wire
	a.encode(&w)
	return s.addRaw(w.b)
}

func (s *spool) addRaw(raw []byte) error {
	h := heading(raw)
	old := s.items[h.id]
	sum := sha256.Sum256(raw)
	switch {
	case old != nil && old.modified > h.modified:
		s.tally.older++
		return nil
	case old != nil && old.sum == sum:
		s.tally.again++
		return nil
	}
	if _, err := s.file.WriteAt(raw, s.size); err != nil {
		return err
	}
	s.items[h.id] = &item{at: s.size, length: len(raw), modified: h.modified, sum: sum, first: h.first}
	s.size += int64(len(raw))
	return nil
}

func (s *spool) read(i *item, buf []byte) ([]byte, error) {
	buf = slices.Grow(buf[:0], i.length)[:i.length]
	_, err := s.file.ReadAt(buf, i.at)
	return buf, err
}

// head is what the spool needs of an advisory.
type head struct {
	id        string
	modified  uint64
	withdrawn bool
	aliases   []string
	upstream  []string
	first     string
	entries   []entrySpan
}

type entrySpan struct {
	at, length int
	keys       []string
	ecosystem  string
	release    string
}

// heading walks over an advisory without decoding its text.
func heading(raw []byte) head {
	s := &slit{b: raw}
	h := head{id: s.str(), modified: s.num()}
	s.num()
	h.withdrawn = s.num() != 0
	h.aliases = s.list()
	s.list()
	h.upstream = s.list()
	s.bytes()
	s.bytes()
	decodeSeverity(s)
	s.bytes()
	for range s.count() {
		s.bytes()
		s.bytes()
	}
	for range s.count() {
		length := s.count()
		at := len(raw) - len(s.b)
		h.entries = append(h.entries, newSpan(s.b[:length], at))
		s.b = s.b[length:]
	}
	if len(h.entries) > 0 && len(h.entries[0].keys) > 0 {
		h.first = h.entries[0].keys[0]
	}
	return h
}

// newSpan finds the keys of an entry: its package, and the repository if it
// speaks of commits.
func newSpan(b []byte, at int) entrySpan {
	span := entrySpan{at: at, length: len(b)}
	e, ok := decodeEntry(b)
	if !ok {
		return span
	}
	span.ecosystem, span.release = split(e.Ecosystem)
	if e.Name != "" {
		span.keys = append(span.keys, Key(e.Ecosystem, e.Name))
	}
	if repo := e.repo(); repo != "" {
		if key := Key(gitEcosystem, repo); !slices.Contains(span.keys, key) {
			span.keys = append(span.keys, key)
		}
		if span.ecosystem == "" {
			span.ecosystem = gitEcosystem
		}
	}
	return span
}

// builder packs a spool into a database.
type builder struct {
	*spool
	p        *packer
	ids      []string
	postings map[string][]waiting
	sets     sets
	content  [sha256.Size]byte
	ecology  map[string]*Ecology
	releases releases
	drawn    int
}

// waiting is a posting whose entry is still in the spool.
type waiting struct {
	ordinal int
	at      int64
	length  int
}

// releases collects the releases of each ecosystem that has some.
type releases map[string]map[string]bool

func (r releases) note(e *entrySpan) {
	if f := families[e.ecosystem]; f < debian || f > rpm {
		return
	}
	if r[e.ecosystem] == nil {
		r[e.ecosystem] = map[string]bool{}
	}
	r[e.ecosystem][e.release] = true
}

// pack writes all sections. The manifest's ecosystems and counts are set from
// what is packed; of which moment they are, and what else it says, is the
// caller's.
func (s *spool) pack(path string, m manifest, date func(name string, e *Ecology)) error {
	p, err := newPacker(path)
	if err != nil {
		return err
	}
	b := &builder{spool: s, p: p, ids: slices.Sorted(maps.Keys(s.items)), postings: map[string][]waiting{}, ecology: map[string]*Ecology{}, releases: releases{}}
	for i, id := range b.ids {
		s.items[id].ordinal = i
	}
	for _, step := range []func() error{b.texts, b.records, b.names, b.packages} {
		if err := step(); err != nil {
			return p.abort(err)
		}
	}
	m.Format, m.Advisories, m.Withdrawn, m.Content = 1, len(b.ids), b.drawn, hex.EncodeToString(b.content[:])
	for name, e := range b.ecology {
		e.Releases = slices.Sorted(maps.Keys(b.releases[name]))
		date(name, e)
	}
	m.Ecosystems = b.ecology
	return p.commit(m)
}

// texts writes the advisories whole, neighbours in package beside each other:
// they share words and versions.
func (b *builder) texts() error {
	order := slices.Clone(b.ids)
	slices.SortFunc(order, func(x, y string) int {
		return cmp.Or(cmp.Compare(b.items[x].first, b.items[y].first), cmp.Compare(x, y))
	})
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	defer func() { _ = enc.Close() }()
	b.p.begin(partText)
	t := texts{p: b.p, enc: enc}
	var raw []byte
	for _, id := range order {
		i := b.items[id]
		if raw, err = b.read(i, raw); err != nil {
			return err
		}
		if i.text, err = t.add(raw); err != nil {
			return err
		}
		b.note(i, heading(raw))
	}
	if err := t.flush(); err != nil {
		return err
	}
	b.p.begin(partBlocks)
	_, err = b.p.Write(t.table)
	return err
}

// texts collects advisories into blocks.
type texts struct {
	p     *packer
	enc   *zstd.Encoder
	raw   []byte
	out   []byte
	at    uint64
	count int
	table []byte
}

func (t *texts) add(raw []byte) (textPlace, error) {
	place := textPlace{t.count, len(t.raw), len(raw)}
	t.raw = append(t.raw, raw...)
	if len(t.raw) < blockSize {
		return place, nil
	}
	return place, t.flush()
}

func (t *texts) flush() error {
	if len(t.raw) == 0 {
		return nil
	}
	t.out = t.enc.EncodeAll(t.raw, t.out[:0])
	sum := sha256.Sum256(t.out)
	t.table = binary.LittleEndian.AppendUint64(t.table, t.at)
	t.table = binary.LittleEndian.AppendUint32(t.table, uint32(len(t.out)))
	t.table = binary.LittleEndian.AppendUint32(t.table, uint32(len(t.raw)))
	t.table = append(t.table, sum[:16]...)
	t.at += uint64(len(t.out))
	t.raw = t.raw[:0]
	t.count++
	_, err := t.p.Write(t.out)
	return err
}

// note remembers what the other sections need of an advisory.
func (b *builder) note(i *item, h head) {
	counted := map[string]bool{}
	for _, e := range h.entries {
		if e.ecosystem == "" || counted[e.ecosystem] {
			continue
		}
		counted[e.ecosystem] = true
		eco := b.ecology[e.ecosystem]
		if eco == nil {
			eco = &Ecology{}
			b.ecology[e.ecosystem] = eco
		}
		eco.Advisories++
		if t := (&slit{b: binary.AppendUvarint(nil, h.modified)}).time(); t.After(eco.Newest) {
			eco.Newest = t
		}
	}
	if h.withdrawn {
		b.drawn++
		return
	}
	b.sets.join(h.id, h.aliases)
	for _, e := range h.entries {
		b.releases.note(&e)
		for _, key := range e.keys {
			b.postings[key] = append(b.postings[key], waiting{i.ordinal, i.at + int64(e.at), e.length})
		}
	}
}

// records writes what a finding needs, in order of id.
func (b *builder) records() error {
	b.p.begin(partRecords)
	names := b.sets.names()
	lists := &lists{p: b.p}
	content := sha256.New()
	var raw []byte
	var err error
	for n, id := range b.ids {
		i := b.items[id]
		if raw, err = b.read(i, raw); err != nil {
			return err
		}
		a, ok := decodeAdvisory(raw)
		if !ok {
			return fmt.Errorf("the spool's %s can't be read", id)
		}
		_, _ = content.Write(i.sum[:])
		var w wire
		set, known := b.sets.of(id)
		if known && a.Withdrawn.IsZero() {
			packRecord(&w, a, set, names[set], i)
		} else {
			packRecord(&w, a, len(b.ids)*2+n, a.Aliases, i)
		}
		if err := lists.add(w.b); err != nil {
			return err
		}
	}
	content.Sum(b.content[:0])
	return lists.end(partRecordAt)
}

// lists writes things of any length, and then their offsets.
type lists struct {
	p       *packer
	at      uint32
	offsets []byte
}

var errTooLarge = errors.New("the database is larger than its format allows")

func (l *lists) add(b []byte) error {
	l.offsets = binary.LittleEndian.AppendUint32(l.offsets, l.at)
	if uint64(l.at)+uint64(len(b)) > 1<<32-1 {
		return errTooLarge
	}
	l.at += uint32(len(b))
	_, err := l.p.Write(b)
	return err
}

func (l *lists) end(name string) error {
	l.offsets = binary.LittleEndian.AppendUint32(l.offsets, l.at)
	l.p.begin(name)
	_, err := l.p.Write(l.offsets)
	return err
}

// names writes what other names lead to which advisories: as an alias, and as
// the upstream of a distribution's advisory.
func (b *builder) names() error {
	users := map[string]*[2][]int{}
	var raw []byte
	var err error
	for _, id := range b.ids {
		if raw, err = b.read(b.items[id], raw); err != nil {
			return err
		}
		h := heading(raw)
		for kind, list := range [][]string{h.aliases, h.upstream} {
			for _, name := range list {
				if users[name] == nil {
					users[name] = &[2][]int{}
				}
				users[name][kind] = append(users[name][kind], b.items[id].ordinal)
			}
		}
	}
	b.p.begin(partNames)
	l := &lists{p: b.p}
	for _, name := range slices.Sorted(maps.Keys(users)) {
		var w wire
		w.str(name)
		for _, list := range users[name] {
			w.int(len(list))
			for _, o := range list {
				w.int(o)
			}
		}
		if err := l.add(w.b); err != nil {
			return err
		}
	}
	return l.end(partNameAt)
}

// packages writes the affected versions of every key.
func (b *builder) packages() error {
	b.p.begin(partPackages)
	l := &lists{p: b.p}
	for _, key := range slices.SortedFunc(maps.Keys(b.postings), strings.Compare) {
		var list []posting
		slices.SortStableFunc(b.postings[key], func(x, y waiting) int { return cmp.Compare(x.ordinal, y.ordinal) })
		for _, wait := range b.postings[key] {
			e, err := b.entry(wait)
			if err != nil {
				return err
			}
			list = append(list, posting{wait.ordinal, e})
		}
		var w wire
		packPackage(&w, key, list)
		if err := l.add(w.b); err != nil {
			return err
		}
	}
	return l.end(partPackAt)
}

func (b *builder) entry(wait waiting) (*Entry, error) {
	raw := make([]byte, wait.length)
	if _, err := b.file.ReadAt(raw, wait.at); err != nil {
		return nil, err
	}
	e, ok := decodeEntry(raw)
	if !ok {
		return nil, errors.New("an entry of the spool can't be read")
	}
	return &e, nil
}

// sets joins names that are aliases of each other: symmetric and transitive, as
// the schema says.
type sets struct {
	number map[string]int
	parent []int
}

func (s *sets) index(name string) int {
	if s.number == nil {
		s.number = map[string]int{}
	}
	n, ok := s.number[name]
	if !ok {
		n = len(s.parent)
		s.number[name] = n
		s.parent = append(s.parent, n)
	}
	return n
}

func (s *sets) root(n int) int {
	for s.parent[n] != n {
		s.parent[n] = s.parent[s.parent[n]]
		n = s.parent[n]
	}
	return n
}

func (s *sets) join(id string, aliases []string) {
	own := s.root(s.index(id))
	for _, a := range aliases {
		s.parent[s.root(s.index(a))] = own
	}
}

// of is the number of a name's set.
func (s *sets) of(name string) (int, bool) {
	n, ok := s.number[name]
	if !ok {
		return 0, false
	}
	return s.root(n), true
}

// names lists every set, sorted.
func (s *sets) names() map[int][]string {
	all := map[int][]string{}
	for name, n := range s.number {
		r := s.root(n)
		all[r] = append(all[r], name)
	}
	for _, list := range all {
		slices.Sort(list)
	}
	return all
}

// equalSum reports whether a block is the one that the table names.
func equalSum(block, want []byte) bool {
	sum := sha256.Sum256(block)
	return bytes.Equal(sum[:16], want)
}

// same reports whether an item is exactly these bytes.
func (s *spool) same(i *item, raw []byte) bool { return i.sum == sha256.Sum256(raw) }
