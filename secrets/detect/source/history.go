package source

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// HistoryOptions say what of a repository's history is read. The zero value reads
// every commit that a branch, a tag, a stash or HEAD leads to.
type HistoryOptions struct {
	// Branch reads only what this branch, tag or commit leads to.
	Branch string
	// Since leaves out older commits. [CheckSince] knows what it may be.
	Since string
	// Dangling reads also what nothing leads to any more: undone commits, what was
	// staged once, old stashes.
	Dangling bool
}

// History scans every version of every file of a repository once and tells of each
// leak which commit brought it. An error means that there is no such repository.
func History(ctx context.Context, dir string, o HistoryOptions, c Config, sink Sink) error {
	since, err := sinceForGit(o.Since)
	if err != nil {
		return err
	}
	o.Since = since
	c = c.filled()
	h := &history{Config: &c, repo: &repository{dir: dir}, o: o, chronicle: newChronicle(c.Limits.Blobs)}
	h.excluded = c.excluder()
	if _, err := h.repo.ask(ctx, "rev-parse", "--git-dir"); err != nil {
		if errors.Is(err, errNoGit) {
			sink.Gap(gitGap("history", err))
			return nil
		}
		return core.E(core.KindNotFound, "source.History", Shown(dir)+" is no git repository").WithHint("scan it without --history")
	}
	return perform(ctx, c, sink, h.produce)
}

type history struct {
	*Config
	*chronicle
	repo *repository
	o    HistoryOptions
	put  submit
	// here, where objects may be missing, are those that are not.
	here map[[32]byte]struct{}
	// head is what HEAD has: blobs, and blobs by path.
	head   map[[32]byte]struct{}
	byPath map[uint32][32]byte
	// strays are commits, tags and blobs that nothing leads to, by name.
	strayCommits, strayTags, strayBlobs []string
	messages                            []message
}

// produce reads the log and hands out the versions.
func (h *history) produce(ctx context.Context, put submit) error {
	h.put = put
	if err := h.survey(ctx); err != nil {
		return h.gap(gitGap("objects", err))
	}
	if err := h.readCommits(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := h.gap(h.logGap(err)); err != nil {
			return err
		}
	}
	h.Progress.Commits.Add(int64(len(h.commits)))
	h.Progress.Links.Add(h.links)
	h.readHead(ctx)
	if err := h.readTags(ctx); err != nil {
		return err
	}
	h.Progress.Worktrees.Add(h.repo.worktrees(ctx))
	h.Progress.Borrowed.Add(h.repo.borrowed(ctx))
	if err := h.tellLimits(ctx); err != nil {
		return err
	}
	return h.handOut()
}

func (h *history) logGap(err error) Gap {
	if errors.Is(err, errTooManyBlobs) {
		return Gap{"history", fmt.Sprintf("it has more than %d versions of files: older ones were not read; scan it in parts with --since", h.Limits.Blobs), TooMany}
	}
	return gitGap("history", err)
}

func (h *history) gap(g Gap) error {
	return h.put(func(w *worker) { w.gap(g.What, g.Why, g.Reason) })
}

// survey lists the objects that are there, where that is not a matter of course or
// all of them are wanted.
func (h *history) survey(ctx context.Context) error {
	partial := h.repo.partial(ctx)
	if !partial && !h.o.Dangling {
		return nil
	}
	if partial {
		h.here = map[[32]byte]struct{}{}
	}
	args := []string{"cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objecttype) %(objectname)"}
	return h.repo.read(ctx, args, func(r io.Reader) error {
		var failed error
		err := eachLine(r, func(line string) {
			kind, name, _ := strings.Cut(line, " ")
			if failed == nil {
				failed = h.note(kind, name)
			}
		})
		return cmp.Or(failed, err)
	})
}

// eachLine reads lines that are short.
func eachLine(r io.Reader, take func(line string)) error {
	s := bufio.NewScanner(r)
	for s.Scan() {
		take(s.Text())
	}
	return s.Err()
}

func (h *history) note(kind, name string) error {
	switch {
	case kind == "blob" && h.here != nil:
		var id [32]byte
		if _, err := hex.Decode(id[:], []byte(name[:min(len(name), 64)])); err != nil {
			return errPlumbing
		}
		h.here[id] = struct{}{}
	case kind == "commit" && h.o.Dangling:
		h.strayCommits = append(h.strayCommits, name)
	case kind == "tag" && h.o.Dangling:
		h.strayTags = append(h.strayTags, name)
	}
	if kind == "blob" && h.o.Dangling {
		h.strayBlobs = append(h.strayBlobs, name)
	}
	if len(h.strayCommits)+len(h.strayBlobs)+len(h.strayTags) > 4*h.Limits.Blobs {
		return errTooManyBlobs
	}
	return nil
}

