package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// Limits on what an event is looked for in.
const (
	maxEventBytes = 16 << 20
	// maxLooked is how much of a file is read to get at one event, unpacked.
	maxLooked = 4 << 30
)

// readEvent reads one event: "FILE", "FILE:N" or "-", "-:N".
func readEvent(e *env, name string) ([]byte, error) {
	path, n, numbered := numberedFile(name)
	if path == "-" {
		return eventIn(e.in, path, n, numbered)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, core.E(core.KindNotFound, "rules explain", fmt.Sprintf("there is no file %s", path)).
			WithHint("an event is a file, FILE:N, - or the id of an event that the server has")
	}
	if !info.Mode().IsRegular() && info.Mode()&os.ModeNamedPipe == 0 {
		return nil, core.E(core.KindInvalid, "rules explain", path+" is no file").WithHint("name one file; a folder is searched by: interlock hunt")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, core.Wrap(core.KindNotFound, "rules explain", err)
	}
	defer func() { _ = f.Close() }()
	return eventIn(f, path, n, numbered)
}

// numberedFile splits "FILE:N". A file that has that very name goes before.
func numberedFile(name string) (path string, n int, numbered bool) {
	at := strings.LastIndexByte(name, ':')
	if at <= 0 {
		return name, 0, false
	}
	if _, err := os.Stat(name); err == nil {
		return name, 0, false
	}
	n, err := strconv.Atoi(name[at+1:])
	if err != nil || n < 0 {
		return name, 0, false
	}
	return name[:at], n, true
}

func eventIn(r io.Reader, path string, n int, numbered bool) ([]byte, error) {
	in := bufio.NewReaderSize(io.LimitReader(r, maxLooked), 1<<16)
	head, _ := in.Peek(8)
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, core.Wrap(core.KindInvalid, path, err)
		}
		in = bufio.NewReaderSize(io.LimitReader(z, maxLooked), 1<<16)
	}
	var found []byte
	count := 0
	see := func(event []byte) bool {
		if count == n {
			found = bytes.Clone(event)
		}
		count++
		return count <= n || !numbered && count < 2
	}
	err := jsonEvents(in, see)
	if err != nil && found == nil {
		return nil, core.Wrap(core.KindInvalid, path, err)
	}
	return found, oneEvent(path, n, numbered, count)
}

// oneEvent refuses to guess which event was meant.
func oneEvent(path string, n int, numbered bool, count int) error {
	switch {
	case count == 0:
		return core.E(core.KindInvalid, "rules explain", path+" holds no event").WithHint("an event is a JSON object, one a line, or a record of an EVTX file")
	case count <= n:
		return core.E(core.KindNotFound, "rules explain", fmt.Sprintf("%s holds %d events, so the last is %s:%d", path, count, path, count-1))
	case !numbered && count > 1:
		return core.E(core.KindInvalid, "rules explain", path+" holds more than one event").
			WithHint(fmt.Sprintf("say which, counted from zero: interlock rules explain %s:0", path))
	}
	return nil
}

// jsonEvents calls see with the objects of NDJSON, of a list or of one document,
// until it returns false. A line that is no object takes a number too.
func jsonEvents(in *bufio.Reader, see func([]byte) bool) error {
	d := json.NewDecoder(in)
	if first, err := firstByte(in); err == nil && first == '[' {
		if _, err := d.Token(); err != nil {
			return err
		}
	}
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		if len(raw) > maxEventBytes {
			return core.E(core.KindTooLarge, "rules explain", fmt.Sprintf("an event has %d bytes, at most %d are read", len(raw), maxEventBytes))
		}
		if !see(raw) {
			return nil
		}
	}
	return nil
}

// firstByte looks past white space and a byte order mark.
func firstByte(in *bufio.Reader) (byte, error) {
	if head, _ := in.Peek(3); bytes.Equal(head, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3)
	}
	for {
		b, err := in.ReadByte()
		if err != nil || !strings.ContainsRune(" \t\r\n", rune(b)) {
			return b, errors.Join(err, in.UnreadByte())
		}
	}
}
