package syslog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/interlock-security/interlock/core"
)

// stream reads messages off a connection, in either framing of RFC 6587; each
// message shows by its first byte which one it has.
func (s *Collector) stream(ctx context.Context, conn net.Conn, p core.Provenance, name string) error {
	r := bufio.NewReaderSize(conn, MaxMessage+1)
	for {
		// Real time: it bounds how long a peer may hold a place.
		if err := conn.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil {
			return err
		}
		b, cut, err := readMessage(r)
		if len(b) > 0 {
			m := s.message(conn.RemoteAddr(), p, name, b)
			m.cut = cut
			if !s.push(ctx, m, true) {
				return ctx.Err()
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readMessage returns the next message, valid until the next call. A message
// at the end of the stream is returned together with io.EOF. Bytes are never
// dropped without cut.
func readMessage(r *bufio.Reader) (b []byte, cut bool, err error) {
	first, err := r.Peek(1)
	if err != nil {
		return nil, false, err
	}
	if first[0] >= '1' && first[0] <= '9' {
		return readCounted(r)
	}
	return readLine(r)
}

// readCounted reads "LENGTH SP MESSAGE". A length over the limit is served by
// cutting, one that is no number ends the connection: what follows can't be
// told apart.
func readCounted(r *bufio.Reader) ([]byte, bool, error) {
	length := 0
	for {
		c, err := r.ReadByte()
		if err != nil {
			return nil, false, err
		}
		if c == ' ' {
			break
		}
		if c < '0' || c > '9' || length > 1<<24 {
			return nil, false, fmt.Errorf("a message's length is no number below 16 MiB")
		}
		length = length*10 + int(c-'0')
	}
	b := make([]byte, min(length, MaxMessage))
	if n, err := io.ReadFull(r, b); err != nil {
		return b[:n], true, io.EOF
	}
	if length == len(b) {
		return b, false, nil
	}
	_, err := r.Discard(length - len(b))
	return b, true, err
}

// readLine reads up to a line feed or a NUL.
func readLine(r *bufio.Reader) ([]byte, bool, error) {
	b := make([]byte, 0, 256)
	cut := false
	for {
		c, err := r.ReadByte()
		if err != nil {
			return b, cut, err
		}
		switch {
		case c == '\n' || c == 0:
			return b, cut, nil
		case len(b) < MaxMessage:
			b = append(b, c)
		default:
			cut = true
		}
	}
}
