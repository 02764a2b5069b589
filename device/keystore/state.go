// Package keystore keeps what makes a device that device: its management key,
// and the state that must never go back: epoch, state counter, trusted time and
// whatever the agent must not forget (latches, orders, the stream's cursor).
//
// Everything is sealed under the host keyring and replaced as a whole. The
// state carries an epoch: a random name for one unbroken history. It changes
// whenever the state is made, was put back from a copy, or can't be shown to be
// the one written last; then no order for the old history fits any more, and
// no sequence number is used twice with other contents (TRUST F08). A whole
// disk image that was put back can't be noticed from within without a TPM; the
// server sees the fork and says so (F19).
package keystore

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

const (
	stateFile    = "state"
	stateContext = "device/state"
	markFile     = "state.mark"
	maxState     = 4 << 20
	// touched is how much younger than its own account a state file may be
	// before it counts as put there by someone else.
	touched = 2 * time.Minute
)

// Continuity is the part of the state that proves one unbroken history.
type Continuity struct {
	// Epoch is 128 random bits, hex.
	Epoch string `json:"epoch"`
	// Reason says why this epoch began, Since when (wall clock, microseconds).
	Reason string `json:"reason"`
	Since  int64  `json:"since"`
	// Counter rises with every write and is never set back, across epochs too.
	Counter uint64 `json:"counter"`
	// Boot is the kernel's boot id at the last write.
	Boot string `json:"boot"`
	// Trusted is the lower bound of time, microseconds (F18).
	Trusted int64 `json:"trusted"`
	// Written is the system clock at the last write, microseconds. The file
	// system's clock is compared with it.
	Written int64 `json:"written"`
}

// Options say where the state lives and what it is measured by.
type Options struct {
	Dir string
	// RunDir is a folder that a restart of the machine empties; the counter is
	// marked there, so that a state put back while the machine runs is noticed.
	// "" for none.
	RunDir string
	Sealer core.Sealer
	Clock  core.Clock
	// Built is when this program was built: the least that time can be.
	Built time.Time
	// BootID returns the kernel's boot id; nil means the real one.
	BootID func() (string, error)
	// Elapsed is the boot-time monotonic clock; nil means the real one.
	Elapsed func() time.Duration
}

// Opening says what Open found.
type Opening struct {
	// Fresh says that there was no state.
	Fresh bool
	// Damaged says that there was one and that it could not be used; it was put
	// aside as Aside.
	Damaged bool
	Aside   string
	// NewEpoch and Reason tell whether and why a new epoch began.
	NewEpoch bool
	Reason   string
	// NewBoot says that the machine was started since the last write.
	NewBoot bool
}

// Store keeps a state with a body of type B. Safe for concurrent use.
type Store[B any] struct {
	o       Options
	opening Opening
	boot    string

	// writing is held across the disk, mu never: who only looks at the state (a
	// stop that is being checked) does not wait for one.
	writing sync.Mutex
	mu      sync.Mutex
	cont    Continuity
	body    B
	base    int64         // trusted time when set, microseconds
	setAt   time.Duration // and the boot-time clock then
	upper   heard
}

// document is the file's contents before sealing.
type document[B any] struct {
	V          int        `json:"v"`
	Continuity Continuity `json:"continuity"`
	Body       B          `json:"body"`
}

// Open reads the state, or begins a new one. It fails only where nothing can be
// written: damage begins a new epoch, and the caller treats the loss of an
// enrolled device's state as an attack (see [Opening]).
func Open[B any](o Options) (*Store[B], error) {
	s := &Store[B]{o: o.withDefaults()}
	var err error
	if s.boot, err = s.o.BootID(); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "keystore.Open", err)
	}
	if err := atomicfile.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "keystore.Open", err)
	}
	reason, err := s.load()
	if err != nil {
		return nil, err
	}
	s.opening.NewBoot = s.cont.Boot != s.boot
	s.anchor(max(s.cont.Trusted, s.o.Built.UnixMicro()))
	if reason != "" {
		s.opening.NewEpoch, s.opening.Reason = true, reason
		s.cont.begin(reason, s.o.Clock.Now())
	}
	return s, s.Update(func(*B) error { return nil })
}

