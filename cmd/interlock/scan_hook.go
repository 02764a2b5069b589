package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

type scanHookCmd struct {
	Install scanHookInstallCmd `cmd:"" help:"Look for secrets in what is staged before each commit."`
}

type scanHookInstallCmd struct {
	Path string `arg:"" optional:"" default:"." help:"The repository." type:"path" placeholder:"DIR"`
}

// Help implements kong's long help.
func (scanHookInstallCmd) Help() string {
	return `Writes the pre-commit hook of a repository, where git looks for it (core.hooksPath counts). A hook that is not ours is left as it is.
"git commit --no-verify" goes past any hook: what keeps secrets out of a shared repository is the same scan in its checks.

Example:
  interlock scan hook install`
}

// hookMark tells our hook from those of others.
const hookMark = "# interlock scan secrets"

// hookLine is what a hook must run.
const hookLine = "interlock scan secrets --staged"

const hookText = `#!/bin/sh
` + hookMark + `: looks for secrets in what is staged.
# Written by "interlock scan hook install", which writes it anew; delete it to stop.
if ! command -v interlock >/dev/null 2>&1; then
	echo "interlock is not installed: nothing was scanned for secrets" >&2
	exit 2
fi
exec ` + hookLine + `
`

// Run writes the hook.
func (c *scanHookInstallCmd) Run(e *env) error {
	const op = "scan hook install"
	// This repository is its user's own, whose settings say where hooks are.
	out, err := exec.CommandContext(e.ctx, "git", "-C", c.Path, "rev-parse", "--path-format=absolute", "--git-path", "hooks").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return core.E(core.KindUnavailable, op, "git is not installed").WithHint("install git")
	}
	if err != nil {
		return core.E(core.KindNotFound, op, c.Path+" is no git repository").WithHint("name one, or make one with git init")
	}
	dir := strings.TrimSuffix(string(out), "\n")
	path := filepath.Join(dir, "pre-commit")
	if err := mayReplace(path); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return core.Wrap(core.KindUnavailable, op, err)
	}
	if err := atomicfile.WriteFile(path, []byte(hookText), 0o755); err != nil {
		return core.Wrap(core.KindUnavailable, op, err)
	}
	_, err = fmt.Fprintf(e.talk(), "%s looks for secrets before each commit from now on\n", onOneLine(path))
	return err
}

// mayReplace refuses to write over a hook that somebody else has made.
func mayReplace(path string) error {
	text, err := os.ReadFile(filepath.Clean(path))
	if errors.Is(err, fs.ErrNotExist) || err == nil && bytes.Contains(text, []byte(hookMark)) {
		return nil
	}
	if err != nil {
		return core.Wrap(core.KindUnavailable, "scan hook install", err)
	}
	return core.E(core.KindConflict, "scan hook install", path+" is there already, and not ours").WithHint("add this line to it: " + hookLine)
}
