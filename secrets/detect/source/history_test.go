package source

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestALeakIsOfTheCommitThatBroughtIt(t *testing.T) {
	g := newGit(t)
	first, second := secret("first"), secret("second")
	g.commit("a.txt", "nothing\n")
	c2 := g.commit("a.txt", "nothing\nkey: "+first+"\n")
	g.commit("a.txt", "one more\nnothing\nkey: "+first+"\n")
	c4 := g.commit("a.txt", "one more\nnothing\nkey: "+second+"\n")
	g.commit("b.txt", "another file\n")
	got := historyOf(t, g.dir, HistoryOptions{}, Config{})
	got.wantNoGaps(t)
	l := got.byCommit(t, first, c2)
	if !l.Gone || l.Line != 2 || l.Path != "a.txt" || l.Author != "Ann Author" || l.Email != "ann@example.org" || l.Date.Format("2006-01-02") != "2026-01-03" {
		t.Errorf("first leak is %+v, gone %v", l.Leak, l.Gone)
	}
	if l := got.byCommit(t, second, c4); l.Gone || l.Line != 3 {
		t.Errorf("second leak is %+v, gone %v", l.Leak, l.Gone)
	}
	if len(got.leaks) != 2 || got.Commits.Load() != 5 {
		t.Errorf("leaks %q in %d commits", got.places(), got.Commits.Load())
	}
}

func TestMergesRenamesAndDeletedFiles(t *testing.T) {
	g := newGit(t)
	base, side, evil, deleted := secret("base"), secret("side"), secret("evil"), secret("deleted")
	c1 := g.commit("conf/app.ini", "x\npassword="+base+"\n")
	g.run("checkout", "-q", "-b", "side")
	cSide := g.commit("side.txt", side+"\n")
	g.run("checkout", "-q", "main")
	g.commit("main.txt", "main\n")
	g.run("merge", "-q", "--no-commit", "--no-ff", "side")
	cMerge := g.commit("evil.txt", evil+"\n")
	g.run("mv", "conf", "moved")
	g.commit()
	cDel := g.commit("gone.txt", deleted+"\n")
	g.run("rm", "-q", "gone.txt")
	g.commit()
	got := historyOf(t, g.dir, HistoryOptions{}, Config{})
	got.wantNoGaps(t)
	if l := got.byCommit(t, base, c1); l.Gone {
		t.Error("a file that only moved counts as gone")
	}
	got.byCommit(t, side, cSide)
	got.byCommit(t, evil, cMerge)
	if l := got.byCommit(t, deleted, cDel); !l.Gone {
		t.Error("a deleted file's leak counts as there")
	}
	if len(got.leaks) != 4 {
		t.Errorf("leaks %q, want 4", got.places())
	}
}

func TestAnOctopusMergeBringsItsOwn(t *testing.T) {
	g := newGit(t)
	g.commit("base.txt", "base\n")
	for _, name := range []string{"one", "two"} {
		g.run("checkout", "-q", "-b", name, "main")
		g.commit(name+".txt", name+"\n")
	}
	g.run("checkout", "-q", "main")
	g.commit("main.txt", "main\n")
	g.run("merge", "-q", "--no-commit", "one", "two")
	write(t, g.dir, "base.txt", "base "+secret("octopus")+"\n")
	g.run("add", "-A")
	g.run("commit", "-q", "-m", "octopus")
	got := historyOf(t, g.dir, HistoryOptions{}, Config{})
	got.wantNoGaps(t)
	got.byCommit(t, secret("octopus"), g.run("rev-parse", "HEAD"))
}

