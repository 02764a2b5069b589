package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

// Statement is what the root role signs to begin a successor: which log it is
// and what all logs before it held. Its exact bytes are what [Log.Statement]
// returns; the first entry of the successor names their hash.
type Statement struct {
	V            int           `json:"v"` // 1
	Origin       string        `json:"origin"`
	Predecessors []Predecessor `json:"predecessors"`
	Reason       string        `json:"reason"`
}

// Predecessor is a log and the tree head up to which it can be proved. Known is
// how many entries are known to have been in it, here or elsewhere: what lies
// between is the gap that the damage left, and whoever signs the statement signs
// for it too.
type Predecessor struct {
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	Root   []byte `json:"root"`
	Known  uint64 `json:"known"`
}

// Lost is how many entries are known to be missing.
func (p Predecessor) Lost() uint64 { return max(p.Known, p.Size) - p.Size }

// succession is the file beside a successor's first entry.
type succession struct {
	V          int    `json:"v"` // 1
	Statement  []byte `json:"statement"`
	Signatures []byte `json:"signatures"`
}

const (
	successionFile = "succession"
	// maxStatement bounds statement and signatures together: both go into one leaf.
	maxStatement = 40 << 10
)

// Statement returns the bytes to be signed for a succession from here. It is of
// kind core.KindConflict in normal mode: there is nothing to succeed.
func (l *Log) Statement(context.Context) ([]byte, error) {
	mode, reason := l.Mode()
	if mode == ModeNormal {
		return nil, core.E(core.KindConflict, "audit.Statement", "the log is whole; it needs no successor")
	}
	l.mu.RLock()
	chain := l.chain
	l.mu.RUnlock()
	s := Statement{V: 1, Origin: l.originOf(len(chain) + 1), Reason: reason}
	for _, g := range chain {
		if err := g.ready(); err != nil {
			return nil, err
		}
		at := g.latest.Load()
		s.Predecessors = append(s.Predecessors, Predecessor{g.origin, at.Size, at.Root[:], l.known(g)})
	}
	return json.Marshal(s)
}

// known is the largest size of a log that is known, here or elsewhere.
func (l *Log) known(g *generation) uint64 {
	size := g.latest.Load().Size
	for _, k := range l.c.Known() {
		if k.Origin == g.origin {
			size = max(size, k.Size)
		}
	}
	return size
}

