package source

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strconv"
	"strings"
	"time"
)

// commit is what is told of a commit.
type commit struct {
	id     [32]byte
	author uint32
	date   int64
}

// version is one state of one file: a blob under a name, and the commit that brought
// it first.
type version struct {
	id     [32]byte
	path   uint32
	commit uint32
}

// chronicle is what the log says: which commit brought which blob, under which name.
// It is kept in little memory, since there may be millions.
type chronicle struct {
	idLen    int // bytes of an object's name
	commits  []commit
	authors  interned
	paths    interned
	versions []version
	// seen finds a blob under a name, by hash.
	seen       map[uint64]uint32
	seed       maphash.Seed
	submodules map[string]bool
	links      int64
	most       int
	// excluded, if set, leaves out paths on purpose.
	excluded func(path string) bool
	// message, if set, is given each commit's message.
	message func(c *chronicle, commit uint32, text []byte) error
}

func newChronicle(most int) *chronicle {
	return &chronicle{seen: map[uint64]uint32{}, seed: maphash.MakeSeed(), submodules: map[string]bool{}, most: most}
}

// interned keeps each string once.
type interned struct {
	all []string
	at  map[string]uint32
}

func (n *interned) number(b []byte) uint32 {
	if i, ok := n.at[string(b)]; ok {
		return i
	}
	if n.at == nil {
		n.at = map[string]uint32{}
	}
	i := uint32(len(n.all))
	s := string(b)
	n.all, n.at[s] = append(n.all, s), i
	return i
}

// logFormat makes git write each commit as a record that can't be mistaken for a
// path: it begins with a byte that no raw line begins with.
const logFormat = "--format=tformat:%x01%H%x02%an%x02%ae%x02%at%x02%B"

// Limits of what the log may say.
const (
	longestRecord = 16 << 20
	mostModuless  = 50
)

var (
	errLog          = errors.New("git's log has a line that is not understood")
	errTooManyBlobs = errors.New("it has more versions of files than are read of one repository")
)

// readLog reads the output of "git log --raw -z -c".
func (c *chronicle) readLog(r io.Reader) error {
	br := bufio.NewReaderSize(r, 256<<10)
	var scratch []byte
	for {
		record, err := nulRecord(br, &scratch)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		switch {
		case len(record) == 0:
		case record[0] == 1:
			err = c.commit(record[1:])
		case record[0] == ':':
			err = c.raw(string(record), br, &scratch)
		default:
			err = errLog
		}
		if err != nil {
			return err
		}
	}
}

// nulRecord reads up to the next NUL. A newline in front belongs to the format.
func nulRecord(r *bufio.Reader, scratch *[]byte) ([]byte, error) {
	piece, err := r.ReadSlice(0)
	if errors.Is(err, bufio.ErrBufferFull) {
		*scratch = (*scratch)[:0]
		for errors.Is(err, bufio.ErrBufferFull) {
			*scratch = append(*scratch, piece...)
			if len(*scratch) > longestRecord {
				return nil, errLog
			}
			piece, err = r.ReadSlice(0)
		}
		*scratch = append(*scratch, piece...)
		piece = *scratch
	}
	if err != nil {
		if errors.Is(err, io.EOF) && len(bytes.TrimSpace(piece)) > 0 {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return bytes.TrimPrefix(piece[:len(piece)-1], []byte{'\n'}), nil
}

// commit reads "id author email time message".
func (c *chronicle) commit(record []byte) error {
	fields := bytes.SplitN(record, []byte{2}, 5)
	if len(fields) != 5 {
		return errLog
	}
	var new commit
	n, err := hex.Decode(new.id[:], fields[0][:min(len(fields[0]), 64)])
	if err != nil || n != 20 && n != 32 {
		return errLog
	}
	c.idLen = n
	new.author = c.authors.number(bytes.Join(fields[1:3], []byte{2}))
	new.date, _ = strconv.ParseInt(string(fields[3]), 10, 64)
	c.commits = append(c.commits, new)
	if c.message == nil {
		return nil
	}
	return c.message(c, uint32(len(c.commits)-1), fields[4])
}

// raw reads one changed file: ":mode mode id id status" and, after a NUL, its path.
// A merge has one more colon, mode and id for each further parent.
func (c *chronicle) raw(head string, r *bufio.Reader, scratch *[]byte) error {
	parents := len(head) - len(strings.TrimLeft(head, ":"))
	fields := strings.Fields(head[parents:])
	if len(fields) != 2*(parents+1)+1 || len(c.commits) == 0 {
		return errLog
	}
	path, err := nulRecordExact(r, scratch)
	if err != nil {
		return err
	}
	mode, id := fields[parents], fields[2*parents+1]
	switch mode {
	case "000000":
		return nil
	case "160000":
		if len(c.submodules) < mostModuless {
			c.submodules[string(path)] = true
		}
		return nil
	case "120000":
		c.links++
		return nil
	}
	return c.version(id, path)
}

// nulRecordExact reads a path, which may begin with anything.
func nulRecordExact(r *bufio.Reader, scratch *[]byte) ([]byte, error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	if first == 0 {
		return nil, errLog
	}
	if err := r.UnreadByte(); err != nil {
		return nil, err
	}
	if first != '\n' {
		return noEOF(nulRecord(r, scratch))
	}
	rest, err := noEOF(nulRecord(r, scratch)) // which took the newline off
	return append([]byte{'\n'}, rest...), err
}

func noEOF(b []byte, err error) ([]byte, error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

// version notes a blob under a name. The log goes from the newest commit to the
// oldest, so the last one to be read is the one that brought it.
func (c *chronicle) version(id string, path []byte) error {
	if c.excluded != nil && c.excluded(string(path)) {
		return nil
	}
	v := version{path: c.paths.number(path), commit: uint32(len(c.commits) - 1)}
	if n, err := hex.Decode(v.id[:], []byte(id[:min(len(id), 64)])); err != nil || n != c.idLen {
		return errLog
	}
	key := c.key(&v.id, path)
	if i, ok := c.seen[key]; ok {
		c.versions[i].commit, c.versions[i].path = v.commit, v.path
		return nil
	}
	if len(c.versions) >= c.most {
		return errTooManyBlobs
	}
	c.seen[key] = uint32(len(c.versions))
	c.versions = append(c.versions, v)
	return nil
}

// key is of a blob and the last part of its name. A file that moves to another folder
// is not read again; one that is named otherwise is, since a name may say what it is.
func (c *chronicle) key(id *[32]byte, path []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	_, _ = h.Write(id[:])
	_, _ = h.Write(path[bytes.LastIndexByte(path, '/')+1:])
	return h.Sum64()
}

func (c *chronicle) name(id [32]byte) string { return hex.EncodeToString(id[:c.idLen]) }

// place is where a leak of a commit is.
func (c *chronicle) place(path string, n uint32) *where {
	at := placeOf(path)
	if int(n) >= len(c.commits) {
		return at
	}
	by := &c.commits[n]
	at.Commit, at.Date = c.name(by.id), time.Unix(by.date, 0).UTC()
	at.Author, at.Email, _ = strings.Cut(c.authors.all[by.author], "\x02")
	at.Author, at.Email = Shown(at.Author), Shown(at.Email)
	return at
}

func (c *chronicle) String() string {
	return fmt.Sprintf("%d commits, %d versions of files", len(c.commits), len(c.versions))
}