func TestOddRepositories(t *testing.T) {
	t.Run("empty", func(t *testing.T) {
		got := historyOf(t, newGit(t).dir, HistoryOptions{}, Config{})
		got.wantNoGaps(t)
		got.wantPlaces(t)
	})
	source := newGit(t)
	one := source.commit("a", secret("one")+"\n")
	source.commit("a", secret("two")+"\n", "dir/\xff\x1b[31m\n", secret("odd")+"\n", "blob.bin", "\x00\x01"+secret("binary"), "empty", "")
	source.run("tag", "-a", "-m", "a tag", "v1")
	t.Run("bare", func(t *testing.T) {
		bare := &git{t: t, dir: t.TempDir()}
		bare.run("clone", "-q", "--bare", source.dir, ".")
		got := historyOf(t, bare.dir, HistoryOptions{}, Config{})
		got.wantNoGaps(t)
		got.byCommit(t, secret("one"), one)
		got.wantPlaces(t, "a:1", "a:1", `dir/\xff`+"\x1b[31m\n:1")
	})
	t.Run("worktree", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "tree")
		source.run("worktree", "add", "-q", dir)
		got := historyOf(t, dir, HistoryOptions{}, Config{})
		got.wantNoGaps(t)
		got.byCommit(t, secret("one"), one)
	})
	t.Run("shallow", func(t *testing.T) {
		shallow := &git{t: t, dir: t.TempDir()}
		shallow.run("clone", "-q", "--depth=1", "file://"+source.dir, ".")
		got := historyOf(t, shallow.dir, HistoryOptions{}, Config{})
		got.wantGap(t, "history", Unsupported)
		got.wantPlaces(t, "a:1", `dir/\xff`+"\x1b[31m\n:1")
	})
	t.Run("partial", func(t *testing.T) {
		source.run("config", "uploadpack.allowFilter", "true")
		partial := &git{t: t, dir: t.TempDir()}
		partial.run("clone", "-q", "--no-checkout", "--filter=blob:none", "file://"+source.dir, ".")
		got := historyOf(t, partial.dir, HistoryOptions{}, Config{})
		got.wantGap(t, "history", Unreadable)
	})
	t.Run("sha256", func(t *testing.T) {
		g := newGit(t, "--object-format=sha256")
		c := g.commit("a", secret("sha256")+"\n")
		got := historyOf(t, g.dir, HistoryOptions{}, Config{})
		got.wantNoGaps(t)
		got.byCommit(t, secret("sha256"), c)
	})
}

func TestWhatNothingLeadsToIsReadWhenAsked(t *testing.T) {
	g := newGit(t)
	g.commit("a", "a\n")
	undone := g.commit("a", secret("undone")+"\n")
	g.run("reset", "-q", "--hard", "HEAD~1")
	write(t, g.dir, "b", secret("staged once")+"\n")
	g.run("add", "b")
	g.run("rm", "-q", "--cached", "b")
	g.run("reflog", "expire", "--expire=now", "--all")
	historyOf(t, g.dir, HistoryOptions{}, Config{}).wantPlaces(t)
	got := historyOf(t, g.dir, HistoryOptions{Dangling: true}, Config{})
	got.wantNoGaps(t)
	got.byCommit(t, secret("undone"), undone)
	got.byCommit(t, secret("staged once"), "")
	if len(got.leaks) != 2 {
		t.Errorf("leaks %q", got.places())
	}
}

func TestStashesBranchesAndDates(t *testing.T) {
	g := newGit(t)
	g.commit("a", "a\n")
	g.run("checkout", "-q", "-b", "other")
	other := g.commit("b", secret("other")+"\n")
	g.run("checkout", "-q", "main")
	write(t, g.dir, "a", secret("stashed")+"\n")
	g.run("stash", "-q")
	got := historyOf(t, g.dir, HistoryOptions{}, Config{})
	got.byCommit(t, secret("stashed"), g.run("rev-parse", "stash@{0}"))
	got.byCommit(t, secret("other"), other)
	got = historyOf(t, g.dir, HistoryOptions{Branch: "other"}, Config{})
	got.wantPlaces(t, "b:1")
	historyOf(t, g.dir, HistoryOptions{Since: "2030-01-01"}, Config{}).wantPlaces(t)
	historyOf(t, g.dir, HistoryOptions{Branch: "--upload-pack=touch x"}, Config{}).wantGap(t, "history", Unreadable)
}