// logArgs makes git tell every commit with the blobs that it brought. Nothing is
// compared but trees, and of a merge only what none of its parents had.
var logArgs = []string{
	"log", "--raw", "-z", "-c", "--no-renames", "--no-abbrev", "--topo-order", "--no-ext-diff", "--no-textconv", "--no-color",
	"--no-decorate", "--no-notes", "--no-show-signature", "--no-mailmap", "--no-relative", "--encoding=UTF-8", "--root", "--full-history", logFormat,
}

func (h *history) readCommits(ctx context.Context) error {
	args := slices.Clone(logArgs)
	if h.o.Since != "" {
		args = append(args, "--since="+h.o.Since)
	}
	var stdin io.Reader
	switch {
	case h.o.Branch != "":
		args = append(args, "--end-of-options", h.o.Branch, "--")
	case h.o.Dangling:
		args = append(args, "--all", "--reflog", "--stdin")
		stdin = strings.NewReader(strings.Join(append(h.strayCommits, ""), "\n"))
	default:
		args = append(args, "--all", "--stdin")
		stdin = strings.NewReader(strings.Join(append(h.repo.stashes(ctx), ""), "\n"))
	}
	h.message = h.readMessage
	if err := h.repo.converse(ctx, args, stdin, h.readLog); err != nil {
		return err
	}
	return h.flushMessages(0)
}

// readHead notes what HEAD has. A repository without a commit has none.
func (h *history) readHead(ctx context.Context) {
	h.head, h.byPath = map[[32]byte]struct{}{}, map[uint32][32]byte{}
	_ = h.repo.read(ctx, []string{"ls-tree", "-r", "-z", "--full-tree", "HEAD"}, func(r io.Reader) error {
		br := bufio.NewReader(r)
		var scratch []byte
		for {
			record, err := nulRecord(br, &scratch)
			if err != nil {
				return atEnd(err)
			}
			meta, path, _ := bytes.Cut(record, []byte{'\t'})
			fields := bytes.Fields(meta)
			var id [32]byte
			if len(fields) != 3 || string(fields[1]) != "blob" || len(fields[2]) > 64 {
				continue
			}
			if _, err := hex.Decode(id[:], fields[2]); err != nil {
				continue
			}
			h.head[id] = struct{}{}
			if n, known := h.paths.at[string(path)]; known {
				h.byPath[n] = id
			}
		}
	})
}

// tellLimits tells what this repository doesn't have.
func (h *history) tellLimits(ctx context.Context) error {
	if h.repo.shallow(ctx) {
		if err := h.gap(Gap{"history", "the repository is a shallow clone, older commits are not here: git fetch --unshallow", Unsupported}); err != nil {
			return err
		}
	}
	if missing := h.missing(); missing > 0 {
		if err := h.gap(Gap{"history", fmt.Sprintf("the repository is a partial clone, %d versions of files are not here: git fetch --refetch --no-filter", missing), Unreadable}); err != nil {
			return err
		}
	}
	names := make([]string, 0, len(h.submodules))
	for name := range h.submodules {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := h.gap(Gap{Shown(name), "a submodule: a repository of its own, which was not read", Unsupported}); err != nil {
			return err
		}
	}
	return nil
}

// missing takes out the versions that are not here and counts them.
func (h *history) missing() int {
	if h.here == nil {
		return 0
	}
	before := len(h.versions)
	h.versions = slices.DeleteFunc(h.versions, func(v version) bool { _, here := h.here[v.id]; return !here })
	return before - len(h.versions)
}

// perGit is how many versions are asked of git at once.
const perGit = 64

// handOut makes tasks of the versions, those of a file together and from the oldest
// to the newest: git finds them near each other, too.
func (h *history) handOut() error {
	if h.o.Dangling {
		h.addStrays()
	}
	h.seen = nil
	h.Versions.take(h)
	slices.SortFunc(h.versions, func(a, b version) int {
		return cmp.Or(strings.Compare(h.paths.all[a.path], h.paths.all[b.path]), cmp.Compare(b.commit, a.commit), bytes.Compare(a.id[:], b.id[:]))
	})
	for rest := h.versions; len(rest) > 0; {
		n := h.share(rest)
		part := rest[:n]
		rest = rest[n:]
		if err := h.put(func(w *worker) { h.versionsOf(w, part) }); err != nil {
			return err
		}
	}
	return nil
}

