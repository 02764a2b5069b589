package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/platform/wal"
)

const (
	maxBatch = 512
	maxFrame = 1 << 20 // bytes of entries that one commit gathers
	// MinSegmentSize lets every leaf fit.
	MinSegmentSize = 128 << 10
)

// Config is what a log needs.
type Config struct {
	Dir string
	// Origin names the log: installation/process/tenant, for example
	// "interlock.local/4f2a/serve/main".
	Origin string
	// Seed is the 32-byte ed25519 seed that signs checkpoints.
	Seed core.Secret
	// Sealer wraps the subject keys: the host keyring.
	Sealer core.Sealer
	Clock  core.Clock
	// Known returns every size and root of these logs that is known
	// elsewhere: in the state database, from devices, from witnesses. A log
	// that holds less or other than any of them is damaged.
	Known func() []Checkpoint
	// VerifySuccession checks that statement carries the signatures that the
	// trust root demands of its root role. Without it no succession counts.
	VerifySuccession func(statement, signatures []byte) error
	// SegmentSize of the WAL; 0 means 64 MiB. Three segments are kept on
	// disk at the least: one is written, one is ready, one is the reserve.
	SegmentSize int64
	Log         *slog.Logger

	// Faults for tests: see wal.Options.
	walOptions wal.Options
}

// Mode is whether the log takes everything.
type Mode string

// The modes.
const (
	ModeNormal Mode = "normal"
	// ModeStopOnly takes vital entries only, until a succession.
	ModeStopOnly Mode = "stop-only"
)

// Log is an open audit log. Safe for concurrent use; one process opens a
// folder.
type Log struct {
	c        Config
	subjects *subjects
	group    *wal.Group[*request]

	writing sync.Mutex // one commit, diversion or succession at a time

	mu      sync.RWMutex
	chain   []*generation // all, oldest first
	current *generation   // where entries go
	reason  string        // why stop-only, "" in normal mode
	closed  bool
}

// request is what one caller wants appended, in order.
type request struct{ items []*pending }