func TestMessagesAreReadAndSubmodulesNamed(t *testing.T) {
	g := newGit(t)
	g.commit("a", "a\n")
	g.run("commit", "-q", "--allow-empty", "-m", "first line\n\nlogin with "+secret("said"))
	g.run("update-index", "--add", "--cacheinfo", "160000,"+g.run("rev-parse", "HEAD")+",sub")
	g.run("commit", "-q", "-m", "with a submodule")
	got := historyOf(t, g.dir, HistoryOptions{}, Config{})
	got.wantPlaces(t, "commit message:3")
	got.wantGap(t, "sub", Unsupported)
}

// A repository's own configuration names programs in many places. None of them runs.
func TestAHostileRepositoryRunsNothing(t *testing.T) {
	g := newGit(t)
	g.commit("a.txt", "x\n", ".gitattributes", "* diff=evil filter=evil\n")
	g.commit("a.txt", secret("there")+"\n")
	trap := filepath.Join(t.TempDir(), "ran")
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$0 $*\" >> "+trap+"\ncat\n"), 0o700); err != nil { //nolint:gosec // it must be executable to be a trap
		t.Fatal(err)
	}
	for _, key := range []string{
		"core.fsmonitor", "core.pager", "core.sshCommand", "core.askPass", "core.editor", "diff.external", "diff.evil.textconv", "diff.evil.command",
		"filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "gpg.program", "gpg.ssh.program", "pager.log", "credential.helper",
		"uploadpack.packObjectsHook", "remote.origin.uploadpack", "core.alternateRefsCommand", "alias.log", "alias.cat-file", "sequence.editor",
	} {
		g.run("config", key, program)
	}
	g.run("config", "log.showSignature", "true")
	g.run("config", "protocol.ext.allow", "always")
	g.run("config", "protocol.file.allow", "always")
	g.run("config", "core.repositoryformatversion", "1")
	g.run("config", "extensions.partialClone", "origin")
	g.run("config", "remote.origin.promisor", "true")
	g.run("config", "remote.origin.url", "ext::"+program)
	for _, hook := range []string{"post-index-change", "pre-commit", "reference-transaction", "post-checkout", "fsmonitor-watchman", "pre-auto-gc"} {
		if err := os.Symlink(program, filepath.Join(g.dir, ".git", "hooks", hook)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, g.dir, "a.txt", "changed "+secret("staged")+"\n")
	blob := strings.Split(g.run("-c", "core.fsmonitor=", "-c", "filter.evil.clean=", "-c", "filter.evil.process=", "-c", "core.hooksPath=/dev/null", "hash-object", "--no-filters", "-w", "a.txt"), "\n")[0]
	g.run("-c", "core.fsmonitor=", "-c", "core.hooksPath=/dev/null", "update-index", "--cacheinfo", "100644,"+blob+",a.txt")
	_ = os.Remove(trap)
	historyOf(t, g.dir, HistoryOptions{Dangling: true}, Config{}).byCommit(t, secret("there"), g.run("rev-parse", "HEAD"))
	got := collect(t, Config{}, func(c Config, s Sink) error { return Staged(context.Background(), g.dir, nil, c, s) })
	got.wantPlaces(t, "a.txt:1")
	if ran, err := os.ReadFile(trap); err == nil {
		t.Errorf("a program of the repository ran: %s", ran)
	}
}

func TestARepositoryIsWhereItIs(t *testing.T) {
	g, other := newGit(t), newGit(t)
	g.commit("sub/a", "a\n")
	linked := filepath.Join(t.TempDir(), "linked")
	g.run("worktree", "add", "-q", linked)
	for dir, want := range map[string]string{g.dir: g.dir, filepath.Join(g.dir, "sub"): g.dir, linked: linked} {
		if top, ok, err := Repository(t.Context(), dir); top != want || !ok || err != nil {
			t.Errorf("the top of %s is %s, %t, %v", dir, top, ok, err)
		}
	}
	g.run("config", "core.worktree", other.dir)
	if top, ok, err := Repository(t.Context(), g.dir); ok || err == nil {
		t.Errorf("another repository, %s, is scanned in place of this one", top)
	}
}

