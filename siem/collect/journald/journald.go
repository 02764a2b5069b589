// Package journald reads systemd's journal through `journalctl -o json -f`,
// which needs no C library. Each entry is kept as the JSON object that
// journalctl printed.
//
// The journal's own cursor is the checkpoint. As with files, the checkpoint
// says what is on its way before a frame is sent and moves on after it is
// durable, so an entry is neither lost nor doubled by a crash. A machine
// without journalctl, or without a journal, is skipped with the reason.
//
// Field names that begin with an underscore are set by journald itself; others,
// SYSLOG_IDENTIFIER among them, are what the logging program claims. The
// normaliser believes the first kind where the two differ.
package journald

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/siem/collect"
)

// Limits, stated.
const (
	// MaxEntry is where an entry is cut. Half an object is no object: a cut one
	// is kept as text and marked.
	MaxEntry      = 128 << 10
	maxBatchBytes = 512 << 10
	// flushAfter is how long an entry waits for others to share its frame.
	flushAfter  = 100 * time.Millisecond
	restartWait = 5 * time.Second
)

// Config of the collector.
type Config struct {
	Tenant core.TenantID
	// Checkpoints is a folder of ours.
	Checkpoints string
	// Matches narrow what is read, as on journalctl's command line:
	// "_COMM=sshd". Several of one field mean any of them.
	Matches []string
	// FromStart reads what is in the journal when it is read for the first
	// time. Without it, that is history.
	FromStart bool
	// Command is journalctl; another one in tests.
	Command   []string
	Partition int32
	Clock     core.Clock
	Log       *slog.Logger
}

// Collector implements [collect.Collector].
type Collector struct {
	Config
	origin                                collect.Origin
	records, cut, unparsed, lost, retries atomic.Uint64
}

// New checks the configuration.
func New(c Config) (*Collector, error) {
	if c.Tenant.IsZero() || c.Clock == nil || c.Log == nil {
		return nil, core.E(core.KindInvalid, "journald.New", "tenant, clock and log are needed")
	}
	for _, m := range c.Matches {
		if field, _, ok := strings.Cut(m, "="); !ok || field == "" || strings.HasPrefix(m, "-") {
			return nil, core.E(core.KindInvalid, "journald.New", fmt.Sprintf("match %q must read FIELD=value", m))
		}
	}
	if len(c.Command) == 0 {
		c.Command = []string{"journalctl"}
	}
	if err := atomicfile.MkdirAll(c.Checkpoints, 0o700); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "journald.New", err)
	}
	return &Collector{Config: c, origin: collect.Origin{Tenant: c.Tenant, Source: "journald/local", Provenance: core.ProvenanceLocal}}, nil
}

// Name implements [collect.Collector].
func (c *Collector) Name() string { return c.origin.Source }

// Capabilities implements [collect.Collector].
func (c *Collector) Capabilities() collect.Capabilities {
	return collect.Capabilities{Kind: "journald", Provenance: core.ProvenanceLocal, Lossless: true, MaxRecord: MaxEntry}
}

// Counts implements [collect.Collector].
func (c *Collector) Counts() collect.Counts {
	return collect.Counts{Records: c.records.Load(), Cut: c.cut.Load(), Unparsed: c.unparsed.Load(), Lost: c.lost.Load(), Retries: c.retries.Load()}
}

