package advisory

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sort"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/interlock-security/interlock/core"
)

// The files of a database's folder.
const (
	fileAdvisories = "advisories.db"
	fileKEV        = "exploited.db"
	fileEPSS       = "epss.db"
	fileState      = "sources.json"
	fileLock       = "lock"
)

// DB is an opened database. It is read only and may be used by many at once.
type DB struct {
	c        *container
	records  directory
	names    directory
	packages directory
	blocks   []byte
	text     int64
	zstd     *zstd.Decoder
	kev      *feed
	epss     *feed
}

// directory is a section of things of any length with the section of their
// offsets.
type directory struct{ body, offsets []byte }

func (d directory) len() int { return max(len(d.offsets)/4-1, 0) }

func (d directory) at(i int) []byte {
	begin, end := binary.LittleEndian.Uint32(d.offsets[4*i:]), binary.LittleEndian.Uint32(d.offsets[4*i+4:])
	if begin > end || uint64(end) > uint64(len(d.body)) {
		return nil
	}
	return d.body[begin:end]
}

// find looks for the thing that begins with a string.
func (d directory) find(name string) ([]byte, int) {
	key := []byte(name)
	i, found := sort.Find(d.len(), func(i int) int { return bytes.Compare(key, recordID(d.at(i))) })
	if !found {
		return nil, -1
	}
	return d.at(i), i
}

// Open opens the database of a folder. It reads and checks every byte of it; one
// that is damaged is refused, since half of the advisories would look like clean.
func Open(dir string) (*DB, error) {
	c, err := openContainer(filepath.Join(dir, fileAdvisories), partText)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, core.E(core.KindNotFound, "advisory.Open", "there is no advisory database in "+dir).
			WithHint(Getting("."))
	}
	if err != nil {
		return nil, core.Wrap(kindOf(err), "advisory.Open", err)
	}
	db := &DB{c: c}
	err = db.attach()
	if err == nil {
		err = db.feeds(dir)
	}
	if err != nil {
		return nil, errors.Join(core.Wrap(kindOf(err), "advisory.Open", err), db.Close())
	}
	return db, nil
}

// kindOf keeps the kind of an error that has one.
func kindOf(err error) core.Kind {
	var e *core.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return core.KindUnavailable
}

// attach finds the parts of the container.
func (db *DB) attach() (err error) {
	if db.c.Manifest.Format != 1 {
		return damaged(db.c.name, fmt.Sprintf("is of format %d, and this program reads 1", db.c.Manifest.Format))
	}
	part := func(n string) []byte { return db.c.loaded[n] }
	db.records = directory{part(partRecords), part(partRecordAt)}
	db.names = directory{part(partNames), part(partNameAt)}
	db.packages = directory{part(partPackages), part(partPackAt)}
	db.blocks, db.text = part(partBlocks), db.c.section(partText).offset
	db.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock))
	return err
}

func (db *DB) feeds(dir string) (err error) {
	if db.kev, err = openFeed(filepath.Join(dir, fileKEV)); err != nil {
		return err
	}
	db.epss, err = openFeed(filepath.Join(dir, fileEPSS))
	return err
}

// maxBlock bounds what a block may decompress to: the largest advisory, packed
// behind a block that was not quite full.
const maxBlock = blockSize + 2*maxAdvisory

// Close gives the file back.
func (db *DB) Close() error {
	if db.zstd != nil {
		db.zstd.Close()
	}
	return db.c.close()
}

// Built is when the database was last written.
func (db *DB) Built() time.Time { return db.c.Manifest.Built }

// Content is a hash of the advisories; two databases with the same one give the
// same findings.
func (db *DB) Content() string { return db.c.Manifest.Content }

// Get returns an advisory whole, by its id or by an alias; where several share
// an alias, the first by id that is not withdrawn.
func (db *DB) Get(name string) (*Advisory, error) {
	if _, i := db.records.find(name); i >= 0 {
		return db.load(i)
	}
	found, _ := db.named(name)
	slices.SortStableFunc(found, func(a, b int) int { return db.drawn(a) - db.drawn(b) })
	if len(found) == 0 {
		return nil, core.E(core.KindNotFound, "advisory.Get", fmt.Sprintf("the database has no advisory %.100q", name))
	}
	return db.load(found[0])
}