func (o Options) withDefaults() Options {
	if o.BootID == nil {
		o.BootID = BootID
	}
	if o.Elapsed == nil {
		o.Elapsed = Elapsed
	}
	return o
}

// load reads the file and says why a new epoch must begin, "" if none.
func (s *Store[B]) load() (reason string, err error) {
	path := filepath.Join(s.o.Dir, stateFile)
	sealed, err := readPrivate(path, maxState)
	switch {
	case core.KindOf(err) == core.KindNotFound:
		s.opening.Fresh = true
		return "there was no state", nil
	case core.KindOf(err) == core.KindUnavailable:
		return "", fmt.Errorf("keystore.Open: %w", err)
	}
	var doc document[B]
	if err == nil {
		doc, err = unseal[B](s.o.Sealer, sealed)
	}
	if err != nil {
		return s.putAside(path, err)
	}
	s.cont, s.body = doc.Continuity, doc.Body
	return s.broken(path), nil
}

func unseal[B any](sealer core.Sealer, sealed []byte) (doc document[B], err error) {
	plain, err := sealer.Open(sealed, stateContext)
	if err != nil {
		return doc, err
	}
	if err := json.Unmarshal(plain, &doc); err != nil {
		return doc, err
	}
	if doc.V != 1 || len(doc.Continuity.Epoch) != 32 {
		return doc, core.E(core.KindDamaged, "keystore", fmt.Sprintf("state of version %d is not known here", doc.V))
	}
	return doc, nil
}

// putAside keeps a state that can't be used for whoever investigates.
func (s *Store[B]) putAside(path string, cause error) (string, error) {
	s.opening.Damaged = true
	s.opening.Aside = fmt.Sprintf("%s.damaged-%d", path, time.Now().UnixMicro())
	if err := os.Rename(path, s.opening.Aside); err != nil {
		return "", core.Wrap(core.KindUnavailable, "keystore.Open", err)
	}
	return fmt.Sprintf("the state could not be used: %v", cause), nil
}

// broken says why the state is not provably the one written last.
func (s *Store[B]) broken(path string) string {
	if m, ok := s.readMark(); ok && m.Boot == s.boot && m.Counter > s.cont.Counter {
		return fmt.Sprintf("the state went back from counter %d to %d", m.Counter, s.cont.Counter)
	}
	changed, err := changeTime(path)
	if err != nil {
		return fmt.Sprintf("the state's age is not known: %v", err)
	}
	if late := changed.Sub(time.UnixMicro(s.cont.Written)); late > touched {
		return fmt.Sprintf("the state file was put in place %s after it was written", late.Round(time.Second))
	}
	return ""
}

// changeTime is when the kernel says that the file was last put in place. No
// tool can set it, but restoring a copy does.
func changeTime(path string) (time.Time, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return time.Time{}, err
	}
	return time.Unix(st.Ctim.Unix()), nil
}

type mark struct {
	Boot    string `json:"boot"`
	Counter uint64 `json:"counter"`
}

func (s *Store[B]) readMark() (m mark, ok bool) {
	if s.o.RunDir == "" {
		return m, false
	}
	b, err := readPrivate(filepath.Join(s.o.RunDir, markFile), 4<<10)
	return m, err == nil && json.Unmarshal(b, &m) == nil
}

// writeMark is best effort: the mark can only add suspicion, never lift it.
func (s *Store[B]) writeMark(counter uint64) {
	if s.o.RunDir == "" {
		return
	}
	if b, err := json.Marshal(mark{s.boot, counter}); err == nil {
		_ = os.WriteFile(filepath.Join(s.o.RunDir, markFile), b, 0o600)
	}
}

