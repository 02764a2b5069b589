package audit

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/core"
)

// Entry reads one entry back, proved against the tree. The empty origin means
// the current log.
func (l *Log) Entry(_ context.Context, at core.Position) (Record, error) {
	g, err := l.reader(at.Origin)
	if err != nil {
		return Record{}, err
	}
	leaf, err := g.leaf(at.Index)
	if err != nil {
		return Record{}, err
	}
	return l.subjects.open(core.Position{Origin: g.origin, Index: at.Index}, leaf)
}

// InclusionPath returns the RFC 6962 path of an entry of the current log in its
// tree of size.
func (l *Log) InclusionPath(index, size uint64) ([][]byte, error) {
	p, err := l.writer().tree.prove(index, size)
	if err != nil {
		return nil, err
	}
	path := make([][]byte, len(p))
	for i := range p {
		path[i] = slices.Clone(p[i][:])
	}
	return path, nil
}

// Consistency returns the RFC 6962 proof that the current log's tree of size
// newer begins with its tree of size older: what a witness asks for.
func (l *Log) Consistency(older, newer uint64) ([][]byte, error) {
	t := l.writer().tree
	if older == 0 || older > newer || newer > t.size() {
		return nil, core.E(core.KindNotFound, "audit.Consistency", fmt.Sprintf("no proof from %d to %d in a log of %d", older, newer, t.size()))
	}
	p, err := tlog.ProveTree(int64(newer), int64(older), t)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "audit.Consistency", err)
	}
	path := make([][]byte, len(p))
	for i := range p {
		path[i] = slices.Clone(p[i][:])
	}
	return path, nil
}

// Proof returns the c2sp.org/tlog-proof@v1 file that proves one entry offline,
// with the leaf as its extra data. It is checked before it is handed out.
func (l *Log) Proof(_ context.Context, at core.Position) ([]byte, error) {
	g, err := l.reader(at.Origin)
	if err != nil {
		return nil, err
	}
	leaf, err := g.leaf(at.Index)
	if err != nil {
		return nil, err
	}
	head := g.latest.Load()
	path, err := g.tree.prove(at.Index, head.Size)
	if err != nil {
		return nil, err
	}
	if err := tlog.CheckRecord(path, int64(head.Size), head.Root, int64(at.Index), tlog.RecordHash(leaf)); err != nil {
		return nil, core.E(core.KindDamaged, "audit.Proof", fmt.Sprintf("entry %d of %s cannot be proved: the hashes on disk do not fit the signed root", at.Index, g.origin))
	}
	p := proof.TLogProof{Index: at.Index, Checkpoint: head.Note, ExtraData: leaf}
	for _, h := range path {
		p.Hashes = append(p.Hashes, h)
	}
	return p.Marshal(), nil
}

// Query selects entries. Empty fields select everything.
type Query struct {
	Actor   string // principal, or a pseudonym as the log shows it
	Action  core.Action
	Object  string
	Since   time.Time // inclusive
	Until   time.Time // exclusive
	Outcome string
	Type    Type
	// Before continues a search with [Log.Page]: only entries before this one.
	// The zero position means from the end on.
	Before core.Position
	// Limit is how many of the newest are returned; 0 means 100.
	Limit int
}

// maxHits bounds what one search holds in memory.
const maxHits = 10_000

// Search reads the log and returns the newest entries that fit, newest first.
// Each carries its position and can be proved. The log is the truth: an index
// would only be faster.
func (l *Log) Search(ctx context.Context, q Query) ([]Record, error) {
	match := l.matcher(q)
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, maxHits)
	l.mu.RLock()
	chain := slices.Clone(l.chain)
	l.mu.RUnlock()
	var hits []Record
	for i := len(chain) - 1; i >= 0 && len(hits) < limit; i-- {
		if err := chain[i].ready(); err != nil {
			return nil, err
		}
		found, err := l.searchOne(ctx, chain[i], match, limit-len(hits))
		if err != nil {
			return nil, err
		}
		slices.Reverse(found)
		hits = append(hits, found...)
	}
	return hits, nil
}

