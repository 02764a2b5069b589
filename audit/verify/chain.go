package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/link"
)

// Joined is one log of an export, checked by itself and in its place between
// the others.
type Joined struct {
	Dir string
	*Report
	// Statement is what began this log. It is nil for the first one, and for one
	// that was begun because the log before it is damaged.
	Statement *audit.Statement
	// Succeeded says that a later log's statement names this one.
	Succeeded bool
	// Lost is how many entries are known to be missing at its end.
	Lost uint64
	// Gone are the logs before it, by its statement, of which nothing can be
	// proved any more; they are not in the export.
	Gone []audit.Predecessor
}

const maxSuccession = 64 << 10

// part is one log's folder within an export.
type part struct {
	dir        string
	number     int
	succession *succession // nil: none
	checker    *checker
}

// succession is the file beside a successor's checkpoint.
type succession struct {
	V          int    `json:"v"`
	Statement  []byte `json:"statement"`
	Signatures []byte `json:"signatures"`

	says audit.Statement
}

// Chain checks an export with all logs that it succeeded, oldest first. Each is
// checked as [Export] does; each that a succession began must have been begun by
// a statement that signed accepts, that its first entry names, and that tells
// the heads of all logs before it as they are. vkey returns the public key for
// an origin. Without signed the signatures are not looked at.
//
// The last log of an export made in stop-only mode has no statement: see
// [Joined.Statement].
func Chain(dir string, vkey func(origin string) string, signed func(statement, signatures []byte) error) ([]Joined, error) {
	parts, line, err := readParts(dir)
	if err != nil {
		return nil, err
	}
	marks := map[string][]uint64{}
	for _, p := range parts {
		if p.succession == nil {
			continue
		}
		for _, before := range p.succession.says.Predecessors {
			marks[before.Origin] = append(marks[before.Origin], before.Size)
		}
	}
	for _, p := range parts {
		origin := originOf(line, p.number)
		if p.checker, err = export(p.dir, vkey(origin), marks[origin]); err != nil {
			return nil, fmt.Errorf("%s: %w", p.dir, err)
		}
	}
	return join(parts, line, signed)
}

func originOf(line string, number int) string {
	if number == 1 {
		return line
	}
	return fmt.Sprintf("%s/g%d", line, number)
}

// readParts finds the folders and reads which log each claims to be.
func readParts(dir string) (parts []*part, line string, err error) {
	head, err := readLimited(filepath.Join(dir, "checkpoint"), maxCheckpoint)
	if err != nil {
		return nil, "", err
	}
	origin, _, _ := strings.Cut(string(head), "\n")
	line, number := link.Generation(origin)
	entries, err := os.ReadDir(filepath.Join(dir, "predecessors"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", fail("%s: %v", dir, err)
	}
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil || n < 1 || n >= number || strconv.Itoa(n) != e.Name() {
			return nil, "", fail("%s is not the folder of a log before %s", filepath.Join(dir, "predecessors", e.Name()), origin)
		}
		parts = append(parts, &part{dir: filepath.Join(dir, "predecessors", e.Name()), number: n})
	}
	parts = append(parts, &part{dir: dir, number: number})
	slices.SortFunc(parts, func(a, b *part) int { return a.number - b.number })
	for _, p := range parts {
		if err := p.readSuccession(); err != nil {
			return nil, "", err
		}
	}
	return parts, line, nil
}

func (p *part) readSuccession() error {
	path := filepath.Join(p.dir, "succession")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	b, err := readLimited(path, maxSuccession)
	if err != nil {
		return err
	}
	s := new(succession)
	if err := json.Unmarshal(b, s); err != nil {
		return fail("%s: %v", path, err)
	}
	again, err := json.Marshal(s)
	if err != nil || s.V != 1 || !bytes.Equal(again, b) {
		return fail("%s: not in its one encoding", path)
	}
	if s.says, err = audit.ParseStatement(s.Statement); err != nil {
		return fail("%s: %v", path, err)
	}
	p.succession = s
	return nil
}

// join holds each log against the statements.
func join(parts []*part, line string, signed func(statement, signatures []byte) error) ([]Joined, error) {
	byOrigin, named := map[string]*Joined{}, map[string]bool{}
	list := make([]Joined, len(parts))
	for i, p := range parts {
		list[i] = Joined{Dir: p.dir, Report: p.checker.report}
		byOrigin[originOf(line, p.number)] = &list[i]
	}
	for i, p := range parts {
		if p.succession == nil && p.checker.first.Type == audit.TypeSuccession {
			return nil, fail("%s begins with a succession; its statement is not in the export", list[i].Origin)
		}
		if p.succession == nil {
			continue
		}
		if err := p.begun(line, signed); err != nil {
			return nil, err
		}
		list[i].Statement = &p.succession.says
		for n, before := range p.succession.says.Predecessors {
			named[before.Origin] = true
			if byOrigin[before.Origin] == nil && before.Size == 0 {
				list[i].Gone = append(list[i].Gone, before)
				continue
			}
			if err := p.follows(before, n+2 == p.number, parts, byOrigin[before.Origin]); err != nil {
				return nil, err
			}
		}
	}
	last := parts[len(parts)-1].number
	for n := 1; n < last; n++ {
		if origin := originOf(line, n); byOrigin[origin] == nil && !named[origin] {
			return nil, fail("%s, which was before %s, is not in the export", origin, originOf(line, last))
		}
	}
	return list, nil
}

// begun checks how a log begins: with an entry that names the statement, which
// is for this log, lists all before it and is signed.
func (p *part) begun(line string, signed func(statement, signatures []byte) error) error {
	s, origin := p.succession, originOf(line, p.number)
	if s.says.Origin != origin || len(s.says.Predecessors) != p.number-1 {
		return fail("%s: the succession begins %s after %d logs, this is %s", p.dir, s.says.Origin, len(s.says.Predecessors), origin)
	}
	for i, before := range s.says.Predecessors {
		if before.Origin != originOf(line, i+1) {
			return fail("%s: the succession names %s as log %d of %s", p.dir, before.Origin, i+1, line)
		}
	}
	sum := sha256.Sum256(s.Statement)
	if h := p.checker.first; h.Type != audit.TypeSuccession || h.Object != "succession/"+hex.EncodeToString(sum[:]) {
		return fail("%s does not begin with its succession", origin)
	}
	if signed == nil {
		return nil
	}
	if err := signed(s.Statement, s.Signatures); err != nil {
		return fail("the succession to %s is not signed by persons whom the trust root names: %v", origin, err)
	}
	return nil
}

// follows checks that a predecessor is what the statement says. Only the one
// that was written until the succession may have grown after the statement.
func (p *part) follows(before audit.Predecessor, written bool, parts []*part, there *Joined) error {
	if there == nil {
		return fail("%s, with %d entries before %s, is not in the export", before.Origin, before.Size, p.succession.says.Origin)
	}
	i := slices.IndexFunc(parts, func(x *part) bool { return x.dir == there.Dir })
	root, known := parts[i].checker.roots[before.Size]
	if before.Size == 0 {
		known = true // every log begins with nothing
	}
	switch {
	case !known || before.Size > 0 && !bytes.Equal(root[:], before.Root):
		return fail("%s: what persons signed as its first %d entries is not what it holds", before.Origin, before.Size)
	case there.Size != before.Size && !written:
		return fail("%s has %d entries; it had %d when it was given up", before.Origin, there.Size, before.Size)
	}
	there.Succeeded, there.Lost = true, max(there.Lost, before.Lost())
	return nil
}
