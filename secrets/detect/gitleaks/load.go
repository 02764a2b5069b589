package gitleaks

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/zricethezav/gitleaks/v8/config"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
)

// Default is what gitleaks looks for where nothing is configured.
func Default() (detect.Config, error) {
	f, err := own()
	if err != nil {
		return detect.Config{}, err
	}
	return loader{read: noFiles, most: maxFile}.config(f)
}

// own is the file that gitleaks comes with. A project can give a file of its own any
// name, and not this mark.
func own() (*file, error) {
	f, err := decode("gitleaks' own rules", []byte(config.DefaultConfig), maxFile)
	if err == nil {
		f.source = ""
	}
	return f, err
}

func noFiles(string) ([]byte, error) { return nil, fs.ErrNotExist }

// Load reads a .gitleaks.toml and what it extends. A path that it names is below
// its own folder or else below the working directory, as gitleaks takes it.
func Load(path string) (detect.Config, error) {
	data, err := readFile(path)
	if err != nil {
		return detect.Config{}, unreadable(path, err)
	}
	return Parse(path, data, func(name string) ([]byte, error) {
		if filepath.IsAbs(name) {
			return readFile(name)
		}
		data, err := readFile(filepath.Join(filepath.Dir(path), name))
		if errors.Is(err, fs.ErrNotExist) {
			return readFile(name)
		}
		return data, err
	})
}

// LoadFrom reads the .gitleaks.toml of a folder that somebody else may have written:
// what it extends is below that folder, and no link leads out of it.
func LoadFrom(dir *os.Root, name string) (detect.Config, error) {
	read := func(name string) ([]byte, error) {
		if filepath.IsAbs(name) {
			return nil, errOutside
		}
		f, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			if !filepath.IsLocal(name) || escapes(dir, name) {
				err = errOutside
			}
			return nil, err
		}
		return readConfig(f, name)
	}
	data, err := read(name)
	if err != nil {
		return detect.Config{}, unreadable(name, err)
	}
	return parse(name, data, maxProject, read)
}

var errOutside = errors.New("it is outside of what is scanned; a file that leads there is for --gitleaks-config")

// escapes reports whether something is there that can't be had from within.
func escapes(dir *os.Root, name string) bool {
	_, within := dir.Stat(name)
	_, there := os.Stat(filepath.Join(dir.Name(), name))
	return within != nil && there == nil
}

func unreadable(path string, err error) error {
	return core.E(core.KindNotFound, "gitleaks.Load", fmt.Sprintf("%s can't be read: %v", path, err)).
		WithHint("name a .gitleaks.toml that is there and may be read")
}

// readFile reads no more than a configuration can have.
func readFile(path string) ([]byte, error) {
	// A project may name a pipe, whose opening would wait for ever.
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return readConfig(f, path)
}

func readConfig(f *os.File, path string) ([]byte, error) {
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is not a file", path))
	}
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// Parse reads a configuration; read fetches those that it extends by path.
func Parse(name string, data []byte, read func(path string) ([]byte, error)) (detect.Config, error) {
	return parse(name, data, maxFile, read)
}

func parse(name string, data []byte, most int, read func(path string) ([]byte, error)) (detect.Config, error) {
	f, err := decode(name, data, most)
	if err != nil {
		return detect.Config{}, err
	}
	return loader{read: read, most: most}.config(f)
}

func (l loader) config(f *file) (detect.Config, error) {
	l.spent = new(cost)
	made, err := l.translate(f, 0)
	if err != nil {
		return detect.Config{}, err
	}
	return made.config()
}

// maxExtend is how deep configurations may extend one another, as in gitleaks.
const maxExtend = 2

type loader struct {
	read  func(path string) ([]byte, error)
	most  int // bytes of a file
	spent *cost
}

// set is a configuration while it is put together.
type set struct {
	file  *file
	rules map[string]*entry
	order []string
	allow []detect.Allow
	// targeted allowlists wait until all rules are there.
	targeted []targeted
}

