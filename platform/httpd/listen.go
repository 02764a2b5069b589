package httpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/interlock-security/interlock/core"
)

// NewServer returns a server with the time limits that every listener of ours
// has. Streams lift the write limit for themselves through
// http.ResponseController.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// ListenUnix opens a unix socket for the user of this process alone, mode 0600. A
// file left by a dead process is replaced; a socket that somebody serves is an
// error.
func ListenUnix(path string) (net.Listener, error) { return ListenUnixGroup(path, "") }

// ListenUnixGroup is [ListenUnix] for a socket that the members of a group reach
// too, mode 0660; "" means nobody else. Who may do what is not the file's mode's
// to say: the peer's uid names the person, and an unknown one is refused. The
// folder that holds the socket must let the group through.
func ListenUnixGroup(path, group string) (net.Listener, error) {
	gid, err := groupID(group)
	if err != nil {
		return nil, err
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = c.Close()
		return nil, core.E(core.KindConflict, "httpd.ListenUnix", "another process serves "+path).
			WithHint("stop the other interlock, or choose another data directory")
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, core.Wrap(core.KindUnavailable, "httpd.ListenUnix", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "httpd.ListenUnix", err)
	}
	// Not by umask, which is the whole process's: a directory that somebody
	// else makes meanwhile would be one that nobody can enter. Who connects
	// before this line is known by uid all the same.
	if err := grant(path, gid); err != nil {
		return nil, errors.Join(core.Wrap(core.KindUnavailable, "httpd.ListenUnix", err), l.Close())
	}
	return l, nil
}

// LetThrough lets a group pass through a folder to the sockets in it, mode 0710:
// its members can't list it, and what they have no right to they can't open. ""
// leaves the folder as it is.
func LetThrough(dir, group string) error {
	gid, err := groupID(group)
	if err != nil || gid == nobodyElse {
		return err
	}
	if err := errors.Join(os.Chown(dir, -1, gid), os.Chmod(dir, 0o710)); err != nil { //nolint:gosec // the operator named the group, which can only pass through
		return core.Wrap(core.KindUnavailable, "httpd.LetThrough", err)
	}
	return nil
}

// nobodyElse is no group's id.
const nobodyElse = -1

// groupID finds a group by its name or number.
func groupID(group string) (int, error) {
	if group == "" {
		return nobodyElse, nil
	}
	if n, err := strconv.ParseUint(group, 10, 31); err == nil {
		return int(n), nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return 0, core.E(core.KindInvalid, "httpd.ListenUnix", fmt.Sprintf("there is no group %.40q", group)).
			WithHint("make it with groupadd, or give its number")
	}
	return strconv.Atoi(g.Gid)
}

// grant says who reaches a socket. The group is set before the mode lets it in.
func grant(path string, gid int) error {
	if gid == nobodyElse {
		return os.Chmod(path, 0o600)
	}
	return errors.Join(os.Chmod(path, 0o600), os.Chown(path, -1, gid), os.Chmod(path, 0o660)) //nolint:gosec // the operator named the group; the peer's uid says who it is
}

type peerKey struct{}

// withPeer remembers the uid of a unix socket's peer.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	uid, err := peerUID(u)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, uid)
}

func peerUID(c *net.UnixConn) (uint32, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *syscall.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return cred.Uid, nil
}

// PeerUID returns the uid of the process at the other end of the unix socket
// that the request came over, as the kernel says.
func PeerUID(ctx context.Context) (uint32, error) {
	uid, ok := ctx.Value(peerKey{}).(uint32)
	if !ok {
		return 0, core.E(core.KindUnauthenticated, "httpd.PeerUID", "the peer is not at a unix socket, so its uid is not known")
	}
	return uid, nil
}

// Serve runs s on l until ctx ends, then lets requests finish for up to five
// seconds. It returns when no handler runs any more: what handlers stand on may
// be closed after it. It returns nil after a shutdown that ctx asked for.
func Serve(ctx context.Context, s *http.Server, l net.Listener) error {
	running := &inFlight{handler: s.Handler}
	s.Handler = running
	ended := make(chan struct{})
	stopped := context.AfterFunc(ctx, func() {
		defer close(ended)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if s.Shutdown(grace) != nil {
			_ = s.Close() // ends the connections, and with them the contexts of their requests
		}
	})
	err := s.Serve(l)
	if !stopped() {
		<-ended // Shutdown has begun, and makes Serve return before it is done
	} else {
		_ = s.Close()
	}
	running.wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("httpd: serving %s: %w", l.Addr(), err)
}

// inFlight knows how many requests a handler serves.
type inFlight struct {
	handler http.Handler

	mu      sync.Mutex
	over    bool
	running sync.WaitGroup
}

// ServeHTTP implements [http.Handler].
func (f *inFlight) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !f.enter() {
		panic(http.ErrAbortHandler) // it came over a connection that was being closed
	}
	defer f.running.Done()
	f.handler.ServeHTTP(w, r)
}

func (f *inFlight) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.running.Add(1)
	}
	return !f.over
}

// wait lets nobody in any more and waits for those who are.
func (f *inFlight) wait() {
	f.mu.Lock()
	f.over = true
	f.mu.Unlock()
	f.running.Wait()
}