func (c *Continuity) begin(reason string, now time.Time) {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // crypto/rand.Read never fails since Go 1.24
	c.Epoch, c.Reason, c.Since = hex.EncodeToString(b), reason, now.UnixMicro()
}

// Opening returns what Open found.
func (s *Store[B]) Opening() Opening { return s.opening }

// View shows the state. The body must not be kept or changed.
func (s *Store[B]) View(fn func(Continuity, *B)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(s.cont, &s.body)
}

// Continuity returns what proves the history.
func (s *Store[B]) Continuity() (c Continuity) {
	s.View(func(got Continuity, _ *B) { c = got })
	return c
}

// Update changes the body and makes the whole state durable before it returns.
// When it returns an error, nothing changed, neither here nor on disk.
func (s *Store[B]) Update(fn func(*B) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	cont, body := s.now()
	next, err := clone(body)
	if err != nil {
		return core.Wrap(core.KindInternal, "keystore.Update", err)
	}
	if err := fn(&next); err != nil {
		return err
	}
	return s.write(cont, next)
}

// now returns the state; bodies are replaced and never changed.
func (s *Store[B]) now() (Continuity, B) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cont, s.body
}

// NewEpoch begins a new epoch: the other side says that this history is not the
// only one.
func (s *Store[B]) NewEpoch(reason string) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	cont, body := s.now()
	cont.begin(reason, s.o.Clock.Now())
	return s.write(cont, body)
}

func (s *Store[B]) write(cont Continuity, body B) error {
	cont.Counter++
	cont.Boot, cont.Trusted, cont.Written = s.boot, s.Time().Lower.UnixMicro(), time.Now().UnixMicro()
	plain, err := json.Marshal(document[B]{1, cont, body})
	if err != nil {
		return core.Wrap(core.KindInternal, "keystore.Update", err)
	}
	if len(plain) > maxState/2 {
		return core.E(core.KindTooLarge, "keystore.Update", fmt.Sprintf("state of %d bytes", len(plain)))
	}
	sealed, err := s.o.Sealer.Seal(plain, stateContext)
	if err != nil {
		return fmt.Errorf("keystore.Update: %w", err)
	}
	if err := s.replace(sealed); err != nil {
		return core.Wrap(core.KindUnavailable, "keystore.Update", err)
	}
	s.mu.Lock()
	s.cont, s.body = cont, body
	s.mu.Unlock()
	s.writeMark(cont.Counter)
	return nil
}

const (
	reserveFile = "state.reserve"
	reserveSize = 256 << 10
)

// replace writes the file. On a full disk it gives up the reserve for it: a
// latch must be kept whatever else has filled the disk.
func (s *Store[B]) replace(sealed []byte) error {
	path, reserve := filepath.Join(s.o.Dir, stateFile), filepath.Join(s.o.Dir, reserveFile)
	err := atomicfile.WriteFile(path, sealed, 0o600)
	if errors.Is(err, unix.ENOSPC) && os.Remove(reserve) == nil {
		err = atomicfile.WriteFile(path, sealed, 0o600)
	}
	if err == nil {
		if _, statErr := os.Lstat(reserve); errors.Is(statErr, os.ErrNotExist) {
			keepReserve(reserve)
		}
	}
	return err
}

// keepReserve is best effort: on a full disk there is none to keep.
func keepReserve(path string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	_, err = f.Write(make([]byte, reserveSize))
	if errors.Join(err, f.Close()) != nil {
		_ = os.Remove(path)
	}
}

// clone copies a body, so that a failed update leaves the old one untouched.
func clone[B any](b B) (c B, err error) {
	raw, err := json.Marshal(b)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(raw, &c)
}

// BootID returns the kernel's name for this start of the machine.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	if len(b) < 36 {
		return "", errors.New("the kernel's boot id is too short")
	}
	return string(b[:36]), nil
}

// Elapsed returns the time since the machine was started, sleep included. No
// setting of a clock moves it.
func Elapsed() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
