package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// open finds the generations, opens the one that is written and decides the
// mode.
func (l *Log) open() error {
	n, gap := countGenerations(l.c.Dir)
	if gap != nil && core.KindOf(gap) != core.KindDamaged {
		return gap
	}
	for number := 1; number <= max(n, 1); number++ {
		g, err := l.generation(number)
		if err != nil {
			return err
		}
		l.chain = append(l.chain, g)
	}
	head := l.head()
	if head < len(l.chain)-1 {
		return l.resumeDiverted(head)
	}
	g := l.chain[head]
	err := gap
	if err == nil {
		if err = g.openToWrite(l.c.walOptions); err == nil {
			err = l.checkKnown(g)
		}
	}
	if err == nil {
		l.current = g
		return nil
	}
	if core.KindOf(err) != core.KindDamaged {
		return errors.Join(err, g.close())
	}
	return l.divert(err)
}

func (l *Log) originOf(number int) string {
	if number == 1 {
		return l.c.Origin
	}
	return fmt.Sprintf("%s/g%d", l.c.Origin, number)
}

// isSuccessor reports whether an origin could be one that originOf makes. A
// log's own may not: readers tell by it which log came after which.
func isSuccessor(origin string) bool {
	at := strings.LastIndex(origin, "/g")
	return at >= 0 && origin[at+2:] != "" && strings.Trim(origin[at+2:], "0123456789") == ""
}

func (l *Log) generation(number int) (*generation, error) {
	g := &generation{number: number, dir: generationDir(l.c.Dir, number), origin: l.originOf(number), log: l.c.Log}
	var err error
	g.signer, g.verifier, err = newSigner(g.origin, l.c.Seed)
	return g, err
}

// head returns the place in the chain of the last log that is in its own right:
// the first one, or one that a valid succession began. Those after it were
// written while it was damaged.
func (l *Log) head() int {
	for i := len(l.chain) - 1; i > 0; i-- {
		if l.succeeded(l.chain[i]) == nil {
			return i
		}
	}
	return 0
}

// checkKnown compares an open generation with what is known elsewhere.
func (l *Log) checkKnown(g *generation) error {
	for _, k := range l.c.Known() {
		if k.Origin != g.origin {
			if err := l.checkKnownElsewhere(k); err != nil {
				return err
			}
			continue
		}
		size := g.tree.size()
		if k.Size > size {
			return core.E(core.KindDamaged, "audit.Open", fmt.Sprintf("%s has %d entries, but %d are known elsewhere: entries are lost or the folder is an old copy", g.origin, size, k.Size))
		}
		root, err := g.tree.rootAt(k.Size)
		if err != nil {
			return err
		}
		if root != k.Root {
			return core.E(core.KindDamaged, "audit.Open", fmt.Sprintf("%s: the first %d entries are not those that are known elsewhere: another history was put in its place", g.origin, k.Size))
		}
	}
	return nil
}

// checkKnownElsewhere takes a checkpoint of a closed generation as settled and
// one of a generation that is not here as a loss.
func (l *Log) checkKnownElsewhere(k Checkpoint) error {
	for _, g := range l.chain {
		if g.origin == k.Origin {
			return nil
		}
	}
	return core.E(core.KindDamaged, "audit.Open", fmt.Sprintf("%d entries of %s are known elsewhere, that log is not here: the folder is an old copy", k.Size, k.Origin))
}

// diversion is the body of the first entry of a log that was begun because the
// one before is damaged.
type diversion struct {
	Damaged string `json:"damaged"` // origin
	Size    uint64 `json:"size"`    // entries that can still be proved
	Root    []byte `json:"root"`
	Reason  string `json:"reason"`
}

// divert goes on in a new generation after damage. The damaged one stays open
// as far as it can be read. The caller holds writing, or is Open.
func (l *Log) divert(cause error) error {
	damaged := l.chain[len(l.chain)-1]
	if err := damaged.ready(); err != nil {
		return err
	}
	g, err := l.generation(damaged.number + 1)
	if err != nil {
		return err
	}
	if err := g.openToWrite(l.c.walOptions); err != nil {
		return errors.Join(err, g.close())
	}
	at := damaged.latest.Load()
	first := Entry{
		Type: TypeFact, Actor: "service/audit", Action: "audit.damaged", Object: fmt.Sprintf("log/g%d", damaged.number), Class: ClassAudit,
		Body: diversion{damaged.origin, at.Size, at.Root[:], cause.Error()}, outbox: damaged.tree.outbox(),
	}
	if err := l.appendFirst(g, first); err != nil {
		return errors.Join(err, g.close())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.chain, l.current, l.reason = append(l.chain, g), g, cause.Error()
	l.c.Log.Error("audit log: stop-only mode", slog.String("damaged", damaged.origin), slog.Uint64("provable", at.Size), slog.String("reason", cause.Error()))
	return nil
}

// appendFirst writes the entry that a generation begins with.
func (l *Log) appendFirst(g *generation, e Entry) error {
	p := &pending{}
	if err := l.prepare(e, p); err != nil {
		return err
	}
	return g.commit([]*pending{p}, true)
}

// resumeDiverted opens a log that was damaged at an earlier start and not
// mended since.
func (l *Log) resumeDiverted(head int) error {
	g := l.chain[len(l.chain)-1]
	err := g.openToWrite(l.c.walOptions)
	if err == nil && g.tree.size() == 0 { // died before its first entry
		err = core.E(core.KindDamaged, "audit.Open", g.origin+" does not say why it was begun")
	}
	if err == nil {
		err = l.checkKnown(g)
	}
	if err != nil {
		if core.KindOf(err) != core.KindDamaged {
			return errors.Join(err, g.close())
		}
		return l.divert(err)
	}
	l.current = g
	l.reason = fmt.Sprintf("%s is damaged and has no successor", l.chain[head].origin)
	if leaf, err := g.leaf(0); err == nil {
		var d diversion
		if r, err := l.subjects.open(core.Position{Origin: g.origin}, leaf); err == nil && json.Unmarshal(r.Body, &d) == nil && d.Reason != "" {
			l.reason = d.Reason
		}
	}
	return nil
}

// reader returns the generation with an origin, "" meaning the current one,
// opened for reading.
func (l *Log) reader(origin string) (*generation, error) {
	if origin == "" {
		return l.writer(), nil
	}
	l.mu.RLock()
	chain := l.chain
	l.mu.RUnlock()
	for _, g := range chain {
		if g.origin == origin {
			return g, g.ready()
		}
	}
	return nil, core.E(core.KindNotFound, "audit", fmt.Sprintf("there is no log %.200q here", origin))
}

func readIfThere(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, core.E(core.KindNotFound, "audit", filepath.Base(path)+" is not there")
	}
	return b, core.Wrap(core.KindUnavailable, "audit", err)
}
