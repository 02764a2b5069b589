package secretscan

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/untrusted"
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/gitleaks"
	"github.com/interlock-security/interlock/secrets/detect/source"
	"github.com/interlock-security/interlock/secrets/detect/standard"
)

// Files of a project in which gitleaks' users have said what counts.
const (
	configName = ".gitleaks.toml"
	ignoreName = ".gitleaksignore"
)

// ruleset is what a scan looks for.
type ruleset struct {
	detector *detect.Detector
	ignore   *gitleaks.Ignore
	digest   string
	// unread is why a project's own rules and exceptions do not hold.
	unread error
	// asked are the rules that are asked, where that is not all of ours as they are.
	asked []string
}

// ours are our own rules, made once: that takes longer than many a scan.
var ours = sync.OnceValues(func() (ruleset, error) { return compile(standard.Config()) })

func compile(c detect.Config) (ruleset, error) {
	c.Tell = true
	d, err := detect.New(c)
	if err != nil {
		return ruleset{}, err
	}
	return ruleset{detector: d, digest: digest(&c)}, nil
}

func (s *Scanner) rules(target scanning.Target) (*ruleset, error) {
	theirs, found, err := s.projectConfig(target)
	if err != nil && s.o.Config != "" {
		return nil, err
	}
	var r ruleset
	unread := err
	if !found && !s.o.NoDecode && !s.o.Running {
		r, err = ours()
	} else {
		r, err = compile(s.joined(theirs, found))
	}
	if err != nil {
		return nil, err
	}
	if r.asked, err = s.asked(theirs, found); err != nil {
		return nil, err
	}
	r.unread = unread
	r.ignore, err = projectIgnore(top(target))
	return &r, err
}

// joined is what is asked where it is not what a project's files are asked by default.
func (s *Scanner) joined(theirs detect.Config, found bool) detect.Config {
	c := theirs
	switch {
	case !found:
		c = standard.Config()
	case !s.o.Alone:
		c = beside(standard.Config(), theirs)
	}
	if s.o.NoDecode {
		c.Decode = 0
	}
	if s.o.Running {
		c.Sample = nil // what runs is in use
	}
	return c
}

// asked are the rules that are asked where others are at work than ours: those of ours
// in whose place nobody put what finds less, and theirs with names of their own.
func (s *Scanner) asked(theirs detect.Config, found bool) ([]string, error) {
	if !found {
		return nil, nil
	}
	known, err := gitleaks.Default()
	if err != nil {
		return nil, err
	}
	ours, own, names := rulesOf(standard.Config()), rulesOf(known), rulesOf(theirs)
	for id, r := range names {
		if base, gitleaksHas := own[id]; gitleaksHas && weaker(r, base) || !gitleaksHas && ours[id] != nil {
			delete(ours, id)
			delete(names, id)
		}
	}
	if !s.o.Alone {
		maps.Copy(names, ours)
	}
	return slices.Sorted(maps.Keys(names)), nil
}

func rulesOf(c detect.Config) map[string]*detect.Rule {
	all := map[string]*detect.Rule{}
	for i := range c.Rules {
		all[c.Rules[i].ID] = &c.Rules[i]
	}
	for _, g := range c.Grammars {
		rules := g.Rules()
		for i := range rules {
			all[rules[i].ID] = &rules[i]
		}
	}
	return all
}

// weaker reports whether a rule may find less than another one of its name: in doubt
// yes. What its allowlists hide is told.
func weaker(r, base *detect.Rule) bool {
	return r.Regex != base.Regex || r.Path != base.Path || r.Group != base.Group || r.Entropy > base.Entropy || r.Silent != base.Silent ||
		len(r.Requires) > len(base.Requires) || slices.ContainsFunc(base.Keywords, func(k string) bool { return !slices.Contains(r.Keywords, k) })
}

// top is the folder whose project files hold.
func top(target scanning.Target) string {
	folder, err := isFolder(target.Dir)
	switch {
	case target.Dir == "" || err != nil:
		return ""
	case folder:
		return target.Dir
	}
	return filepath.Dir(target.Dir)
}

func (s *Scanner) projectConfig(target scanning.Target) (detect.Config, bool, error) {
	if s.o.Config != "" {
		c, err := gitleaks.Load(s.o.Config)
		return c, err == nil, err
	}
	dir := top(target)
	if dir == "" || target.Scope.Kind == scanning.ScopeImage {
		return detect.Config{}, false, nil
	}
	name := filepath.Join(dir, configName)
	if info, err := os.Lstat(name); err != nil || info.IsDir() {
		return detect.Config{}, false, nil //nolint:nilerr // a project without one
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return detect.Config{}, false, err
	}
	defer func() { _ = root.Close() }()
	c, err := gitleaks.LoadFrom(root, configName)
	return c, err == nil, err
}

