package declared

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// A lockfile is no larger than this, and all that are looked at in one tree are
// not either: they are kept, because a root's stands above every project in it.
const (
	maxLock  = 4 << 20
	maxLocks = 16 << 20
)

// words remembers which words stand in the lockfiles of a tree.
type words struct {
	mu    sync.Mutex
	files map[string]map[string]bool
	size  int
}

var (
	word   = regexp.MustCompile(`[\w.+-]+`)
	remark = regexp.MustCompile(`(?m)(?:^|\s)(?:#|//).*$`)
)

// missing are the packages a manifest asks for that no lockfile beside or above
// it names; ok is false where there is no lockfile.
func (w *words) missing(in *extract.Input, m *manifest, text string) (names []string, ok bool) {
	locks := w.above(in, m.locks)
	if len(locks) == 0 || m.wish == nil {
		return nil, len(locks) > 0
	}
	for _, found := range m.wish.FindAllStringSubmatch(remark.ReplaceAllString(text, ""), -1) {
		name := strings.TrimSuffix(found[1], ".git")
		named := slices.ContainsFunc(locks, func(set map[string]bool) bool { return set[strings.ToLower(name)] })
		if !named {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), true
}

func (w *words) above(in *extract.Input, locks []string) (all []map[string]bool) {
	for dir := in.Dir(); ; dir = path.Dir(dir) {
		for _, name := range locks {
			if file := path.Join(dir, name); in.Exists("/" + file) {
				all = append(all, w.of(in, file))
			}
		}
		if dir == "." {
			return all
		}
	}
}

// of are the words of a lockfile, none where it is too large: what is wrong with
// it, its own reader says.
func (w *words) of(in *extract.Input, file string) map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if set, ok := w.files[file]; ok || w.size > maxLocks {
		return set
	}
	small := *in
	small.Limits.Text = min(maxLock, in.Limits.Text)
	data, err := small.Other("/" + file)
	if err != nil {
		return nil
	}
	set := map[string]bool{}
	for _, one := range word.FindAllString(string(data), -1) {
		set[strings.ToLower(strings.TrimSuffix(one, ".git"))] = true
	}
	if w.files == nil {
		w.files = map[string]map[string]bool{}
	}
	w.files[file] = set
	w.size += len(data) + len(file)
	return set
}