// named lists the advisories that have a name as alias, and those that have it
// as upstream.
func (db *DB) named(name string) (aliases, upstream []int) {
	b, i := db.names.find(name)
	if i < 0 {
		return nil, nil
	}
	s := &slit{b: b}
	s.bytes()
	for _, list := range []*[]int{&aliases, &upstream} {
		for range s.count() {
			*list = append(*list, s.index(db.records.len()))
		}
	}
	return aliases, upstream
}

func (db *DB) drawn(i int) int {
	if r, ok := decodeRecord(db.records.at(i)); ok && r.withdrawn == 0 {
		return 0
	}
	return 1
}

func (db *DB) load(i int) (*Advisory, error) {
	r, ok := decodeRecord(db.records.at(i))
	if !ok {
		return nil, damaged(db.c.name, fmt.Sprintf("record %d can't be read", i))
	}
	raw, err := db.raw(r.text)
	if err != nil {
		return nil, err
	}
	a, ok := decodeAdvisory(raw)
	if !ok || a.ID != r.id {
		return nil, damaged(db.c.name, r.id+" can't be read")
	}
	return a, nil
}

func (db *DB) raw(p textPlace) ([]byte, error) {
	block, err := db.block(p.block)
	if err != nil {
		return nil, err
	}
	if p.begin+p.length > len(block) {
		return nil, damaged(db.c.name, "an advisory stands outside of its block")
	}
	return block[p.begin : p.begin+p.length], nil
}

// block reads a block and checks it again: the file may have been written to
// since it was opened.
func (db *DB) block(i int) ([]byte, error) {
	if i < 0 || (i+1)*blockEntry > len(db.blocks) {
		return nil, damaged(db.c.name, fmt.Sprintf("there is no block %d", i))
	}
	e := db.blocks[i*blockEntry:]
	at, length := binary.LittleEndian.Uint64(e), binary.LittleEndian.Uint32(e[8:])
	size := uint64(db.c.section(partText).Length)
	if at > size || uint64(length) > size-at {
		return nil, damaged(db.c.name, fmt.Sprintf("block %d is outside of the file", i))
	}
	packed := make([]byte, length)
	if err := db.c.readAt(packed, db.text+int64(at)); err != nil {
		return nil, err
	}
	if !equalSum(packed, e[16:blockEntry]) {
		return nil, damaged(db.c.name, fmt.Sprintf("block %d does not match its checksum", i))
	}
	raw, err := db.zstd.DecodeAll(packed, make([]byte, 0, min(binary.LittleEndian.Uint32(e[12:]), maxBlock)))
	if err != nil {
		return nil, damaged(db.c.name, fmt.Sprintf("block %d: %v", i, err))
	}
	return raw, nil
}

// each calls f with every advisory as it is stored, in the order of the texts.
func (db *DB) each(f func(raw []byte) error) error {
	places := make([]textPlace, 0, db.records.len())
	for i := range db.records.len() {
		r, ok := decodeRecord(db.records.at(i))
		if !ok {
			return damaged(db.c.name, fmt.Sprintf("record %d can't be read", i))
		}
		places = append(places, r.text)
	}
	slices.SortFunc(places, func(a, b textPlace) int { return cmp.Or(cmp.Compare(a.block, b.block), cmp.Compare(a.begin, b.begin)) })
	return db.walk(places, f)
}

func (db *DB) walk(places []textPlace, f func(raw []byte) error) error {
	last, block := -1, []byte(nil)
	for _, p := range places {
		if p.block != last {
			var err error
			if block, err = db.block(p.block); err != nil {
				return err
			}
			last = p.block
		}
		if p.begin+p.length > len(block) {
			return damaged(db.c.name, "an advisory stands outside of its block")
		}
		if err := f(block[p.begin : p.begin+p.length]); err != nil {
			return err
		}
	}
	return nil
}
