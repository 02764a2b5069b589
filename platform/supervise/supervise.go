// Package supervise keeps a child process of this same binary running: started
// over an inherited socketpair, ended with its parent, and started again, with
// back-off, when it ends or hangs. What parent and child say to each other is
// the caller's ([Process.Attend]).
package supervise

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
)

const (
	minBackoff = 200 * time.Millisecond
	maxBackoff = 30 * time.Second
	steady     = time.Minute // a child that ran so long begins a new back-off
	endTimeout = 5 * time.Second
)

// ErrHangs marks an error of [Process.Attend] whose child would not end by
// itself: it is killed at once.
var ErrHangs = errors.New("the process hangs")

// Process is a child process that is to run all the time.
type Process struct {
	// Name is what people call it: "keys".
	Name string
	// Args follow the program's own path. The child finds its end of the
	// socketpair at [ChildFD].
	Args []string
	// Program is the binary to start; "" means this one.
	Program string
	Env     []string  // of the child; nil means none
	Stderr  io.Writer // of the child; nil means discard
	Clock   core.Clock
	Log     *slog.Logger
	// Attend is with one child from its start to its end and owns conn. It
	// calls up when the child is of use, and returns nil when ctx has ended,
	// an error when the child should be ended or has ended by itself. A child
	// sees the end of conn and leaves.
	Attend func(ctx context.Context, conn net.Conn, up func()) error
	// Patience is how long a child may take to leave; 0 means five seconds.
	Patience time.Duration

	mu     sync.Mutex
	health core.Health
	why    string
	starts int
	pid    int
}

// Health returns how the process is and, where it is not healthy, why.
func (p *Process) Health() (core.Health, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.health == "" {
		return core.HealthStarting, "not started yet"
	}
	return p.health, p.why
}

// Starts returns how often a child was started.
func (p *Process) Starts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.starts
}

// PID returns the process id of the child that was started last.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid
}

func (p *Process) set(h core.Health, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.health, p.why = h, why
}

// Run starts the child and starts it again, with back-off, until ctx ends; then
// it ends the child and returns nil.
func (p *Process) Run(ctx context.Context) error {
	// The parent-death signal comes when the thread ends that made the child,
	// so that thread is held for as long as there is a child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	backoff := minBackoff
	for {
		began := p.Clock.Now()
		err := p.once(ctx)
		if ctx.Err() != nil {
			p.set(core.HealthUnhealthy, "stopped")
			return nil
		}
		if p.Clock.Now().Sub(began) >= steady {
			backoff = minBackoff
		}
		p.set(core.HealthUnhealthy, err.Error())
		p.Log.Error("the "+p.Name+" process ended", slog.Any("error", err.Error()), slog.Any("again_in", backoff))
		select {
		case <-ctx.Done():
			return nil
		case <-p.Clock.After(backoff):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// once runs one child to its end and says why it ended.
func (p *Process) once(ctx context.Context) error {
	cmd, conn, err := p.start()
	if err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	cause := p.Attend(ctx, conn, func() { p.set(core.HealthHealthy, "") })
	if errors.Is(cause, ErrHangs) {
		_ = cmd.Process.Kill()
	}
	_ = conn.Close() // Attend may have; the child leaves

	// Real time: a child may hang whatever the clock says.
	patience := time.NewTimer(cmp.Or(p.Patience, endTimeout))
	defer patience.Stop()
	select {
	case err = <-exited:
	case <-patience.C:
		_ = cmd.Process.Kill()
		err = <-exited
	}
	if err = errors.Join(cause, err); err == nil {
		err = core.E(core.KindUnavailable, "supervise."+p.Name, "it ended without a word")
	}
	return err
}

func (p *Process) start() (*exec.Cmd, net.Conn, error) {
	op := "supervise." + p.Name
	conn, theirs, err := socketpair(p.Name)
	if err != nil {
		return nil, nil, core.Wrap(core.KindUnavailable, op, err)
	}
	defer theirs.Close()
	program := p.Program
	if program == "" {
		if program, err = os.Executable(); err != nil {
			return nil, nil, errors.Join(core.Wrap(core.KindUnavailable, op, err), conn.Close())
		}
	}
	cmd := exec.Command(program, p.Args...)
	cmd.Env = append([]string{}, p.Env...)
	cmd.Stderr = p.Stderr
	cmd.ExtraFiles = []*os.File{theirs} // becomes ChildFD
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.WaitDelay = endTimeout
	if err := cmd.Start(); err != nil {
		return nil, nil, errors.Join(core.Wrap(core.KindUnavailable, op, err), conn.Close())
	}
	p.mu.Lock()
	p.starts++
	p.pid = cmd.Process.Pid
	p.mu.Unlock()
	p.set(core.HealthStarting, "")
	return cmd, conn, nil
}

// socketpair returns our end and the child's, neither of which any other child
// inherits.
func socketpair(name string) (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name)
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn, theirs, nil
}
