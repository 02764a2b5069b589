package audit

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/platform/wal"
)

const (
	subjectsMagic   = "ILKSUBJ1"
	subjectsContext = "interlock audit subject key v1"
	maxSubjects     = 128 << 20 // bytes of the keyring file
)

// subjects is the keyring of the log: one random key for each subject, in a
// small file beside the log, each wrapped by the host keyring. The file must
// not be in long-lived backups, or erasing a key is void. A key is on disk
// before the first entry that uses it.
type subjects struct {
	path   string
	sealer core.Sealer
	clock  core.Clock
	group  *wal.Group[*keyRequest]

	mu     sync.RWMutex
	byName map[string]*subject
	byID   map[[kidLen]byte]*subject
	sealed map[[kidLen]byte][]byte // as in the file, so that a new key seals only itself
}

// subject is one key, with what is derived from it kept ready: derivation costs
// more than encryption.
type subject struct {
	id     [kidLen]byte
	name   string
	person string // the pseudonym of a person
	aead   cipher.AEAD
	macs   *sync.Pool
	names  *sync.Pool
}

type keyRequest struct {
	name string
	key  *subject
}

// keyRecord is what is sealed.
type keyRecord struct {
	V       int    `json:"v"`
	ID      string `json:"id"`
	Subject string `json:"subject"`
	Key     []byte `json:"key"`
	Created int64  `json:"created"`
}

func newSubjects(path string, sealer core.Sealer, clock core.Clock) *subjects {
	s := &subjects{
		path: path, sealer: sealer, clock: clock,
		byName: map[string]*subject{}, byID: map[[kidLen]byte]*subject{}, sealed: map[[kidLen]byte][]byte{},
	}
	s.group = wal.NewGroup(256, s.create)
	return s
}

// openSubjects reads the keyring. A missing one is of kind core.KindNotFound,
// one that does not open of kind core.KindDamaged.
func openSubjects(path string, sealer core.Sealer, clock core.Clock) (*subjects, error) {
	s := newSubjects(path, sealer, clock)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, core.E(core.KindNotFound, "audit.Open", path+" is missing")
	case err != nil:
		return nil, core.Wrap(core.KindUnavailable, "audit.Open", err)
	case info.Size() > maxSubjects:
		return nil, core.E(core.KindDamaged, "audit.Open", fmt.Sprintf("%s has %d bytes, at most %d are allowed", path, info.Size(), maxSubjects))
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "audit.Open", err)
	}
	return s, s.load(b)
}

func (s *subjects) load(b []byte) error {
	rest, ok := bytes.CutPrefix(b, []byte(subjectsMagic))
	count, rest, ok := cutUint32(rest, ok)
	for n := uint32(0); ok && n < count; n++ {
		var size uint32
		size, rest, ok = cutUint32(rest, ok)
		if ok = ok && int64(size) <= int64(len(rest)); !ok {
			break
		}
		if err := s.loadOne(rest[:size]); err != nil {
			return fmt.Errorf("audit.Open: %s: key %d: %w", s.path, n, err)
		}
		rest = rest[size:]
	}
	if !ok || len(rest) > 0 {
		return core.E(core.KindDamaged, "audit.Open", s.path+" is not a whole keyring of subjects")
	}
	return nil
}

func cutUint32(b []byte, ok bool) (uint32, []byte, bool) {
	if !ok || len(b) < 4 {
		return 0, b, false
	}
	return binary.LittleEndian.Uint32(b), b[4:], true
}

func (s *subjects) loadOne(sealed []byte) error {
	plain, err := s.sealer.Open(sealed, subjectsContext)
	if err != nil {
		return err
	}
	var r keyRecord
	if err := json.Unmarshal(plain, &r); err != nil {
		return core.Wrap(core.KindDamaged, "audit.Open", err)
	}
	id, err := hex.DecodeString(r.ID)
	if err != nil || len(id) != kidLen || len(r.Key) != 32 || r.V != 1 {
		return core.E(core.KindDamaged, "audit.Open", "not a subject key of version 1")
	}
	key, err := newSubject([kidLen]byte(id), r.Subject, r.Key)
	if err != nil {
		return err
	}
	s.keep(key, bytes.Clone(sealed))
	return nil
}

func (s *subjects) keep(k *subject, sealed []byte) {
	s.byName[k.name], s.byID[k.id], s.sealed[k.id] = k, k, sealed
}

