package python

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// resolved remembers which packages the lockfiles of a tree name: a workspace's
// stands above every project in it. That a lockfile exists says nothing; it may be
// empty, or another project's.
type resolved struct {
	mu    sync.Mutex
	files map[string]map[string]bool // by path
}

// lockName is how the lockfiles in TOML write the names of their packages.
var lockName = regexp.MustCompile(`(?m)^name\s*=\s*["']([^"']+)["']`)

// lockSets are the packages of several lockfiles.
type lockSets []map[string]bool

func (n lockSets) has(name string) bool {
	for _, set := range n {
		if set[name] {
			return true
		}
	}
	return false
}

// above gives the lockfiles in the file's own folder that name anything, and
// those with the ones in the folders above it.
func (r *resolved) above(in *extract.Input, locks ...string) (beside, above lockSets) {
	for dir := in.Dir(); ; dir = path.Dir(dir) {
		for _, name := range locks {
			if set := r.of(in, path.Join(dir, name)); len(set) > 0 {
				above = append(above, set)
			}
		}
		if dir == in.Dir() {
			beside = slices.Clone(above)
			if slices.Contains(locks, "requirements.txt") {
				above = append(above, r.requirements(in, dir)...)
			}
		}
		if dir == "." {
			return beside, above
		}
	}
}

// requirements are the files in which tests and tools have theirs.
func (r *resolved) requirements(in *extract.Input, dir string) (all lockSets) {
	for _, folder := range []string{dir, path.Join(dir, "requirements")} {
		entries, err := fs.ReadDir(in.FS, folder)
		if err != nil {
			continue // the walk says so
		}
		for _, e := range entries {
			if file := path.Join(folder, e.Name()); e.Type().IsRegular() && isRequirements(file, e) {
				if set := r.of(in, file); len(set) > 0 {
					all = append(all, set)
				}
			}
		}
	}
	return all
}

// of is what a lockfile names, nothing where it is missing or too large: what is
// wrong with it, its own reader says.
func (r *resolved) of(in *extract.Input, name string) map[string]bool {
	file, err := in.Resolve("/" + name)
	if err != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if set, ok := r.files[file]; ok {
		return set
	}
	small := *in
	small.Limits.Text = min(maxRequirements, in.Limits.Text)
	set := map[string]bool{}
	if !namesOf(&small, file, set, map[string]bool{}) {
		return nil
	}
	if r.files == nil {
		r.files = map[string]map[string]bool{}
	}
	r.files[file] = set
	return set
}

// namesOf adds the names in a file and in those that it includes; ok is false
// where it can't be read.
func namesOf(in *extract.Input, file string, into, seen map[string]bool) (ok bool) {
	data, err := in.Other("/" + file)
	if err != nil || seen[file] || len(seen) >= maxIncludes {
		return false
	}
	seen[file] = true
	switch {
	case path.Base(file) == "Pipfile.lock":
		var lock map[string]map[string]any
		_ = extract.JSON(in, data, &lock) // its own reader says what is wrong with it
		for _, group := range []string{"default", "develop"} {
			for name := range lock[group] {
				into[normal(name)] = true
			}
		}
	case path.Ext(file) == ".lock", path.Ext(file) == ".toml":
		for _, m := range lockName.FindAllStringSubmatch(string(data), -1) {
			into[normal(m[1])] = true
		}
	default:
		namesOfRequirements(in, file, string(data), into, seen)
	}
	return true
}

func namesOfRequirements(in *extract.Input, file, text string, into, seen map[string]bool) {
	for _, w := range logical(file, text) {
		m := option.FindStringSubmatch(w.text)
		switch {
		case m == nil:
			if name := nameOf(w.text); name != "" {
				into[name] = true
			}
		case m[1] == "-r", m[1] == "--requirement":
			namesOf(in, path.Join(path.Dir(file), strings.TrimSpace(m[2])), into, seen)
		}
	}
}