// entry is a rule with its place for errors.
type entry struct {
	rule detect.Rule
	file *file
	at   string
}

type targeted struct {
	rules []string
	allow detect.Allow
	file  *file
	at    string
}

func (l loader) translate(f *file, depth int) (*set, error) {
	s := &set{file: f, rules: map[string]*entry{}}
	if err := l.spent.add(f); err != nil {
		return nil, err
	}
	for i := range f.Rules {
		if err := s.addRule(f, i); err != nil {
			return nil, err
		}
	}
	if err := s.addAllowlists(f); err != nil {
		return nil, err
	}
	if depth >= maxExtend {
		return s, nil
	}
	return s, l.extend(s, f, depth)
}

// extend reads the configuration below and lays s over it.
func (l loader) extend(s *set, f *file, depth int) error {
	e := f.Extend
	if e.Path != "" && e.UseDefault {
		return f.fault("extend.path", "[extend] has both path and useDefault", "keep one of them; the file that is named may itself extend the default")
	}
	if e.Path == "" && !e.UseDefault {
		return nil
	}
	below, err := l.below(f)
	if err != nil {
		return err
	}
	base, err := l.translate(below, depth+1)
	if err != nil {
		return err
	}
	s.over(base, e.DisabledRules)
	return nil
}

// below is the file that another one extends.
func (l loader) below(f *file) (*file, error) {
	e := f.Extend
	if e.UseDefault {
		return own()
	}
	data, err := l.read(e.Path)
	if err != nil {
		return nil, f.fault("extend.path", fmt.Sprintf("%s can't be read: %v", e.Path, err), "name a file relative to this one")
	}
	return decode(e.Path, data, l.most)
}

// over lays s over the configuration that it extends: a rule of the same name
// changes what it names and adds to lists.
func (s *set) over(base *set, disabled []string) {
	for id, b := range base.rules {
		if slices.Contains(disabled, id) {
			continue
		}
		own, ok := s.rules[id]
		if !ok {
			s.rules[id] = b
			s.order = append(s.order, id)
			continue
		}
		own.rule = merged(b.rule, own.rule)
	}
	s.allow = append(s.allow, base.allow...)
	slices.Sort(s.order)
}

func merged(base, own detect.Rule) detect.Rule {
	set := func(to *string, from string) {
		if from != "" {
			*to = from
		}
	}
	set(&base.Title, own.Title)
	set(&base.Regex, own.Regex)
	set(&base.Path, own.Path)
	if own.Entropy != 0 {
		base.Entropy = own.Entropy
	}
	if own.Group != 0 {
		base.Group = own.Group
	}
	base.Tags = slices.Concat(base.Tags, own.Tags)
	base.Keywords = slices.Concat(base.Keywords, own.Keywords)
	base.Allow = slices.Concat(base.Allow, own.Allow)
	return base
}

// config is the result, with everything that depends on all rules checked.
func (s *set) config() (detect.Config, error) {
	for _, t := range s.targeted {
		for _, id := range t.rules {
			e := s.rules[id]
			if e == nil {
				return detect.Config{}, t.file.fault(t.at+".targetrules", fmt.Sprintf("target rule %q does not exist", id), s.nearest(id))
			}
			e.rule.Allow = append(e.rule.Allow, t.allow)
		}
	}
	c := detect.Config{Allow: s.allow, Inline: detect.InlineWords(), Decode: detect.DefaultDecode, Every: true}
	for _, id := range s.order {
		e := s.rules[id]
		if err := s.check(e); err != nil {
			return detect.Config{}, err
		}
		c.Rules = append(c.Rules, e.rule)
	}
	return c, nil
}

// nearest is advice for a name that is not there.
func (s *set) nearest(id string) string {
	for _, known := range s.order {
		if strings.EqualFold(known, id) || strings.Contains(known, id) || strings.Contains(id, known) {
			return fmt.Sprintf("did you mean %q? Name the id of a rule of this file or of one that it extends", known)
		}
	}
	return "name the id of a rule of this file or of one that it extends"
}
