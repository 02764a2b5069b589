// Package rig is what the tests that run the product from outside share: its
// programs as users get them, processes in groups of their own, addresses that
// nobody else takes, a simulated machine, and waiting.
//
// It stands outside the house, beside test/attack, test/console, test/e2e and
// test/hil, and knows of the product no more than a program's command line, the
// agent's configuration and its simulated sensor.
package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience bounds every wait. It is no promise of speed: only what never comes
// needs it, and the machine may be busy with others.
const Patience = 4 * time.Minute

// Await polls until ok; past Patience it fails and shows what diagnose has to say.
func Await(t testing.TB, what string, diagnose func() string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: it did not come:\n%s", what, diagnose())
		}
	}
}

// Output collects what processes print while others read it.
type Output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// String returns all of it.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Tail returns the end of a text.
func Tail(s string, limit int) string { return s[max(0, len(s)-limit):] }

// Short makes a folder with a short path, which goes with the test: a unix
// socket's name is limited to 108 bytes. What the test cleans up after this
// call still finds it.
func Short(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "il")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Write writes a file that only its owner reads, and the folders above it.
func Write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Start runs a program in a process group of its own. env comes to what this
// process has.
func Start(t testing.TB, out *Output, env []string, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// Kill kills a process and its group, as a power cut would, and fails the test
// if it had ended before by itself.
func Kill(t testing.TB, cmd *exec.Cmd, out *Output) {
	t.Helper()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	_ = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("%v had ended by itself (%s):\n%s", cmd.Args, cmd.ProcessState, out.String())
	}
}

// Site is where a server has its folders, and its people their keys.
type Site struct{ Dir, Data, Keys string }

// NewSite names the folders of a site below dir. They are made by who needs them.
func NewSite(dir string) Site {
	return Site{Dir: dir, Data: filepath.Join(dir, "data"), Keys: filepath.Join(dir, "keys")}
}

// Args are those of a verb on this site.
func (s Site) Args(args ...string) []string {
	return append([]string{"--data", s.Data, "--keys", s.Keys}, args...)
}

// Run runs a verb to its end and returns what it printed, what it complained of,
// and its exit code.
func (s Site) Run(t testing.TB, args ...string) (out, complaint string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	return Run(exec.CommandContext(ctx, Program(t, "interlock"), s.Args(args...)...))
}

// Must runs a verb that has to end with 0 and returns what it prints.
func (s Site) Must(t testing.TB, args ...string) string {
	t.Helper()
	out, complaint, code := s.Run(t, args...)
	if code != 0 {
		t.Fatalf("interlock %s: exit %d\n%s%s", strings.Join(args, " "), code, out, complaint)
	}
	return out
}

// Run runs a command to its end. The code of one that did not run, or that was
// killed, is -1, and the complaint says why.
func Run(cmd *exec.Cmd) (out, complaint string, code int) {
	var printed, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &said
	err := cmd.Run()
	if err == nil {
		return printed.String(), said.String(), 0
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return printed.String(), said.String(), exit.ExitCode()
	}
	return printed.String(), fmt.Sprintf("%s%v: %v", &said, cmd.Args, err), -1
}
