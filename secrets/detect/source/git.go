package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"

	"github.com/interlock-security/interlock/core"
)

// repository is a git repository that others may have made. git reads it for us, with
// everything switched off by which a repository's configuration can name a program.
type repository struct {
	dir string
	// hook is the environment that git gave to a hook: the index of the commit that
	// is being made is not always the repository's own.
	hook []string
}

// gitSettings win over the repository's own. They are in the protected scope of the
// command line, where also safe.directory counts: whose repository it is does not
// matter when it can run nothing.
var gitSettings = []string{
	"safe.directory=*",
	"core.fsmonitor=false",
	"core.hooksPath=/dev/null",
	"core.pager=cat",
	"core.askPass=",
	"core.sshCommand=false",
	"core.attributesFile=/dev/null",
	"core.quotePath=false",
	"credential.helper=",
	"diff.external=",
	"diff.ignoreSubmodules=none",
	"diff.orderFile=/dev/null",
	"log.showSignature=false",
	"log.mailmap=false",
	"gpg.program=false",
	"gpg.ssh.program=false",
	"protocol.allow=never",
	"submodule.recurse=false",
	"uploadpack.packObjectsHook=",
}

// gitEnvironment is all that git gets to see of ours.
var gitEnvironment = []string{
	"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0",
	"GIT_NO_REPLACE_OBJECTS=1", "GIT_GRAFT_FILE=/dev/null", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none", "GIT_FLUSH=0", "GIT_EDITOR=false",
	"LC_ALL=C", "HOME=/nonexistent", "XDG_CONFIG_HOME=/nonexistent", "TZ=UTC",
}

// errNoGit tells that git is not installed.
var errNoGit = errors.New("git is not installed")

// command makes a git command that runs nothing but git.
func (r *repository) command(ctx context.Context, args ...string) *exec.Cmd {
	full := []string{"--no-pager", "--no-optional-locks", "--no-replace-objects", "--literal-pathspecs", "-C", r.dir}
	for _, s := range gitSettings {
		full = append(full, "-c", s)
	}
	cmd := exec.CommandContext(ctx, "git", append(full, args...)...)
	cmd.Env = slices.Concat([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}, gitEnvironment, r.hook)
	return cmd
}

// longestComplaint is how much of what git says is kept.
const longestComplaint = 4096

// complaint collects the first of what git says. It is read while git may still be
// speaking.
type complaint struct {
	mu   sync.Mutex
	text []byte
}

func (c *complaint) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p[:min(longestComplaint-len(c.text), len(p))]...)
	return len(p), nil
}

func (c *complaint) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text)
}

// explain joins an error of git with the last line that it said.
func (c *complaint) explain(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return errNoGit
	}
	said := strings.TrimSpace(c.String())
	if i := strings.LastIndexByte(said, '\n'); i >= 0 {
		said = said[i+1:]
	}
	if said == "" {
		return err
	}
	return errors.New(Shown(said))
}

// mostOutput bounds what git may say where a few lines are expected.
const mostOutput = 1 << 20

// ask runs git and returns what it says.
func (r *repository) ask(ctx context.Context, args ...string) (string, error) {
	var out []byte
	err := r.read(ctx, args, func(stdout io.Reader) error {
		var err error
		out, err = io.ReadAll(io.LimitReader(stdout, mostOutput))
		return err
	})
	return strings.TrimRight(string(out), "\n"), err
}

// read runs git and lets take read its output to the end.
func (r *repository) read(ctx context.Context, args []string, take func(io.Reader) error) error {
	return r.converse(ctx, args, nil, take)
}

func (r *repository) converse(ctx context.Context, args []string, stdin io.Reader, take func(io.Reader) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cmd := r.command(ctx, args...)
	said := new(complaint)
	cmd.Stderr, cmd.Stdin = said, stdin
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return said.explain(err)
	}
	if err := take(out); err != nil {
		stop()
		_ = cmd.Wait()
		return err
	}
	return said.explain(cmd.Wait())
}

// Repository reports the top of the repository in which dir lies, and whether it lies
// in one. A bare repository is its own top.
func Repository(ctx context.Context, dir string) (top string, ok bool, err error) {
	r := &repository{dir: dir}
	said, err := r.ask(ctx, "rev-parse", "--is-bare-repository", "--absolute-git-dir")
	if errors.Is(err, errNoGit) {
		return "", false, core.E(core.KindUnavailable, "source.Repository", "git is not installed").WithHint("install git, or scan without --history")
	}
	bare, gitDir, _ := strings.Cut(said, "\n")
	if err != nil {
		return "", false, nil //nolint:nilerr // git says so of every folder that is no repository
	}
	if bare == "true" {
		return gitDir, true, nil
	}
	top, err = r.ask(ctx, "rev-parse", "--show-toplevel")
	if err != nil || top == "" {
		return "", false, nil //nolint:nilerr // as above
	}
	// Its own settings may name any folder as its work tree: another one's, to be scanned in its place.
	if there, err := (&repository{dir: top}).ask(ctx, "rev-parse", "--absolute-git-dir"); err != nil || there != gitDir {
		return "", false, core.E(core.KindInvalid, "source.Repository", Shown(dir)+" says that its files are in "+Shown(top)+", which is not its own folder").
			WithHint("look at core.worktree in its settings, or scan without --history")
	}
	return top, true, nil
}

// partial reports whether objects may be missing because the repository was cloned
// without them.
func (r *repository) partial(ctx context.Context) bool {
	said, _ := r.ask(ctx, "config", "--get-regexp", `^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$`)
	return said != ""
}

// shallow reports whether the history was cut off when it was cloned.
func (r *repository) shallow(ctx context.Context) bool {
	said, _ := r.ask(ctx, "rev-parse", "--is-shallow-repository")
	return said == "true"
}

// gitGap names what git could not do.
func gitGap(what string, err error) Gap {
	if errors.Is(err, errNoGit) {
		return Gap{what, "git is not installed: install it, or scan the files alone", MissingTool}
	}
	return Gap{Shown(what), fmt.Sprintf("git can't read it: %v", err), Unreadable}
}
