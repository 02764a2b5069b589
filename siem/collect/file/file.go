// Package file follows a log file, through rotation and restarts, without
// losing or repeating a line.
//
// # How a line is never lost and never doubled
//
// Before a frame goes to the journal, the checkpoint says which bytes it holds;
// after the journal has acknowledged it, the checkpoint moves past them. After
// a crash in between the same bytes are read again into the same frame under
// the same key, and the journal knows it.
//
// # Rotation
//
// A file is known by device, inode and the hash of its first bytes. When the
// path names another file, the old one is read to its end first, as long as
// its writer may still be writing; files that were rotated while the collector
// did not run are looked for beside it. A file that became shorter, or whose
// beginning changed, was truncated in place and is read from its beginning.
// What was cut off before it could be read (copytruncate loses lines by its
// nature, compressed files are not opened) is reported as a loss where it can
// be noticed.
package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/siem/collect"
)

// Limits, stated.
const (
	// MaxLine is where a line is cut; the event is marked.
	MaxLine = 32 << 10
	// maxChunk is how many bytes go into one frame at most.
	maxChunk = 256 << 10
	// maxHead is how much of a file's beginning tells it from another.
	maxHead = 1024
	// settle is how many polls without news a rotated file gets before its
	// last, unfinished line counts as finished.
	settle = 4
)

// Config of one file.
type Config struct {
	Tenant core.TenantID
	// Path is absolute.
	Path string
	// Checkpoints is a folder of ours, for all collectors of the tenant.
	Checkpoints string
	// FromStart reads what is in the file when it is seen for the first time.
	// Without it, that is history, and only what is added counts.
	FromStart bool
	Poll      time.Duration // default 250 ms
	// Location is where stamps without a zone are from; default time.Local.
	Location  *time.Location
	Partition int32
	Clock     core.Clock
	Log       *slog.Logger
}

// Collector implements [collect.Collector].
type Collector struct {
	Config
	origin  collect.Origin
	records atomic.Uint64
	cut     atomic.Uint64
	unread  atomic.Uint64
	lost    atomic.Uint64
	retries atomic.Uint64
}

// New checks the configuration.
func New(c Config) (*Collector, error) {
	if c.Tenant.IsZero() || c.Clock == nil || c.Log == nil {
		return nil, core.E(core.KindInvalid, "file.New", "tenant, clock and log are needed")
	}
	if !filepath.IsAbs(c.Path) || filepath.Clean(c.Path) != c.Path || len(c.Path) > 200 || !utf8.ValidString(c.Path) {
		return nil, core.E(core.KindInvalid, "file.New", fmt.Sprintf("path %q must be absolute, clean and at most 200 bytes", c.Path))
	}
	if err := atomicfile.MkdirAll(c.Checkpoints, 0o700); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "file.New", err)
	}
	if c.Poll <= 0 {
		c.Poll = 250 * time.Millisecond
	}
	if c.Location == nil {
		c.Location = time.Local
	}
	out := &Collector{Config: c}
	out.origin = collect.Origin{Tenant: c.Tenant, Source: out.Name(), Provenance: core.ProvenanceLocal}
	return out, nil
}

// Name is the source of the events: "file/var/log/auth.log".
func (c *Collector) Name() string { return "file" + c.Path }

// Capabilities implements [collect.Collector].
func (c *Collector) Capabilities() collect.Capabilities {
	return collect.Capabilities{Kind: "file", Provenance: core.ProvenanceLocal, Lossless: true, MaxRecord: MaxLine}
}

// Counts implements [collect.Collector].
func (c *Collector) Counts() collect.Counts {
	return collect.Counts{Records: c.records.Load(), Cut: c.cut.Load(), Unparsed: c.unread.Load(), Lost: c.lost.Load(), Retries: c.retries.Load()}
}

// Probe implements [collect.Collector]. A file that is not there yet can still
// come.
func (c *Collector) Probe(context.Context) collect.Presence {
	info, err := os.Stat(c.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return collect.Presence{Reason: c.Path + " is not there"}
	case err != nil:
		return collect.Presence{Reason: err.Error()}
	case !info.Mode().IsRegular():
		return collect.Presence{Reason: c.Path + " is not a regular file"}
	}
	f, err := os.Open(c.Path)
	if err != nil {
		return collect.Presence{Reason: err.Error()}
	}
	_ = f.Close() // opened for reading only
	return collect.Presence{Present: true}
}

// Run follows the file until ctx ends.
func (c *Collector) Run(ctx context.Context, sink collect.Sink) error {
	t := &tail{c: c, sink: sink}
	defer t.close()
	if err := t.resume(ctx); err != nil {
		return err
	}
	for {
		busy, err := t.step(ctx)
		if err != nil {
			return err
		}
		if busy {
			continue
		}
		select {
		case <-c.Clock.After(c.Poll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// deliver hands a frame to the sink until it is durable.
func (c *Collector) deliver(ctx context.Context, sink collect.Sink, key *journal.Key, records [][]byte) error {
	f := journal.Frame{
		Partition: c.Partition, Kind: journal.KindEvents, Tenant: c.Tenant, Source: c.Name(), Received: c.Clock.Now(), Key: key, Records: records,
	}
	return collect.Deliver(ctx, c.Clock, sink, f, func(err error) {
		c.retries.Add(1)
		c.Log.Warn("the journal does not take log lines; trying again", slog.Any("file", c.Path), slog.Any("error", err))
	})
}

// lose reports that lines are gone that were never read.
func (c *Collector) lose(ctx context.Context, sink collect.Sink, bytes uint64, why string) error {
	c.lost.Add(1)
	c.Log.Warn("log lines were lost", slog.Any("file", c.Path), slog.Any("why", why))
	record, err := c.origin.Loss(c.Clock.Now(), bytes, why)
	if err != nil {
		return err
	}
	return c.deliver(ctx, sink, nil, [][]byte{record})
}