func newSubject(id [kidLen]byte, name string, key []byte) (*subject, error) {
	k := &subject{id: id, name: name, person: fmt.Sprintf("%s/~%x", kindPerson, id)}
	var parts [3][]byte
	for i, purpose := range []string{"body", "commitment", "names"} {
		b, err := hkdf.Key(sha256.New, key, id[:], "interlock audit v1 "+purpose, 32)
		if err != nil {
			return nil, core.Wrap(core.KindInternal, "audit.Open", err)
		}
		parts[i] = b
	}
	block, err := aes.NewCipher(parts[0])
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "audit.Open", err)
	}
	if k.aead, err = cipher.NewGCM(block); err != nil {
		return nil, core.Wrap(core.KindInternal, "audit.Open", err)
	}
	k.macs, k.names = macPool(parts[1]), macPool(parts[2])
	return k, nil
}

func macPool(key []byte) *sync.Pool {
	return &sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}
}

// sum is HMAC-SHA256 with one of the subject's keys.
func (*subject) sum(pool *sync.Pool, salt, data []byte) [macLen]byte {
	m := pool.Get().(hash.Hash)
	defer pool.Put(m)
	m.Reset()
	_, _ = m.Write(salt) // a hash never fails
	_, _ = m.Write(data)
	var out [macLen]byte
	m.Sum(out[:0])
	return out
}

// get returns the key of a subject, making it if there is none.
func (s *subjects) get(name string) (*subject, error) {
	s.mu.RLock()
	k := s.byName[name]
	s.mu.RUnlock()
	if k != nil {
		return k, nil
	}
	r := &keyRequest{name: name}
	// Not the caller's context: others share the write.
	if err := s.group.Do(context.Background(), r); err != nil {
		return nil, err
	}
	return r.key, nil
}

// create makes the keys that are missing and saves the file once.
func (s *subjects) create(requests []*keyRequest) error {
	fresh := map[string]*subject{}
	sealed := map[[kidLen]byte][]byte{}
	for _, r := range requests {
		if r.key = s.find(r.name); r.key != nil {
			continue
		}
		if r.key = fresh[r.name]; r.key != nil {
			continue
		}
		k, b, err := s.newKey(r.name)
		if err != nil {
			return err
		}
		r.key, fresh[r.name], sealed[k.id] = k, k, b
	}
	if len(fresh) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := maps.Clone(s.sealed)
	maps.Copy(all, sealed)
	if err := s.save(all); err != nil {
		return err
	}
	for _, k := range fresh {
		s.keep(k, sealed[k.id])
	}
	return nil
}

func (s *subjects) find(name string) *subject {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byName[name]
}

func (s *subjects) newKey(name string) (*subject, []byte, error) {
	var id [kidLen]byte
	key := make([]byte, 32)
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	_, _ = rand.Read(key)
	defer clear(key)
	plain, err := json.Marshal(keyRecord{1, hex.EncodeToString(id[:]), name, key, s.clock.Now().UnixMicro()})
	if err != nil {
		return nil, nil, core.Wrap(core.KindInternal, "audit", err)
	}
	defer clear(plain)
	sealed, err := s.sealer.Seal(plain, subjectsContext)
	if err != nil {
		return nil, nil, fmt.Errorf("audit: sealing a subject key: %w", err)
	}
	k, err := newSubject(id, name, key)
	return k, sealed, err
}

// save writes the file; the order is that of the random ids, which tells
// nothing.
func (s *subjects) save(sealed map[[kidLen]byte][]byte) error {
	ids := slices.SortedFunc(maps.Keys(sealed), func(a, b [kidLen]byte) int { return bytes.Compare(a[:], b[:]) })
	b := binary.LittleEndian.AppendUint32([]byte(subjectsMagic), uint32(len(ids)))
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(sealed[id])))
		b = append(b, sealed[id]...)
	}
	return core.Wrap(core.KindUnavailable, "audit", atomicfile.WriteFile(s.path, b, 0o600))
}

// lookup returns the key with an id, nil if it was destroyed or never here.
func (s *subjects) lookup(id [kidLen]byte) *subject {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byID[id]
}

func (s *subjects) all() []*subject {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.SortedFunc(maps.Values(s.byID), func(a, b *subject) int { return strings.Compare(a.name, b.name) })
}

// destroy removes a key from memory and disk.
func (s *subjects) destroy(k *subject) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := maps.Clone(s.sealed)
	delete(rest, k.id)
	if err := s.save(rest); err != nil {
		return err
	}
	s.sealed = rest
	delete(s.byName, k.name)
	delete(s.byID, k.id)
	return nil
}