// Succeed begins the successor that the statement describes. The signatures are
// what [Config.VerifySuccession] takes. Vital entries recorded after the
// statement was made stay in their log, whose final head the successor's second
// entry names.
func (l *Log) Succeed(ctx context.Context, statement, signatures []byte) (Result, error) {
	if len(statement)+len(signatures) > maxStatement {
		return Result{}, core.E(core.KindTooLarge, "audit.Succeed", fmt.Sprintf("statement and signatures have %d bytes, at most %d are allowed", len(statement)+len(signatures), maxStatement))
	}
	if err := l.c.VerifySuccession(statement, signatures); err != nil {
		return Result{}, fmt.Errorf("audit.Succeed: %w", err)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.fits(statement); err != nil {
		return Result{}, err
	}
	g, err := l.begin(statement, signatures)
	if err != nil {
		return Result{}, err
	}
	l.mu.Lock()
	l.chain, l.current, l.reason = append(l.chain, g), g, ""
	l.mu.Unlock()
	l.c.Log.Info("audit log: a successor begins", slog.String("origin", g.origin))
	leaf, err := g.leaf(0)
	at := g.latest.Load()
	return Result{core.Position{Origin: g.origin}, leaf, at.Note, at.Size}, err
}

// fits checks that a statement speaks of this log as it is.
func (l *Log) fits(statement []byte) error {
	if mode, _ := l.Mode(); mode == ModeNormal {
		return core.E(core.KindConflict, "audit.Succeed", "the log is whole; it needs no successor")
	}
	s, err := ParseStatement(statement)
	if err != nil {
		return err
	}
	wrong := func(what string) error {
		return core.E(core.KindConflict, "audit.Succeed", "the statement does not fit the log: "+what).
			WithHint("ask for the statement again and sign that")
	}
	if s.Origin != l.originOf(len(l.chain)+1) || len(s.Predecessors) != len(l.chain) {
		return wrong("another origin or another number of logs")
	}
	for i, g := range l.chain {
		p := s.Predecessors[i]
		if err := g.ready(); err != nil {
			return err
		}
		root, err := g.tree.rootAt(p.Size)
		if p.Origin != g.origin || err != nil || !bytes.Equal(root[:], p.Root) {
			return wrong(fmt.Sprintf("%s at %d entries", p.Origin, p.Size))
		}
		// Only the log that still takes vital entries may have grown.
		if g == l.current {
			continue
		}
		if p.Size != g.tree.size() || p.Known != l.known(g) {
			return wrong(fmt.Sprintf("%s has %d entries of %d, not %d of %d", g.origin, g.tree.size(), l.known(g), p.Size, p.Known))
		}
	}
	return nil
}

// ParseStatement reads a statement in its one encoding.
func ParseStatement(b []byte) (Statement, error) {
	var s Statement
	if len(b) > maxStatement {
		return s, core.E(core.KindTooLarge, "audit.Succeed", fmt.Sprintf("a statement of %d bytes, at most %d are allowed", len(b), maxStatement))
	}
	err := json.Unmarshal(b, &s)
	if err == nil {
		var again []byte
		if again, err = json.Marshal(s); err == nil && (s.V != 1 || !bytes.Equal(again, b)) {
			err = errors.New("not in its one encoding")
		}
	}
	return s, core.Wrap(core.KindInvalid, "audit.Succeed", err)
}

// begin makes the successor: its file first, then its first entries.
func (l *Log) begin(statement, signatures []byte) (*generation, error) {
	old := l.current
	g, err := l.generation(len(l.chain) + 1)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.MkdirAll(g.dir, 0o700); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "audit.Succeed", err)
	}
	file, err := json.Marshal(succession{1, statement, signatures})
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "audit.Succeed", err)
	}
	if err := atomicfile.WriteFile(filepath.Join(g.dir, successionFile), file, 0o600); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "audit.Succeed", err)
	}
	if err := g.openToWrite(l.c.walOptions); err != nil {
		return nil, errors.Join(err, g.close())
	}
	for _, e := range l.firstEntries(old, statement, signatures) {
		if err := l.appendFirst(g, e); err != nil {
			return nil, errors.Join(err, g.close())
		}
	}
	return g, nil
}

func (l *Log) firstEntries(old *generation, statement, signatures []byte) []Entry {
	sum := sha256.Sum256(statement)
	at := old.latest.Load()
	return []Entry{{
		Type: TypeSuccession, Actor: "service/audit", Action: "audit.succession", Object: "succession/" + hex.EncodeToString(sum[:]),
		Class: ClassAudit, Body: succession{1, statement, signatures}, outbox: old.tree.outbox(),
	}, {
		Type: TypeFact, Actor: "service/audit", Action: "audit.predecessor", Object: fmt.Sprintf("log/g%d", old.number),
		Class: ClassAudit, Body: Predecessor{old.origin, at.Size, at.Root[:], at.Size},
	}}
}

// succeeded checks that a generation was begun by a valid succession: its
// first entry names the statement, whose signatures are verified again.
func (l *Log) succeeded(g *generation) error {
	b, err := readIfThere(filepath.Join(g.dir, successionFile))
	if err != nil {
		return err
	}
	var s succession
	if err := json.Unmarshal(b, &s); err != nil {
		return core.Wrap(core.KindDamaged, "audit.Open", err)
	}
	st, err := ParseStatement(s.Statement)
	if err != nil {
		return err
	}
	if st.Origin != g.origin {
		return core.E(core.KindDamaged, "audit.Open", fmt.Sprintf("%s: the succession is that of %s", g.origin, st.Origin))
	}
	if err := l.c.VerifySuccession(s.Statement, s.Signatures); err != nil {
		return err
	}
	first, err := g.firstHeader()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(s.Statement)
	if first.Type != TypeSuccession || first.Object != "succession/"+hex.EncodeToString(sum[:]) {
		return core.E(core.KindDamaged, "audit.Open", fmt.Sprintf("%s does not begin with its succession", g.origin))
	}
	return nil
}