// Probe implements [collect.Collector]: it asks for one entry.
func (c *Collector) Probe(ctx context.Context) collect.Presence {
	if _, err := exec.LookPath(c.Command[0]); err != nil {
		return collect.Presence{Reason: c.Command[0] + " is not installed"}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := c.command(ctx, "-n", "1").Output()
	if err != nil {
		return collect.Presence{Reason: fmt.Sprintf("%s: %v", c.Command[0], err)}
	}
	if len(strings.TrimSpace(string(out))) == 0 {
		return collect.Presence{Reason: "the journal is empty, or this user may not read it"}
	}
	return collect.Presence{Present: true}
}

// command is journalctl with our switches, in a plain environment.
func (c *Collector) command(ctx context.Context, args ...string) *exec.Cmd {
	all := append(append([]string{}, c.Command[1:]...), "-o", "json", "--all", "--no-pager", "-q")
	cmd := exec.CommandContext(ctx, c.Command[0], append(all, args...)...)
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/local/bin:/usr/bin:/bin"}
	return cmd
}

// Run follows the journal until ctx ends. journalctl that ends is started again
// at the cursor.
func (c *Collector) Run(ctx context.Context, sink collect.Sink) error {
	cp, err := c.load()
	if err == nil && cp.Cursor == "" && cp.Pending == "" && !c.FromStart {
		err = c.begin(ctx, cp)
	}
	if err != nil {
		return err
	}
	for {
		err := c.follow(ctx, sink, cp)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if core.KindOf(err) == core.KindUnavailable {
			return err // the checkpoint can't be written
		}
		c.Log.Warn("journalctl ended; starting it again", slog.Any("error", err))
		select {
		case <-c.Clock.After(restartWait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin takes the latest entry as what has been read, so that nothing is missed
// while journalctl starts.
func (c *Collector) begin(ctx context.Context, cp *checkpoint) error {
	out, err := c.command(ctx, append([]string{"-n", "1"}, c.Matches...)...).Output()
	if err != nil {
		return core.Wrap(core.KindUnavailable, "journald.begin", err)
	}
	line, cut, _ := readLine(bufio.NewReader(bytes.NewReader(out))) // an end without a newline is one too
	if cp.Cursor = newEntry(line, cut).cursor; cp.Cursor == "" {
		return nil
	}
	return c.save(cp)
}

// follow runs journalctl once.
func (c *Collector) follow(ctx context.Context, sink collect.Sink, cp *checkpoint) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	args := []string{"-f", "--no-tail"}
	if cp.Cursor != "" {
		args = []string{"-f", "--after-cursor=" + cp.Cursor}
	}
	cmd := c.command(ctx, append(args, c.Matches...)...)
	var stderr tailBuffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return core.Wrap(core.KindInternal, "journald.follow", err)
	}
	if err := cmd.Start(); err != nil {
		return core.Wrap(core.KindInternal, "journald.follow", err)
	}
	entries := make(chan entry, journal.MaxRecords)
	go read(ctx, out, entries)
	err = c.forward(ctx, sink, cp, entries)
	cancel()
	return errors.Join(err, cmd.Wait(), stderr.err())
}

// read turns journalctl's output into entries and closes the channel at its
// end. A full channel makes journalctl wait.
func read(ctx context.Context, out io.Reader, entries chan<- entry) {
	defer close(entries)
	r := bufio.NewReaderSize(out, 64<<10)
	for {
		line, cut, err := readLine(r)
		if len(line) > 0 {
			select {
			case entries <- newEntry(line, cut):
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func readLine(r *bufio.Reader) (line []byte, cut bool, err error) {
	for {
		part, more, err := r.ReadLine()
		if room := MaxEntry - len(line); len(part) > room {
			part, cut = part[:room], true
		}
		line = append(line, part...)
		if err != nil || !more {
			return line, cut, err
		}
	}
}

// entry is one line of journalctl.
type entry struct {
	line []byte
	cut  bool
	// cursor is the place, "" where there is none; series and number are the
	// parts of it that count entries.
	cursor, series string
	number         uint64
	at             time.Time
	program        string
	priority       string
}

func newEntry(line []byte, cut bool) entry {
	e := entry{line: line, cut: cut}
	var head struct {
		Cursor   string          `json:"__CURSOR"`
		Stamp    string          `json:"__REALTIME_TIMESTAMP"`
		Priority json.RawMessage `json:"PRIORITY"`
		Program  json.RawMessage `json:"SYSLOG_IDENTIFIER"`
	}
	if cut || json.Unmarshal(line, &head) != nil {
		// A cut entry's cursor stands at its beginning.
		_, rest, _ := strings.Cut(string(line), `"__CURSOR":"`)
		e.cursor, _, _ = strings.Cut(rest, `"`)
	} else {
		e.cursor = head.Cursor
		_ = json.Unmarshal(head.Priority, &e.priority) // absent or repeated: none
		_ = json.Unmarshal(head.Program, &e.program)   // absent or not text: none
	}
	if us, err := strconv.ParseInt(head.Stamp, 10, 64); err == nil {
		e.at = time.UnixMicro(us).UTC()
	}
	e.series, e.number = place(e.cursor)
	return e
}

// place reads the series and the number out of a cursor:
// "s=SERIES;i=HEX;b=...;m=...;t=...;x=...".
func place(cursor string) (series string, number uint64) {
	for part := range strings.SplitSeq(cursor, ";") {
		key, val, _ := strings.Cut(part, "=")
		switch key {
		case "s":
			series = val
		case "i":
			number, _ = strconv.ParseUint(val, 16, 63) // 0: not counted
		}
	}
	return series, number
}

// tailBuffer keeps the beginning of what a command complains.
type tailBuffer struct{ b []byte }

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.b = append(t.b, p[:min(len(p), 1024-min(1024, len(t.b)))]...)
	return len(p), nil
}

func (t *tailBuffer) err() error {
	if s := strings.TrimSpace(string(t.b)); s != "" {
		return errors.New(s)
	}
	return nil
}