func TestStagedChanges(t *testing.T) {
	g := newGit(t)
	write(t, g.dir, "new.txt", "a\n"+secret("first commit")+"\n")
	g.run("add", "-A")
	staged := func() *told {
		return collect(t, Config{}, func(c Config, s Sink) error { return Staged(context.Background(), g.dir, nil, c, s) })
	}
	staged().wantPlaces(t, "new.txt:2")
	g.commit("old.txt", secret("old")+"\n", "same.txt", "same\n")
	write(t, g.dir, "old.txt", "above\n"+secret("old")+"\n")
	write(t, g.dir, "same.txt", "same\n"+secret("unstaged")+"\n")
	write(t, g.dir, "third.txt", secret("third")+"\n")
	g.run("add", "old.txt", "third.txt")
	staged().wantPlaces(t, "third.txt:1")
}

func TestWithoutGitIsAGap(t *testing.T) {
	g := newGit(t)
	g.commit("a", secret("x")+"\n")
	t.Setenv("PATH", t.TempDir())
	got := historyOf(t, g.dir, HistoryOptions{}, Config{})
	got.wantGap(t, "history", MissingTool)
	got = collect(t, Config{}, func(c Config, s Sink) error { return Staged(context.Background(), g.dir, nil, c, s) })
	got.wantGap(t, "staged", MissingTool)
}

func TestADamagedObjectHidesOnlyItself(t *testing.T) {
	g := newGit(t)
	c := g.commit("a", "damaged\n", "b", secret("b")+"\n")
	id := g.run("rev-parse", "HEAD:a")
	path := filepath.Join(g.dir, ".git", "objects", id[:2], id[2:])
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("no zlib"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := historyOf(t, g.dir, HistoryOptions{}, Config{})
	got.byCommit(t, secret("b"), c)
	if len(got.gaps) == 0 {
		t.Error("a damaged object is no gap")
	}
}

// A git that dies at the first version of a file hides that one alone.
func TestGitThatDiesHidesOneVersion(t *testing.T) {
	g := newGit(t)
	g.commit("a", "the first\n")
	c := g.commit("a", "the second\n"+secret("a")+"\n")
	real, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *'cat-file --batch') mkdir '%s/died' 2>/dev/null && exit 1;; esac\nexec '%s' \"$@\"\n", bin, real)
	if err := os.WriteFile(filepath.Join(bin, "git"), []byte(script), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	got := historyOf(t, g.dir, HistoryOptions{}, Config{Workers: 1})
	got.byCommit(t, secret("a"), c)
	got.wantGap(t, "object ", Unreadable)
}

func TestALongFileOfOneVersionHasItsLines(t *testing.T) {
	g := newGit(t)
	g.commit("a", secret("first")+"\n"+strings.Repeat("nothing on this line\n", wholeText/16)+secret("last")+"\n")
	historyOf(t, g.dir, HistoryOptions{}, Config{}).wantPlaces(t, "a:1", fmt.Sprintf("a:%d", wholeText/16+2))
}

// Many versions of a long file give each leak once, with its line, as if every
// version had been read whole.
func TestVersionsAreReadByWhatIsNew(t *testing.T) {
	g := newGit(t)
	var lines []string
	for i := range 400 {
		lines = append(lines, fmt.Sprintf("line %d of a long file that changes a little each time", i))
	}
	want := map[string]string{}
	for v := range 12 {
		at := (v * 97) % len(lines)
		value := secret(fmt.Sprint("version", v))
		lines = append(lines[:at], append([]string{"token " + value}, lines[at:]...)...)
		want[value] = g.commit("long.txt", strings.Join(lines, "\n"))
	}
	got := historyOf(t, g.dir, HistoryOptions{}, Config{})
	for value, commit := range want {
		got.byCommit(t, value, commit)
	}
	if len(got.leaks) != len(want) {
		t.Errorf("%d leaks, want %d", len(got.leaks), len(want))
	}
}

// What history has read is not read again from the tree, but what is not as the last
// commit has it is.
func TestFilesAsInHistoryAreReadOnce(t *testing.T) {
	g := newGit(t)
	g.commit("a", secret("a")+"\n", "b", "b\n", "dir/c", secret("c")+"\n")
	g.run("mv", "dir", "moved")
	g.commit()
	write(t, g.dir, "b", secret("changed")+"\n")
	write(t, g.dir, "new", secret("new")+"\n")
	c := Config{Versions: new(Versions)}
	historyOf(t, g.dir, HistoryOptions{}, c).wantPlaces(t, "a:1", "dir/c:1")
	got := folderOf(t, g.dir, c)
	got.wantPlaces(t, "b:1", "moved/c:1", "new:1")
	if got.Same.Load() != 1 {
		t.Errorf("%d files are as in history, want 1", got.Same.Load())
	}
}