// share is how many of the versions make the next task: whole files, at least so
// many versions.
func (h *history) share(rest []version) int {
	n := min(perGit, len(rest))
	for n < len(rest) && rest[n].path == rest[n-1].path {
		n++
	}
	return n
}

// addStrays adds the blobs that no commit has.
func (h *history) addStrays() {
	known := make(map[string]bool, len(h.versions))
	for i := range h.versions {
		known[h.name(h.versions[i].id)] = true
	}
	for _, name := range h.strayBlobs {
		if known[name] {
			continue
		}
		v := version{path: h.paths.number([]byte("dangling/" + name)), commit: ^uint32(0)}
		if _, err := hex.Decode(v.id[:], []byte(name)); err == nil {
			h.versions = append(h.versions, v)
		}
	}
}

// Staged scans what is staged in the repository for the next commit, and tells what
// is new against HEAD. hook is the environment of a pre-commit hook, or nil.
func Staged(ctx context.Context, dir string, hook []string, c Config, sink Sink) error {
	c = c.filled()
	h := &history{Config: &c, repo: &repository{dir: dir, hook: indexOf(hook)}, chronicle: newChronicle(c.Limits.Blobs)}
	h.excluded = c.excluder()
	if _, err := h.repo.ask(ctx, "rev-parse", "--git-dir"); err != nil {
		if errors.Is(err, errNoGit) {
			sink.Gap(gitGap("staged changes", err))
			return nil
		}
		return core.E(core.KindNotFound, "source.Staged", Shown(dir)+" is no git repository").WithHint("--staged is for repositories")
	}
	return perform(ctx, c, sink, h.staged)
}

// indexOf keeps what of a hook's environment names the index: "git commit FILE" makes
// one of its own.
func indexOf(hook []string) []string {
	var out []string
	for _, v := range hook {
		if name, ok := strings.CutPrefix(v, "GIT_INDEX_FILE="); ok && name != "" {
			if abs, err := filepath.Abs(name); err == nil {
				out = append(out, "GIT_INDEX_FILE="+abs)
			}
		}
	}
	return out
}

// staged hands out pairs of versions: what HEAD has and what is staged.
func (h *history) staged(ctx context.Context, put submit) error {
	h.put = put
	args := []string{
		"diff", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", "--no-ext-diff", "--no-textconv", "--no-color", "--no-relative", "--ignore-submodules=none",
	}
	pairs, err := []pair(nil), error(nil)
	err = h.repo.read(ctx, args, func(r io.Reader) error {
		pairs, err = readPairs(r, h.Limits.Blobs)
		return err
	})
	if err != nil {
		return h.gap(gitGap("staged changes", err))
	}
	if h.excluded != nil {
		pairs = slices.DeleteFunc(pairs, func(p pair) bool { return h.excluded(p.path) })
	}
	for part := range slices.Chunk(pairs, perGit) {
		if err := put(func(w *worker) { h.pairsOf(w, part) }); err != nil {
			return err
		}
	}
	return nil
}

// pair is a file before and after.
type pair struct {
	path     string
	old, new string // names of blobs; old is "" for a new file
}

// readPairs reads the output of "git diff --raw -z".
func readPairs(r io.Reader, most int) ([]pair, error) {
	br := bufio.NewReader(r)
	var scratch []byte
	var out []pair
	for {
		head, err := nulRecord(br, &scratch)
		if err != nil {
			return out, atEnd(err)
		}
		f := strings.Fields(string(head))
		if len(f) != 5 || !strings.HasPrefix(f[0], ":") || !isName(f[2]) || !isName(f[3]) {
			return nil, errLog
		}
		path, err := nulRecordExact(br, &scratch)
		if err != nil {
			return nil, err
		}
		if len(out) >= most {
			return nil, errTooManyBlobs
		}
		if p, ok := pairOf(f, string(path)); ok {
			out = append(out, p)
		}
	}
}

// pairOf leaves out what is no file any more and what never was one.
func pairOf(f []string, path string) (pair, bool) {
	p := pair{path: path, new: f[3]}
	if !strings.HasPrefix(f[1], "100") || strings.Trim(p.new, "0") == "" {
		return p, false
	}
	if strings.HasPrefix(f[0], ":100") {
		p.old = f[2]
	}
	return p, true
}

// isName reports whether a word is the name of an object.
func isName(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && (len(s) == 40 || len(s) == 64)
}
