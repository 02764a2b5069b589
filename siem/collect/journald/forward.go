package journald

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/siem/collect"
)

// checkpoint is how far the journal has been read.
type checkpoint struct {
	V int `json:"v"` // 1
	// Cursor is the last entry that is durable, "" for none yet.
	Cursor string `json:"cursor"`
	// Pending is the last entry of the frame that was on its way.
	Pending string `json:"pending"`
}

// identity names what is read, so that other matches have a checkpoint of
// their own.
func (c *Collector) identity() string { return "journald " + strings.Join(c.Matches, "\x00") }

func (c *Collector) checkpointPath() string {
	sum := sha256.Sum256([]byte(c.identity()))
	return filepath.Join(c.Checkpoints, "journald-"+hex.EncodeToString(sum[:8])+".json")
}

func (c *Collector) load() (*checkpoint, error) {
	b, err := os.ReadFile(c.checkpointPath())
	if errors.Is(err, fs.ErrNotExist) {
		return &checkpoint{V: 1}, nil
	}
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "journald.load", err)
	}
	var cp checkpoint
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&cp); err != nil || cp.V != 1 {
		return nil, core.E(core.KindDamaged, "journald.load", fmt.Sprintf("checkpoint %s is damaged", c.checkpointPath())).
			WithHint("remove the checkpoint to begin with what is logged from now on, or set from_start to read all of the journal")
	}
	return &cp, nil
}

func (c *Collector) save(cp *checkpoint) error {
	b, err := json.Marshal(cp)
	if err != nil {
		return core.Wrap(core.KindInternal, "journald.save", err)
	}
	return core.Wrap(core.KindUnavailable, "journald.save", atomicfile.WriteFile(c.checkpointPath(), b, 0o600))
}

// forward puts entries into frames until there are no more.
func (c *Collector) forward(ctx context.Context, sink collect.Sink, cp *checkpoint, entries <-chan entry) error {
	g := &gatherer{entries: entries}
	if cp.Pending != "" {
		batch, err := g.repeat(ctx, cp.Pending)
		if err == nil && len(batch) > 0 {
			err = c.send(ctx, sink, cp, batch)
		}
		if err != nil {
			return err
		}
	}
	for {
		batch, err := g.batch(ctx, c)
		if err != nil {
			return err
		}
		if len(batch) == 0 {
			return nil
		}
		if err := c.send(ctx, sink, cp, batch); err != nil {
			return err
		}
	}
}

// gatherer takes entries together, one of them ahead.
type gatherer struct {
	entries <-chan entry
	ahead   *entry
}

// next returns nil at the end.
func (g *gatherer) next(ctx context.Context) (*entry, error) {
	if e := g.ahead; e != nil {
		g.ahead = nil
		return e, nil
	}
	select {
	case e, ok := <-g.entries:
		if !ok {
			return nil, nil
		}
		return &e, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// repeat gathers the frame that was on its way: up to its last entry. Where the
// journal no longer has that entry, the frame is what is left of it.
func (g *gatherer) repeat(ctx context.Context, last string) ([]entry, error) {
	series, number := place(last)
	var out []entry
	for len(out) < journal.MaxRecords {
		e, err := g.next(ctx)
		if err != nil || e == nil {
			return nil, err // journalctl ended before it: begin again
		}
		if e.cursor != last && (e.series != series || e.number > number) {
			g.ahead = e
			break
		}
		out = append(out, *e)
		if e.cursor == last {
			break
		}
	}
	return out, nil
}

// batch waits for an entry and a moment for more. A frame holds entries of one
// series in rising order, or what has no place at all.
func (g *gatherer) batch(ctx context.Context, c *Collector) ([]entry, error) {
	first, err := g.next(ctx)
	if err != nil || first == nil {
		return nil, err
	}
	out, size := []entry{*first}, len(first.line)
	timer := c.Clock.After(flushAfter)
	for len(out) < journal.MaxRecords && size < maxBatchBytes {
		select {
		case e, ok := <-g.entries:
			if !ok {
				return out, nil
			}
			if last := out[len(out)-1]; e.series != last.series || e.number <= last.number {
				g.ahead = &e
				return out, nil
			}
			out, size = append(out, e), size+len(e.line)
		case <-timer:
			return out, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return out, nil
}

// send makes a frame durable and moves the checkpoint past it.
func (c *Collector) send(ctx context.Context, sink collect.Sink, cp *checkpoint, batch []entry) error {
	received := c.Clock.Now()
	records := make([][]byte, 0, len(batch))
	hash := sha256.New()
	for _, e := range batch {
		r, err := c.record(e)
		if err != nil {
			return err
		}
		records = append(records, r)
		hash.Write([]byte(e.cursor + "\n"))
	}
	last := batch[len(batch)-1]
	if last.cursor != "" {
		cp.Pending = last.cursor
		if err := c.save(cp); err != nil {
			return err
		}
	}
	f := journal.Frame{Partition: c.Partition, Kind: journal.KindEvents, Tenant: c.Tenant, Source: c.Name(), Received: received, Records: records}
	if first := batch[0]; first.series != "" && first.number > 0 {
		f.Key = &journal.Key{Tenant: c.Tenant, Device: collect.PeerID("journald", c.identity()), Epoch: first.series, First: first.number, Last: last.number}
		hash.Sum(f.Key.Hash[:0])
	}
	err := collect.Deliver(ctx, c.Clock, sink, f, func(err error) {
		c.retries.Add(1)
		c.Log.Warn("the journal does not take entries; trying again", slog.Any("error", err))
	})
	if err != nil {
		return err
	}
	c.records.Add(uint64(len(records)))
	if last.cursor == "" {
		return nil
	}
	cp.Cursor, cp.Pending = last.cursor, ""
	return c.save(cp)
}

// severities maps PRIORITY to the one scale.
var severities = map[string]core.Severity{
	"0": core.SeverityHigh, "1": core.SeverityHigh, "2": core.SeverityHigh, "3": core.SeverityMedium, "4": core.SeverityLow,
}

func (c *Collector) record(e entry) ([]byte, error) {
	at, severity := e.at, severities[e.priority]
	received := c.Clock.Now()
	if at.IsZero() {
		at = received
	}
	if severity == "" {
		severity = core.SeverityInfo
	}
	id := core.NewUUID(received)
	if e.cursor != "" {
		id = collect.EventID(at, "journald|"+e.cursor)
	}
	var fields any = json.RawMessage(e.line)
	if e.cut || !json.Valid(e.line) || e.line[0] != '{' {
		l := collect.Line{Cut: e.cut}
		l.SetLine(e.line)
		fields = l
		c.unparsed.Add(1)
	}
	if e.cut {
		c.cut.Add(1)
	}
	return c.origin.Event(id, at, received, collect.TypeOf(e.program), severity, fields)
}