// unreadGap tells that a project's own rules do not hold. It is of no one place: what they
// find may be anywhere.
func unreadGap(err error) scanning.Gap {
	g := scanning.Gap{What: "rules of " + configName, Reason: scanning.ReasonUnsupported, Why: err.Error() + "; ours were asked alone"}
	if core.KindOf(err) == core.KindTooLarge {
		g.Reason = scanning.ReasonTooLarge
	}
	return g
}

// beside joins a project's rules with ours. Of two with the same name theirs holds:
// they have written it for their code.
func beside(ours, theirs detect.Config) detect.Config {
	names := map[string]bool{}
	for _, r := range theirs.Rules {
		names[r.ID] = true
	}
	ours.Rules = slices.DeleteFunc(slices.Clone(ours.Rules), func(r detect.Rule) bool { return names[r.ID] })
	ours.Rules = append(ours.Rules, theirs.Rules...)
	ours.Allow = append(slices.Clone(ours.Allow), theirs.Allow...)
	return ours
}

func projectIgnore(dir string) (*gitleaks.Ignore, error) {
	if dir == "" {
		return nil, nil
	}
	name := filepath.Join(dir, ignoreName)
	if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return nil, nil //nolint:nilerr // a project without one
	}
	text, err := untrusted.File(name, maxBaseline)
	if err != nil {
		return nil, err
	}
	return gitleaks.ParseIgnore(ignoreName, text)
}

// digest names the rules that judged, so that a later scan can say that it asked the
// same. In which order a rule has its words says nothing.
func digest(c *detect.Config) string {
	h := sha256.New()
	allow := func(a detect.Allow) {
		_, _ = fmt.Fprintf(h, "%v %q %v %q %q %v\n", a.Paths, a.Commits, a.Patterns, a.StopWords, a.Target, a.All)
	}
	put := func(r *detect.Rule) {
		_, _ = fmt.Fprintf(h, "%q %q %q %v %q\n", r.ID, r.Regex, r.Path, r.Entropy, slices.Sorted(slices.Values(r.Keywords)))
		for _, a := range r.Allow {
			allow(a)
		}
	}
	for i := range c.Rules {
		put(&c.Rules[i])
	}
	for _, g := range c.Grammars {
		described := g.Rules()
		for i := range described {
			put(&described[i])
		}
		_, _ = fmt.Fprintf(h, "%q\n", slices.Sorted(slices.Values(g.Keywords())))
	}
	for _, a := range c.Allow {
		allow(a)
	}
	_, _ = fmt.Fprintf(h, "%d %q\n", c.Decode, c.Inline)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func isFolder(dir string) (bool, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, core.E(core.KindNotFound, "secretscan.Scan", "there is no "+source.Shown(dir))
	}
	if err != nil {
		return false, core.Wrap(core.KindUnavailable, "secretscan.Scan", err)
	}
	return info.IsDir(), nil
}

// bare reports whether a folder is the inside of a repository.
func bare(dir string) bool {
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

func nameOf(t scanning.Target) string { return filepath.Base(t.Dir) }

// excluder holds paths against patterns. A pattern without a slash is held against
// every part of a path, another one against its beginning; ** is any number of parts.
func excluder(patterns []string) func(string, bool) bool {
	if len(patterns) == 0 {
		return nil
	}
	split := make([][]string, 0, len(patterns))
	for _, p := range patterns {
		split = append(split, strings.Split(strings.Trim(p, "/"), "/"))
	}
	return func(name string, _ bool) bool {
		parts := strings.Split(name, "/")
		return slices.ContainsFunc(split, func(p []string) bool {
			if len(p) == 1 {
				return slices.ContainsFunc(parts, func(part string) bool { return matches(p[0], part) })
			}
			return leads(p, parts)
		})
	}
}

// leads reports whether a pattern matches the beginning of a path.
func leads(p, parts []string) bool {
	switch {
	case len(p) == 0:
		return true
	case p[0] == "**":
		for i := range len(parts) + 1 {
			if leads(p[1:], parts[i:]) && (len(p) > 1 || len(parts) > 0) {
				return true
			}
		}
		return false
	}
	return len(parts) > 0 && matches(p[0], parts[0]) && leads(p[1:], parts[1:])
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// CheckPatterns tells which pattern can't be understood: a typing error must not look
// like a pattern that matches nothing.
func CheckPatterns(patterns []string) error {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil || strings.Trim(p, "/") == "" || strings.Count(p, "**") > 3 {
			return core.E(core.KindInvalid, "secretscan", fmt.Sprintf("%q is not a pattern of paths", p)).WithHint("such as testdata, *.min.js or docs/**/*.md")
		}
	}
	return nil
}

// looked names the rules together with what they were asked of: silence of a scan
// that opened no archives is none about what is in them.
func (o *Options) looked(digest string) string {
	if !o.Archives && !o.Binary && !o.Commits.Dangling {
		return digest
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %t %t %t", digest, o.Archives, o.Binary, o.Commits.Dangling))
	return hex.EncodeToString(sum[:16])
}
