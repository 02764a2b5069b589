package httpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
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

// ListenUnix opens a unix socket with mode 0600. A file left by a dead process
// is replaced; a socket that somebody serves is an error.
func ListenUnix(path string) (net.Listener, error) {
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
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(core.Wrap(core.KindUnavailable, "httpd.ListenUnix", err), l.Close())
	}
	return l, nil
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
// seconds. It returns nil after a shutdown that ctx asked for.
func Serve(ctx context.Context, s *http.Server, l net.Listener) error {
	stopped := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if s.Shutdown(grace) != nil {
			_ = s.Close()
		}
	})
	defer stopped()
	err := s.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("httpd: serving %s: %w", l.Addr(), err)
}
