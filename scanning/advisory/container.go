package advisory

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

// A database is one file: the magic, sections one behind the other, a table of
// them in JSON, the table's SHA-256, its length, and the magic again. The table
// holds each section's length and checksum, so that no byte is outside of a
// checksum. A section's checksum is the SHA-256 over those of its pieces, which
// all processors can work on.
const (
	magic      = "ILKADV\x00\x01"
	trailer    = sha256.Size + 4 + len(magic)
	piece      = 1 << 20
	maxTable   = 64 << 20
	maxSection = 8 << 30
)

type section struct {
	Name   string `json:"name"`
	Length int64  `json:"length"`
	Sum    string `json:"sum"`
	offset int64
}

type table struct {
	Manifest manifest  `json:"manifest"`
	Sections []section `json:"sections"`
}

// packer writes a container to a temporary file beside its place.
type packer struct {
	path string
	file *os.File
	buf  *bufio.Writer
	all  table
	sum  pieces
	open bool
}

// pieces is the checksum of a section as it grows.
type pieces struct {
	sums   bytes.Buffer
	rest   []byte
	length int64
}

func (p *pieces) write(b []byte) {
	p.length += int64(len(b))
	for len(b) > 0 {
		n := min(piece-len(p.rest), len(b))
		p.rest = append(p.rest, b[:n]...)
		b = b[n:]
		if len(p.rest) == piece {
			p.flush()
		}
	}
}

func (p *pieces) flush() {
	sum := sha256.Sum256(p.rest)
	p.sums.Write(sum[:])
	p.rest = p.rest[:0]
}

func (p *pieces) sum() string {
	if len(p.rest) > 0 {
		p.flush()
	}
	sum := sha256.Sum256(p.sums.Bytes())
	return hex.EncodeToString(sum[:])
}

func newPacker(path string) (*packer, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return nil, err
	}
	p := &packer{path: path, file: f, buf: bufio.NewWriterSize(f, 1<<18)}
	_, err = p.buf.WriteString(magic)
	return p, err
}

// begin starts a section; what is written next belongs to it.
func (p *packer) begin(name string) {
	p.end()
	p.all.Sections = append(p.all.Sections, section{Name: name})
	p.sum, p.open = pieces{}, true
}

func (p *packer) end() {
	if p.open {
		s := &p.all.Sections[len(p.all.Sections)-1]
		s.Length, s.Sum, p.open = p.sum.length, p.sum.sum(), false
	}
}

func (p *packer) Write(b []byte) (int, error) {
	p.sum.write(b)
	return p.buf.Write(b)
}

// commit writes the table and puts the file in its place: the old one is there
// until the new one is on disk.
func (p *packer) commit(m manifest) error {
	p.end()
	p.all.Manifest = m
	text, err := json.Marshal(p.all)
	if err != nil {
		return p.abort(err)
	}
	sum := tableSum(text)
	tail := binary.BigEndian.AppendUint32(append(text, sum[:]...), uint32(len(text)))
	tail = append(tail, magic...)
	if _, err := p.buf.Write(tail); err != nil {
		return p.abort(err)
	}
	err = p.buf.Flush()
	if err == nil {
		err = p.file.Chmod(0o600)
	}
	if err == nil {
		err = p.file.Sync()
	}
	if err != nil {
		return p.abort(err)
	}
	if err := p.file.Close(); err != nil {
		return errors.Join(err, os.Remove(p.file.Name()))
	}
	if err := os.Rename(p.file.Name(), p.path); err != nil {
		return errors.Join(err, os.Remove(p.file.Name()))
	}
	return atomicfile.SyncDir(filepath.Dir(p.path))
}

func (p *packer) abort(err error) error {
	return errors.Join(err, p.file.Close(), os.Remove(p.file.Name()))
}

func tableSum(text []byte) [sha256.Size]byte {
	h := sha256.New()
	_, _ = h.Write([]byte(magic))
	_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text))))
	_, _ = h.Write(text)
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return sum
}

// container is one that was opened and whose every byte was checked.
type container struct {
	name string
	from io.ReaderAt
	size int64
	file *os.File // nil if it stands in another one
	table
	loaded map[string][]byte
}