// TestExcludedPathsAreOutOfHistoryToo: a folder with all below it, and nothing
// else that holds the same.
func TestExcludedPathsAreOutOfHistoryToo(t *testing.T) {
	g := newGit(t)
	text := "password=" + secret("kept") + "\n"
	g.commit("third/party/app.ini", text, "app.ini", text)
	c := Config{Exclude: func(path string, folder bool) bool { return folder && path == "third" }}
	got := historyOf(t, g.dir, HistoryOptions{}, c)
	got.wantNoGaps(t)
	if len(got.leaks) != 1 || got.leaks[0].Path != "app.ini" {
		t.Errorf("leaks %q", got.places())
	}
}

// TestGraftsHideNoHistory: a file of the repository's own that says where its
// history begins is not believed.
func TestGraftsHideNoHistory(t *testing.T) {
	g := newGit(t)
	first := secret("first")
	g.commit("app.ini", "password="+first+"\n")
	head := g.commit("app.ini", "clean\n")
	if err := os.WriteFile(filepath.Join(g.dir, ".git", "info", "grafts"), []byte(head+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := historyOf(t, g.dir, HistoryOptions{}, Config{}); len(got.leaks) != 1 {
		t.Errorf("leaks %q", got.places())
	}
}

// TestAllStashesTagsAndNotesAreRead: what a name leads to, and what the log of a name does.
func TestAllStashesTagsAndNotesAreRead(t *testing.T) {
	g := newGit(t)
	head := g.commit("a", "x\n")
	for _, of := range []string{"first", "second", "third"} {
		write(t, g.dir, "a", secret(of)+"\n")
		g.run("stash", "push", "-q")
	}
	write(t, g.dir, "new", secret("untracked")+"\n")
	g.run("stash", "push", "-q", "-u")
	g.run("tag", "-a", "v1", "-m", "a tag\n\nwith "+secret("tag"))
	g.run("tag", "-a", "outer", "-m", "of a tag", "v1")
	g.run("tag", "-d", "v1")
	g.run("notes", "add", "-m", "noted "+secret("note"), "HEAD")
	got := historyOf(t, g.dir, HistoryOptions{}, Config{})
	got.wantNoGaps(t)
	found := map[string]Found{}
	for _, l := range got.leaks {
		found[string(l.Secret.Reveal())] = l
	}
	for _, of := range []string{"first", "second", "third", "untracked", "tag", "note"} {
		if _, ok := found[secret(of)]; !ok {
			t.Errorf("%s was not found among %v", of, got.places())
		}
	}
	if l := found[secret("tag")]; l.Leak != nil && (l.Commit != head || l.Author != "Com Mitter" || l.Email != "com@example.org" || l.Date.IsZero() || l.Note != "tag v1") {
		t.Errorf("the tag's leak is %+v, %q", l.Place, l.Note)
	}
}

// TestFoldersAndObjectsElsewhereAreCounted: they are not part of what was read, or are
// of another repository.
func TestFoldersAndObjectsElsewhereAreCounted(t *testing.T) {
	g := newGit(t)
	g.commit("a", secret("a")+"\n")
	g.run("worktree", "add", "-q", "--detach", filepath.Join(t.TempDir(), "other"))
	shared := filepath.Join(t.TempDir(), "shared")
	g.run("clone", "-q", "--shared", g.dir, shared)
	for dir, want := range map[string][2]int64{g.dir: {1, 0}, shared: {0, 1}} {
		got := historyOf(t, dir, HistoryOptions{}, Config{})
		got.wantPlaces(t, "a:1")
		if is := [2]int64{got.Worktrees.Load(), got.Borrowed.Load()}; is != want {
			t.Errorf("worktrees and object stores elsewhere: %v, want %v", is, want)
		}
	}
}
