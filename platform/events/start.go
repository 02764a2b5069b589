package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"

	"github.com/interlock-security/interlock/core"
)

// FlushInterval is how long rows may stand in the child's memory alone.
const FlushInterval = 2 * time.Second

// maxHello bounds what parent and child say to each other at the start.
const maxHello = 16 << 10

// Budgets of the child that can work at all.
const (
	minMemory    = 16 << 20
	minDisk      = 64 << 20
	minRetention = 24 * time.Hour
)

// Start is what the child is told, on the inherited socket and nowhere else: an
// argument list and an environment can be read by others.
type Start struct {
	// Dir is the child's own folder.
	Dir string `json:"dir"`
	// User and Password are what it asks of whoever reaches its port.
	User     string `json:"user"`
	Password []byte `json:"password"`
	// Memory and Disk are budgets in bytes; Free is how much of the disk it
	// leaves to others.
	Memory int64 `json:"memory"`
	Disk   int64 `json:"disk"`
	Free   int64 `json:"free"`
	// Retention is how long rows are kept.
	Retention time.Duration `json:"retention"`
	// Flush is [FlushInterval], but for tests.
	Flush time.Duration `json:"flush"`
}

// Validate says what is wrong.
func (s *Start) Validate() error {
	invalid := func(format string, args ...any) error {
		return core.E(core.KindInvalid, "events.Start", fmt.Sprintf(format, args...))
	}
	switch {
	case !filepath.IsAbs(s.Dir):
		return invalid("the folder %.200q is not absolute", s.Dir)
	case s.User == "" || len(s.Password) < 16:
		return invalid("there is no user, or a password of fewer than 16 bytes")
	case s.Memory < minMemory:
		return invalid("the event store's memory is %d bytes; it needs %d", s.Memory, minMemory)
	case s.Disk < minDisk || s.Free < 0:
		return invalid("the event store's disk budget is %d bytes; it needs %d", s.Disk, minDisk)
	case s.Retention < minRetention:
		return invalid("the event store keeps events for %s; a day is the least", s.Retention)
	case s.Flush < time.Second:
		return invalid("the event store can't flush every %s; a second is the least", s.Flush)
	}
	return nil
}

// Ready is what the child answers when it serves.
type Ready struct {
	Address string `json:"address"`
	// Fresh says that the folder held nothing.
	Fresh bool `json:"fresh"`
}

// WriteHello writes v as one line.
func WriteHello(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err == nil && len(line) >= maxHello {
		err = core.E(core.KindTooLarge, "events.WriteHello", "the line is too long")
	}
	if err == nil {
		_, err = w.Write(append(line, '\n'))
	}
	return err
}

// ReadHello reads one line into v, strictly, and not a byte more: what follows
// is the connection's end.
func ReadHello(r io.Reader, v any) error {
	const op = "events.ReadHello"
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := io.ReadFull(r, b); err != nil {
			return core.Wrap(core.KindUnavailable, op, err)
		}
		if b[0] == '\n' {
			break
		}
		if line = append(line, b[0]); len(line) >= maxHello {
			return core.E(core.KindTooLarge, op, "the line is too long")
		}
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return core.Wrap(core.KindInvalid, op, err)
	}
	return nil
}

// loopback reports whether an address is a port of this machine's own.
func loopback(address string) bool {
	host, port, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback() && port != "0"
}