// Open opens the log in c.Dir, making it on first use. A damaged log opens in
// stop-only mode, which is no error; what can't be opened at all is.
func Open(_ context.Context, c Config) (*Log, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := atomicfile.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "audit.Open", err)
	}
	l := &Log{c: c}
	l.group = wal.NewGroup(maxBatch, l.commit)
	lost, err := l.openKeys()
	if err == nil {
		err = l.open()
	}
	if err == nil && lost != nil && (l.Size() > 0 || len(l.chain) > 1) && !l.stopOnly() {
		err = l.divert(lost)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// openKeys opens the subject keys. Lost keys are damage, not absence: the file
// is kept aside, what happens from here on is recorded under new keys, and lost
// says why.
func (l *Log) openKeys() (lost, err error) {
	path := filepath.Join(l.c.Dir, "subjects")
	l.subjects, err = openSubjects(path, l.c.Sealer, l.c.Clock)
	switch core.KindOf(err) {
	case core.KindNotFound:
		return core.E(core.KindDamaged, "audit.Open", "the subject keys are lost: "+err.Error()), nil
	case core.KindDamaged:
		lost = core.E(core.KindDamaged, "audit.Open", "the subject keys are lost: "+err.Error())
		err = os.Rename(path, fmt.Sprintf("%s.lost-%d", path, l.c.Clock.Now().Unix()))
		l.subjects = newSubjects(path, l.c.Sealer, l.c.Clock)
		return lost, core.Wrap(core.KindUnavailable, "audit.Open", err)
	}
	return nil, err
}

func (c *Config) check() error {
	if _, err := VerifierKey(c.Origin, c.Seed); err != nil {
		return err
	}
	if isSuccessor(c.Origin) {
		return core.E(core.KindInvalid, "audit.Open", fmt.Sprintf("origin %q ends as those of successors do", c.Origin)).WithHint("name the tenant otherwise")
	}
	if c.SegmentSize != 0 && c.SegmentSize < MinSegmentSize {
		return core.E(core.KindInvalid, "audit.Open", fmt.Sprintf("segments of %d bytes; the least is %d", c.SegmentSize, MinSegmentSize))
	}
	if c.Sealer == nil {
		return core.E(core.KindInvalid, "audit.Open", "no sealer for the subject keys")
	}
	if c.Clock == nil {
		c.Clock = core.SystemClock{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Known == nil {
		c.Known = func() []Checkpoint { return nil }
	}
	if c.VerifySuccession == nil {
		c.VerifySuccession = func([]byte, []byte) error {
			return core.E(core.KindDenied, "audit", "nobody can verify a succession here")
		}
	}
	c.walOptions.SegmentSize, c.walOptions.Reserve = c.SegmentSize, true
	return nil
}

// Append makes the entry durable. It returns after entry, tree and signed
// checkpoint are on disk. Where it returns an error the entry was not recorded,
// unless the error is of kind core.KindUnavailable and says that a sync failed:
// then nobody can know.
func (l *Log) Append(ctx context.Context, e Entry) (Result, error) {
	if err := e.check(); err != nil {
		return Result{}, err
	}
	s := singles.Get().(*single)
	defer s.release()
	if err := l.prepare(e, &s.pending); err != nil {
		return Result{}, err
	}
	s.slot[0] = &s.pending
	s.request.items = s.slot[:]
	if err := l.group.Do(ctx, &s.request); err != nil {
		return Result{}, err
	}
	return s.pending.result, s.pending.err
}

// single is a request of one entry. It is used again: nobody knows it any more
// once Do has returned.
type single struct {
	pending pending
	request request
	slot    [1]*pending
}

var singles = sync.Pool{New: func() any { return new(single) }}

func (s *single) release() {
	*s = single{}
	singles.Put(s)
}

// check refuses what only the log itself may write and what later readers
// could make nothing of.
func (e *Entry) check() error {
	switch {
	case e.Type == TypeSuccession || e.Type == TypeTombstone:
		return core.E(core.KindDenied, "audit.Append", fmt.Sprintf("an entry of type %s is written by the log itself", e.Type))
	case e.Type == TypeAuthority && (e.Object == "" || e.Revision == 0):
		return core.E(core.KindInvalid, "audit.Append", "an authority entry needs an object and a revision from 1 on")
	case e.Type == TypeBatch && !strings.HasPrefix(e.Object, "batch-group/"):
		return core.E(core.KindInvalid, "audit.Append", fmt.Sprintf("the object of a batch is batch/ and the group's root, not %.80q", e.Object))
	case !slices.Contains(vitals, e.Vital):
		return badEntry("vital", string(e.Vital))
	}
	return nil
}

// prepare does in the caller's goroutine what may fail or block.
func (l *Log) prepare(e Entry, p *pending) error {
	e.normalise(l.c.Clock)
	return l.subjects.prepare(&e, p)
}

// commit is what one group of callers waits for.
func (l *Log) commit(requests []*request) error {
	items := make([]*pending, 0, len(requests))
	for _, r := range requests {
		items = append(items, r.items...)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	b := &batch{log: l, g: l.writer()}
	for len(items) > 0 {
		n, size := 0, int64(0)
		for n < len(items) && (n == 0 || size+int64(items[n].size) <= l.chunk()) {
			size += int64(items[n].size)
			n++
		}
		b.commit(items[:n], size)
		items = items[n:]
	}
	return nil
}

// chunk is how many bytes of entries go into one frame.
func (l *Log) chunk() int64 {
	if l.c.SegmentSize == 0 {
		return maxFrame
	}
	return min(maxFrame, l.c.SegmentSize/2)
}

// frameOverhead bounds what a commit adds to its entries.
const frameOverhead = 1024

// batch is one commit under way.
type batch struct {
	log *Log
	g   *generation
	// held is why an outbox entry of this batch was refused: those after it
	// must not overtake it.
	held error
}

// commit writes those items of one frame that may go in at present; the others
// learn why not.
func (b *batch) commit(items []*pending, size int64) {
	refusal := b.log.refusal()
	reserved := refusal != nil
	if refusal == nil {
		refusal = b.g.wal.Admit(size + frameOverhead)
		reserved = refusal != nil
	}
	last := b.g.outbox
	taken := make([]*pending, 0, len(items))
	for _, p := range items {
		if p.err = b.refuse(p, refusal, last); p.err != nil {
			continue
		}
		last = max(last, p.h.Outbox)
		taken = append(taken, p)
	}
	if len(taken) == 0 {
		return
	}
	if b.held = b.g.commit(taken, reserved); b.held != nil {
		for _, p := range taken {
			p.err = b.held
		}
	}
}

// refuse says why an item may not go in, nil if it may.
func (b *batch) refuse(p *pending, refusal error, last uint64) error {
	switch {
	case p.h.Outbox != 0 && b.held != nil:
		return b.held
	case p.h.Outbox != 0 && p.h.Outbox <= last:
		return core.E(core.KindReplayed, "audit.Append", fmt.Sprintf("outbox entry %d is in the log already", p.h.Outbox))
	case refusal != nil && !p.vital:
		if p.h.Outbox != 0 {
			b.held = refusal
		}
		return refusal
	}
	return nil
}

// refusal is why ordinary entries are refused at present.
func (l *Log) refusal() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case l.closed:
		return core.E(core.KindUnavailable, "audit.Append", "the log is closed")
	case l.reason != "":
		return core.E(core.KindUnavailable, "audit.Append", "the log is in stop-only mode: "+l.reason).
			WithHint("stops, containment and ingest go on; the root role ends this by a succession")
	}
	return nil
}

func (l *Log) stopOnly() bool {
	mode, _ := l.Mode()
	return mode == ModeStopOnly
}

// Mode says whether the log takes everything and, if not, why.
func (l *Log) Mode() (Mode, string) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.reason != "" {
		return ModeStopOnly, l.reason
	}
	return ModeNormal, ""
}

func (l *Log) writer() *generation {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.current
}

// Checkpoint returns the newest signed tree head. Its Note is empty while the
// log is.
func (l *Log) Checkpoint() Checkpoint { return *l.writer().latest.Load() }

// Size returns how many entries the current log holds.
func (l *Log) Size() uint64 { return l.Checkpoint().Size }

// Origin returns the current log's origin.
func (l *Log) Origin() string { return l.writer().origin }

// Outbox returns the last outbox number that is durable in the log.
func (l *Log) Outbox() uint64 {
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.writer().tree.outbox()
}

// Close ends the log; what was acknowledged is on disk already.
func (l *Log) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	chain := l.chain
	l.closed = true
	l.mu.Unlock()
	var errs []error
	for _, g := range chain {
		errs = append(errs, g.close())
	}
	return errors.Join(errs...)
}
