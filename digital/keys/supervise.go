package keys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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

// How the child is watched.
const (
	minBackoff   = 200 * time.Millisecond
	maxBackoff   = 30 * time.Second
	steady       = time.Minute // a child that ran so long begins a new back-off
	probeEvery   = 10 * time.Second
	probeTimeout = 5 * time.Second
	startTimeout = 30 * time.Second // making keys on the first run, on a slow disk
	endTimeout   = 5 * time.Second
)

// Supervisor keeps a keys process running.
type Supervisor struct {
	// Args follow the program's own path: "child", "keys" and what the verb
	// needs. The child finds its socket at ChildFD.
	Args []string
	// Program is the binary to start; "" means this one.
	Program string
	Env     []string  // of the child; nil means none
	Stderr  io.Writer // of the child; nil means discard
	Clock   core.Clock
	Log     *slog.Logger

	patience time.Duration // how long a probe may take; 0 means probeTimeout

	client Client
	mu     sync.Mutex
	health core.Health
	why    string
	starts int
}

// Client returns the client of whichever child is running.
func (s *Supervisor) Client() *Client { return &s.client }

// Health returns how the process is and, where it is not healthy, why.
func (s *Supervisor) Health() (core.Health, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.health == "" {
		return core.HealthStarting, "not started yet"
	}
	return s.health, s.why
}

// Starts returns how often a child was started.
func (s *Supervisor) Starts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.starts
}

func (s *Supervisor) set(h core.Health, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health, s.why = h, why
}

// Run starts the child and starts it again, with back-off, until ctx ends; then
// it ends the child and returns nil.
func (s *Supervisor) Run(ctx context.Context) error {
	// The parent-death signal comes when the thread ends that made the child,
	// so that thread is held for as long as there is a child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	backoff := minBackoff
	for {
		began := s.Clock.Now()
		err := s.once(ctx)
		s.client.use(nil)
		if ctx.Err() != nil {
			s.set(core.HealthUnhealthy, "stopped")
			return nil
		}
		if s.Clock.Now().Sub(began) >= steady {
			backoff = minBackoff
		}
		s.set(core.HealthUnhealthy, err.Error())
		s.Log.Error("the keys process ended", "error", err.Error(), "again_in", backoff)
		select {
		case <-ctx.Done():
			return nil
		case <-s.Clock.After(backoff):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// once runs one child to its end and says why it ended.
func (s *Supervisor) once(ctx context.Context) error {
	cmd, conn, err := s.start()
	if err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	session := newSession(conn)
	cause := s.watch(ctx, session)
	hangs := cause != nil && !session.ended()
	session.end(errDown()) // the child sees the end of its input and leaves
	if hangs {
		_ = cmd.Process.Kill()
	}

	// Real time: a child may hang whatever the clock says.
	patience := time.NewTimer(endTimeout)
	defer patience.Stop()
	select {
	case err = <-exited:
	case <-patience.C:
		_ = cmd.Process.Kill()
		err = <-exited
	}
	return errors.Join(cause, err)
}

func (s *Supervisor) start() (*exec.Cmd, net.Conn, error) {
	const op = "keys.Supervisor"
	conn, theirs, err := socketpair()
	if err != nil {
		return nil, nil, core.Wrap(core.KindUnavailable, op, err)
	}
	defer theirs.Close()
	program := s.Program
	if program == "" {
		if program, err = os.Executable(); err != nil {
			return nil, nil, errors.Join(core.Wrap(core.KindUnavailable, op, err), conn.Close())
		}
	}
	cmd := exec.Command(program, s.Args...)
	cmd.Env = append([]string{}, s.Env...)
	cmd.Stderr = s.Stderr
	cmd.ExtraFiles = []*os.File{theirs} // becomes ChildFD
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.WaitDelay = endTimeout
	if err := cmd.Start(); err != nil {
		return nil, nil, errors.Join(core.Wrap(core.KindUnavailable, op, err), conn.Close())
	}
	s.mu.Lock()
	s.starts++
	s.mu.Unlock()
	s.set(core.HealthStarting, "")
	return cmd, conn, nil
}

// watch returns when the child should be ended, or has ended by itself. A child
// that hangs is as useless as a dead one, so it is asked how it is.
func (s *Supervisor) watch(ctx context.Context, session *session) error {
	if err := s.probe(ctx, session, startTimeout); err != nil {
		return fmt.Errorf("it did not start: %w", err)
	}
	s.client.use(session)
	s.set(core.HealthHealthy, "")
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-session.done:
			return session.why()
		case <-s.Clock.After(probeEvery):
		}
		if err := s.probe(ctx, session, cmp.Or(s.patience, probeTimeout)); err != nil {
			return fmt.Errorf("it does not answer: %w", err)
		}
	}
}

// probe asks for the status directly on the session, with a deadline of real
// time: it is a child that may hang, not a clock.
func (s *Supervisor) probe(ctx context.Context, session *session, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	_, err := session.ask(ctx, opStatus, []byte("{}"))
	return err
}

// socketpair returns our end and the child's, neither of which any other child
// inherits.
func socketpair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "keys"), os.NewFile(uintptr(fds[1]), "keys")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn, theirs, nil
}
