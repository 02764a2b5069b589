package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// maxEventBytes is the longest event that is read.
const maxEventBytes = 16 << 20

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
