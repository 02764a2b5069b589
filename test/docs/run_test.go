package docs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// prelude is what every page's script begins with. await waits for a command to
// succeed; interlock takes findings (exit code 1) for an answer where a verb
// only looks.
const prelude = `set -euo pipefail
at() { HERE=$1; }
trap 'echo "=== failed in the block at $HERE: $BASH_COMMAND" >&2' ERR
set -E
await() {
  for _ in $(seq 600); do
    if "$@" >await.log 2>&1; then return 0; fi
    sleep 0.1
  done
  cat await.log >&2
  echo "it never succeeds: $*" >&2
  return 1
}
interlock() {
  local rc=0
  command interlock "$@" || rc=$?
  case "$rc ${1:-}" in '1 status' | '1 doctor' | '1 stop' | '1 incidents') rc=0 ;; esac
  return $rc
}
`

// TestExamplesRun executes the blocks that pages mark, page by page.
func TestExamplesRun(t *testing.T) {
	ran := 0
	for _, p := range pages(t) {
		script := p.Script()
		if script == nil {
			continue
		}
		ran++
		t.Run(p.Path, func(t *testing.T) { execute(t, p, script) })
	}
	if ran == 0 {
		t.Error("no page has an example that runs")
	}
}

// execute runs a page's script in an empty home, with a configuration whose
// ports are free, and ends everything that it has started.
func execute(t *testing.T, p Page, script []byte) {
	home := newHome(t)
	path := filepath.Join(home, "page.sh")
	if err := os.WriteFile(path, append([]byte(prelude), script...), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", path)
	cmd.Dir = home
	cmd.Env = append(goCaches(t), "HOME="+home, "PATH="+built(t)+":"+os.Getenv("PATH"), "LC_ALL=C.UTF-8", "COLUMNS=200", "PROJECT="+project(t))
	cmd.Stdin = yes{}
	// A file and not a pipe: what runs on in the background would keep that open.
	out, err := os.Create(filepath.Join(home, "page.out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		text, _ := os.ReadFile(out.Name())
		t.Errorf("%s: %v\n%s", p.Path, err, text)
	}
}

// newHome makes a home in a short path: a unix socket's name is limited to 108
// bytes.
func newHome(t *testing.T) string {
	t.Helper()
	home, err := os.MkdirTemp("", "il")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	data := filepath.Join(home, ".local", "state", "interlock")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("listen:\n  agents: %s\n  management: %s\n  console: %s\n", freePort(t), freePort(t), freePort(t))
	if err := os.WriteFile(filepath.Join(data, "interlock.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return home
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// yes answers every question that a verb asks.
type yes struct{}

// Read implements io.Reader.
func (yes) Read(p []byte) (int, error) {
	return copy(p, bytes.Repeat([]byte("yes\n"), len(p)/4+1)), nil
}

// project is the project's folder, for pages that need a tool of its tests.
func project(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// goCaches keeps what go has built and downloaded where it is, although the
// home is another.
func goCaches(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS").Output()
	if err != nil {
		t.Fatal(err)
	}
	v := strings.Split(string(out), "\n")
	return []string{"GOCACHE=" + v[0], "GOMODCACHE=" + v[1], "GOPROXY=" + v[2], "GOFLAGS=" + v[3]}
}