// openContainer checks the whole file. Sections named in lazy are checked and
// not kept in memory.
func openContainer(path string, lazy ...string) (*container, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = damaged(path, "is no regular file")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	c := &container{name: path, from: f, size: info.Size(), file: f}
	if err := c.read(lazy); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return c, nil
}

func (c *container) close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

func damaged(path, what string) error {
	return core.E(core.KindDamaged, "advisory.Open", path+": "+what).
		WithHint("import the advisories again, or take the database from a backup")
}

func (c *container) read(lazy []string) error {
	c.loaded = map[string][]byte{}
	if err := c.readTable(c.size); err != nil {
		return err
	}
	for i := range c.Sections {
		if err := c.check(&c.Sections[i], slices.Contains(lazy, c.Sections[i].Name)); err != nil {
			return err
		}
	}
	return nil
}

func (c *container) readTable(size int64) error {
	name := c.name
	if size < int64(len(magic)+trailer) {
		return damaged(name, fmt.Sprintf("is %d bytes long, too short for a database", size))
	}
	tail, head := make([]byte, trailer), make([]byte, len(magic))
	if err := errors.Join(c.readAt(head, 0), c.readAt(tail, size-int64(trailer))); err != nil {
		return err
	}
	if string(head) != magic || string(tail[sha256.Size+4:]) != magic {
		return damaged(name, "is no advisory database of this version")
	}
	length := int64(binary.BigEndian.Uint32(tail[sha256.Size:]))
	begin := size - int64(trailer) - length
	if length > maxTable || begin < int64(len(magic)) {
		return damaged(name, "its table is longer than the file")
	}
	text := make([]byte, length)
	if err := c.readAt(text, begin); err != nil {
		return err
	}
	sum := tableSum(text)
	if subtle.ConstantTimeCompare(sum[:], tail[:sha256.Size]) != 1 {
		return damaged(name, "its table does not match its checksum")
	}
	if err := json.Unmarshal(text, &c.table); err != nil {
		return damaged(name, "its table can't be read: "+err.Error())
	}
	return c.place(begin)
}

// place gives the sections their offsets and demands that they fill the file.
func (c *container) place(end int64) error {
	at := int64(len(magic))
	for i := range c.Sections {
		s := &c.Sections[i]
		if s.Length < 0 || s.Length > maxSection || s.Length > end-at {
			return damaged(c.name, "its sections are longer than the file")
		}
		s.offset = at
		at += s.Length
	}
	if at != end {
		return damaged(c.name, fmt.Sprintf("has %d bytes that belong to nothing", end-at))
	}
	return nil
}

func (c *container) readAt(b []byte, at int64) error {
	_, err := c.from.ReadAt(b, at)
	return err
}

// check reads a section piece by piece on all processors.
func (c *container) check(s *section, lazy bool) error {
	var whole []byte
	if !lazy {
		whole = make([]byte, s.Length)
		c.loaded[s.Name] = whole
	}
	count := int((s.Length + piece - 1) / piece)
	sums, failed := make([]byte, count*sha256.Size), make([]error, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for w := range failed {
		wg.Go(func() { failed[w] = c.sumPieces(s, whole, sums, w, len(failed)) })
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	sum := sha256.Sum256(sums)
	if hex.EncodeToString(sum[:]) != s.Sum {
		return damaged(c.name, "section "+s.Name+" does not match its checksum")
	}
	return nil
}

func (c *container) sumPieces(s *section, whole, sums []byte, from, step int) error {
	var own []byte
	for i := from; i*sha256.Size < len(sums); i += step {
		begin := int64(i) * piece
		n := min(s.Length-begin, piece)
		if whole != nil {
			own = whole[begin : begin+n]
		} else if own == nil || int64(len(own)) < n {
			own = make([]byte, n)
		}
		if err := c.readAt(own[:n], s.offset+begin); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		sum := sha256.Sum256(own[:n])
		copy(sums[i*sha256.Size:], sum[:])
	}
	return nil
}

// copyTo writes all sections into another container as they are.
func (c *container) copyTo(p *packer) error {
	for _, s := range c.Sections {
		p.begin(s.Name)
		if _, err := io.Copy(p, io.NewSectionReader(c.from, s.offset, s.Length)); err != nil {
			return err
		}
	}
	return nil
}

func (c *container) section(name string) *section {
	for i := range c.Sections {
		if c.Sections[i].Name == name {
			return &c.Sections[i]
		}
	}
	return &section{}
}