// searchOne returns the newest hits of one generation, oldest first.
func (l *Log) searchOne(ctx context.Context, g *generation, match func(*Header) bool, limit int) ([]Record, error) {
	type hit struct {
		index uint64
		leaf  []byte
	}
	var ring []hit
	err := g.scan(ctx, 0, g.tree.size(), func(index uint64, leaf []byte) error {
		h, _, err := ParseLeaf(leaf)
		if err != nil {
			return err
		}
		if !match(&h) {
			return nil
		}
		if len(ring) == 2*limit { // the older half has no chance
			ring = slices.Delete(ring, 0, limit)
		}
		ring = append(ring, hit{index, slices.Clone(leaf)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	ring = ring[max(0, len(ring)-limit):]
	records := make([]Record, 0, len(ring))
	for _, h := range ring {
		r, err := l.subjects.open(core.Position{Origin: g.origin, Index: h.index}, h.leaf)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

func (l *Log) matcher(q Query) func(*Header) bool {
	actors, objects := l.subjects.pseudonyms(q.Actor), l.subjects.pseudonyms(q.Object)
	since, until := q.Since.UnixMicro(), q.Until.UnixMicro()
	return func(h *Header) bool {
		switch {
		case q.Actor != "" && !slices.Contains(actors, h.Actor),
			q.Object != "" && !slices.Contains(objects, h.Object),
			q.Action != "" && q.Action != h.Action,
			q.Outcome != "" && q.Outcome != h.Outcome,
			q.Type != "" && q.Type != h.Type,
			!q.Since.IsZero() && h.Time < since,
			!q.Until.IsZero() && h.Time >= until:
			return false
		}
		return true
	}
}

// Replay hands every entry of every generation to fn, oldest first: what a
// fold over the log reads. Bodies are opened where the keys allow it.
func (l *Log) Replay(ctx context.Context, fn func(Record) error) error {
	l.mu.RLock()
	chain := slices.Clone(l.chain)
	l.mu.RUnlock()
	for _, g := range chain {
		if err := g.ready(); err != nil {
			return err
		}
		err := g.scan(ctx, 0, g.tree.size(), func(index uint64, leaf []byte) error {
			r, err := l.subjects.open(core.Position{Origin: g.origin, Index: index}, slices.Clone(leaf))
			if err != nil {
				return err
			}
			return fn(r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Verify reads the current log from its first byte and checks every frame,
// every signature and every stored hash. Damage is returned and puts the log
// into stop-only mode.
func (l *Log) Verify(ctx context.Context) error {
	g := l.writer()
	size := g.tree.size()
	check := &generation{number: g.number, dir: g.dir, origin: g.origin, verifier: g.verifier, wal: g.wal, log: g.log}
	check.tree = &tree{spans: []*span{{segment: 1}}}
	r := &replay{g: check, every: true, compare: g.tree}
	err := r.run(ctx, size)
	if err == nil && check.tree.size() != size {
		err = core.E(core.KindDamaged, "audit.Verify", fmt.Sprintf("%s: %d entries are on disk, %d were acknowledged", g.origin, check.tree.size(), size))
	}
	if core.KindOf(err) != core.KindDamaged {
		return err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.writer() != g { // succeeded or diverted meanwhile
		return err
	}
	if diverted := l.divert(err); diverted != nil {
		return fmt.Errorf("%w; and no other log can be begun: %w", err, diverted)
	}
	return err
}

// Erase destroys the key of a subject: what the log says about it can never be
// read again, every proof holds. The tombstone is durable first. Whether it may
// be done, and who must agree, is the caller's to decide before.
func (l *Log) Erase(ctx context.Context, by Entry, subject string) (Result, error) {
	key := l.subjects.find(subject)
	if key == nil || subject == subjectInstallation {
		return Result{}, core.E(core.KindNotFound, "audit.Erase", "there is no such subject").
			WithHint("subjects are persons, person/ID, and strangers by month, strangers/YYYY-MM")
	}
	by.Type, by.Object, by.Action = TypeTombstone, "keyring/"+fmt.Sprintf("%x", key.id), "audit.erase"
	p := &pending{}
	if err := l.prepare(by, p); err != nil {
		return Result{}, err
	}
	if err := l.group.Do(ctx, &request{[]*pending{p}}); err != nil {
		return Result{}, err
	}
	if p.err != nil {
		return Result{}, p.err
	}
	return p.result, l.subjects.destroy(key)
}
