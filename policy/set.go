package policy

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf8"

	"github.com/cedar-policy/cedar-go"

	"github.com/interlock-security/interlock/core"
)

// Limits on what is parsed.
const (
	MaxFile     = 1 << 20
	MaxFiles    = 256
	MaxPolicies = 10_000
)

//go:embed default/*.cedar
var defaults embed.FS

// Set is a set of policies that parsed and names only actions, roles and kinds
// that exist. It does not change; any number of goroutines may evaluate it.
type Set struct {
	hash  string
	all   []*entry
	index map[key][]*entry
	// order is each role's place in the search, see index.go.
	reasons map[string]string
}

// Default returns the policies that the product ships.
func Default() *Set {
	sub, err := fs.Sub(defaults, "default")
	if err != nil {
		panic("policy: " + err.Error()) // the name is a constant
	}
	s, err := Load(sub)
	if err != nil {
		panic("policy: the embedded policies do not load: " + err.Error()) // a test loads them
	}
	return s
}

// Load reads every *.cedar file in the root of fsys as one set. The first fault
// refuses the whole set, naming file, line and column; the error is of kind
// invalid, or too-large.
func Load(fsys fs.FS) (*Set, error) {
	names, err := fs.Glob(fsys, "*.cedar")
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, "policy.Load", err)
	}
	if len(names) == 0 {
		return nil, core.E(core.KindInvalid, "policy.Load", "there is no *.cedar file")
	}
	if len(names) > MaxFiles {
		return nil, core.E(core.KindTooLarge, "policy.Load", fmt.Sprintf("%d files, at most %d are allowed", len(names), MaxFiles))
	}
	files := make([]File, 0, len(names))
	for _, name := range names { // fs.Glob sorts
		text, err := readFile(fsys, name)
		if err != nil {
			return nil, err
		}
		files = append(files, File{name, text})
	}
	return Parse(files...)
}

func readFile(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "policy.Load", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "policy.Load", fmt.Errorf("%s: %w", name, err))
	}
	return text, nil
}

// File is a policy file's name, for messages, and its text.
type File struct {
	Name string
	Text []byte
}

// Parse makes one set of the files, as [Load] does.
func Parse(files ...File) (*Set, error) {
	b := builder{ids: make(map[string]cedar.Position), set: &Set{index: make(map[key][]*entry), reasons: make(map[string]string)}}
	sum := sha256.New()
	for _, f := range files {
		_, _ = fmt.Fprintf(sum, "%d %s %d\n", len(f.Name), f.Name, len(f.Text))
		_, _ = sum.Write(f.Text)
		if err := b.file(f); err != nil {
			return nil, err
		}
	}
	if len(b.set.all) == 0 {
		return nil, core.E(core.KindInvalid, "policy.Parse", "there is no policy in the set")
	}
	b.set.hash = hex.EncodeToString(sum.Sum(nil))
	return b.set, nil
}

// Hash is the SHA-256, hex, over the files' names and texts: which policies
// were in force.
func (s *Set) Hash() string { return s.hash }

// Len returns the number of policies.
func (s *Set) Len() int { return len(s.all) }

// builder collects policies into a set.
type builder struct {
	ids map[string]cedar.Position
	set *Set
}

func (b *builder) file(f File) error {
	if len(f.Text) > MaxFile {
		return core.E(core.KindTooLarge, "policy.Parse", fmt.Sprintf("%s has more than %d bytes", f.Name, MaxFile))
	}
	if i := bytes.IndexByte(f.Text, 0); i >= 0 || !utf8.Valid(f.Text) {
		return core.E(core.KindInvalid, "policy.Parse", f.Name+" is not text")
	}
	list, err := cedar.NewPolicyListFromBytes(f.Name, f.Text)
	if err != nil {
		msg := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "parser error: "), "<input>", f.Name)
		return core.E(core.KindInvalid, "policy.Parse", msg).WithHint("correct the place named; the policies in force stay as they are")
	}
	if len(b.set.all)+len(list) > MaxPolicies {
		return core.E(core.KindTooLarge, "policy.Parse", fmt.Sprintf("more than %d policies", MaxPolicies))
	}
	for _, p := range list {
		if err := b.policy(p); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) policy(p *cedar.Policy) error {
	notes := p.Annotations()
	id := string(notes["id"])
	if id == "" {
		return at(p.Position(), "the policy has no @id").WithHint(`write @id("a-name") above it; the name becomes evidence in the audit log`)
	}
	if strings.HasPrefix(id, "code:") {
		return at(p.Position(), fmt.Sprintf("@id(%q): names that begin with code: belong to rules in code", id))
	}
	if old, taken := b.ids[id]; taken {
		return at(p.Position(), fmt.Sprintf("@id(%q) is taken by %s:%d:%d", id, old.Filename, old.Line, old.Column))
	}
	b.ids[id] = p.Position()
	e := &entry{id: cedar.PolicyID(id), policy: p}
	keys, err := scope(p)
	if err != nil {
		return err
	}
	b.set.all = append(b.set.all, e)
	b.set.reasons[id] = string(notes["reason"])
	for _, k := range keys {
		b.set.index[k] = append(b.set.index[k], e)
	}
	return nil
}

func at(p cedar.Position, msg string) *core.Error {
	return core.E(core.KindInvalid, "policy.Parse", fmt.Sprintf("%s:%d:%d: %s", p.Filename, p.Line, p.Column, msg))
}
