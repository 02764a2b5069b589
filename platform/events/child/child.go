// Package child is the events process: VictoriaLogs' own packages behind a port
// of this machine's own (TRUST F11). They register flags and metrics for the
// whole process, and end it when a disk is full, which is why they have a
// process to themselves. Only cmd/interlock imports this package, and only the
// hidden verb `child events` runs it.
//
// What it is told comes over the inherited socket ([events.Start]), what it
// answers is the address at which it serves ([events.Ready]); when the socket
// ends, so does it, after writing what it holds. It serves the few paths that
// [events.Client] asks for, to whoever knows the password, which is new for each
// process.
package child

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/app/vlinsert"
	"github.com/VictoriaMetrics/VictoriaLogs/app/vlinsert/insertutil"
	"github.com/VictoriaMetrics/VictoriaLogs/app/vlselect"
	"github.com/VictoriaMetrics/VictoriaLogs/app/vlstorage"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logger"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/platform/supervise"
)

// endTimeout bounds how long requests may go on after the end was asked for.
const endTimeout = 5 * time.Second

// Main is the body of the hidden verb `child events`.
func Main(ctx context.Context) error {
	if err := supervise.Harden(os.Getppid()); err != nil {
		return err
	}
	conn, err := supervise.Inherited(supervise.ChildFD)
	if err != nil {
		return err
	}
	defer conn.Close()
	var start events.Start
	if err := events.ReadHello(conn, &start); err != nil {
		return err
	}
	if err := start.Validate(); err != nil {
		return err
	}
	return serve(ctx, conn, &start)
}

// serve runs the store until the parent's end of conn closes or ctx ends.
func serve(ctx context.Context, conn net.Conn, start *events.Start) error {
	const op = "events/child"
	syscall.Umask(0o077)
	if err := atomicfile.MkdirAll(start.Dir, 0o700); err != nil {
		return err
	}
	if err := configure(start); err != nil {
		return err
	}
	fresh := empty(start.Dir)
	vlstorage.Init()
	vlselect.Init()
	insertutil.SetLogRowsStorage(&vlstorage.Storage{})
	vlinsert.Init()
	defer func() { // in this order the store writes what it holds
		vlinsert.Stop()
		vlselect.Stop()
		vlstorage.Stop()
	}()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return core.Wrap(core.KindUnavailable, op, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &door{user: sha256.Sum256([]byte(start.User)), password: sha256.Sum256(start.Password), used: budget{dir: start.Dir, most: start.Disk}}
	go d.used.watch(ctx)
	server := &http.Server{Handler: d, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	if err := events.WriteHello(conn, events.Ready{Address: l.Addr().String(), Fresh: fresh}); err != nil {
		return errors.Join(core.Wrap(core.KindUnavailable, op, err), server.Close())
	}
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, conn) // ends with the parent
	}()
	select {
	case err := <-failed:
		return core.Wrap(core.KindUnavailable, op, err)
	case <-ctx.Done():
	}
	ending, stop := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer stop()
	if err := server.Shutdown(ending); err != nil {
		return errors.Join(server.Close(), core.Wrap(core.KindUnavailable, op, err))
	}
	return nil
}

// empty reports whether a folder holds no day of events.
func empty(dir string) bool {
	days, err := os.ReadDir(filepath.Join(dir, "partitions"))
	return errors.Is(err, os.ErrNotExist) || err == nil && len(days) == 0
}

// configure sets VictoriaLogs' flags, which are the process's: no argument list
// reaches them. It has no listener of its own, and tells nothing of the events
// that it holds.
func configure(s *events.Start) error {
	for name, value := range map[string]string{
		"storageDataPath":                  s.Dir,
		"memory.allowedBytes":              strconv.FormatInt(s.Memory, 10),
		"retention.maxDiskSpaceUsageBytes": strconv.FormatInt(s.Disk/5*4, 10), // what is above that waits to be dropped, or merges
		"storage.minFreeDiskSpaceBytes":    strconv.FormatInt(s.Free, 10),
		"retentionPeriod":                  strconv.FormatInt(int64(s.Retention/time.Hour), 10) + "h",
		// Clocks go wrong (F10); an event is dropped for its age alone.
		"futureRetention":                  "100y",
		"inmemoryDataFlushInterval":        s.Flush.String(),
		"insert.maxLineSizeBytes":          "256KiB",
		"loggerLevel":                      "ERROR", // warnings quote events and queries
		"search.maxConcurrentRequests":     "4",
		"defaultParallelReaders":           "4",
		"search.logSlowQueryDuration":      "0",
		"internalinsert.disable":           "true",
		"internalselect.disable":           "true",
		"insert.maxQueueDuration":          "30s",
		"maxConcurrentInserts":             "4",
		"http.disableCORS":                 "true",
		"http.maxGracefulShutdownDuration": endTimeout.String(),
	} {
		if err := flag.Set(name, value); err != nil {
			return core.Wrap(core.KindInternal, "events/child -"+name, err)
		}
	}
	if err := flag.CommandLine.Parse(nil); err != nil {
		return core.Wrap(core.KindInternal, "events/child", err)
	}
	logger.InitNoLogFlags()
	// The store's own budget counts its caches; this one counts the rest, and
	// makes the collector work before the machine has to.
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(2*s.Memory + 64<<20)
	return nil
}

// door lets requests for a few paths through to the store.
type door struct {
	user, password [sha256.Size]byte
	used           budget
}

// ServeHTTP implements http.Handler.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	u, p := sha256.Sum256([]byte(user)), sha256.Sum256([]byte(password))
	if subtle.ConstantTimeCompare(u[:], d.user[:])&subtle.ConstantTimeCompare(p[:], d.password[:]) != 1 {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	w = &strictWriter{ResponseWriter: w}
	switch r.URL.Path {
	case "/health":
		w.WriteHeader(http.StatusOK)
	case "/insert/jsonline":
		if text := d.used.full(); text != "" {
			http.Error(w, text, http.StatusInsufficientStorage)
			return
		}
		vlinsert.RequestHandler(w, r)
	case "/select/logsql/query", "/select/logsql/hits":
		vlselect.RequestHandler(w, r)
	case "/internal/force_flush":
		vlstorage.RequestHandler(w, r)
	default:
		http.NotFound(w, r)
	}
}

// strictWriter breaks the connection off when a handler reports an error after
// its answer has begun: half an answer must not pass for a whole one.
type strictWriter struct {
	http.ResponseWriter
	begun bool
}

// Write implements io.Writer.
func (w *strictWriter) Write(b []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(b)
}

// WriteHeader implements http.ResponseWriter.
func (w *strictWriter) WriteHeader(status int) {
	if w.begun {
		panic(http.ErrAbortHandler)
	}
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController through.
func (w *strictWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
