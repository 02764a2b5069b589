package keys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/interlock-security/interlock/core"
)

// ioTimeout is how long the other side may take to finish a frame it began, or
// to take an answer.
const ioTimeout = 10 * time.Second

// Serve opens the keys in dir and answers requests on conn until it closes,
// which is how the process ends with its parent, or ctx ends. It returns nil
// for both. Requests are answered one after another.
func Serve(ctx context.Context, conn net.Conn, dir string, o Options) error {
	k, err := openKeeper(ctx, dir, o)
	if err != nil {
		return err
	}
	defer k.close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	err = k.serve(ctx, conn)
	if ctx.Err() != nil || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (k *keeper) serve(ctx context.Context, conn net.Conn) error {
	for {
		frame, err := readRequest(conn)
		if err != nil {
			return err
		}
		answer, err := k.answer(ctx, frame)
		if err != nil {
			return err
		}
		if err := conn.SetWriteDeadline(time.Now().Add(ioTimeout)); err != nil {
			return core.Wrap(core.KindUnavailable, "keys.serve", err)
		}
		if err := writeFrame(conn, answer); err != nil {
			return core.Wrap(core.KindUnavailable, "keys.serve", err)
		}
		if k.ledger.err != nil {
			return fmt.Errorf("keys.serve: the ledger takes no entries; starting again opens it anew: %w", k.ledger.err)
		}
	}
}

// readRequest waits for the first byte as long as it takes, and for the rest of
// the frame not long.
func readRequest(conn net.Conn) ([]byte, error) {
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "keys.serve", err)
	}
	var first [1]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(ioTimeout)); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "keys.serve", err)
	}
	b, err := readFrame(io.MultiReader(oneByte(first[0]), conn))
	if errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	}
	return b, err
}

type byteReader struct {
	b    byte
	done bool
}

func oneByte(b byte) io.Reader { return &byteReader{b: b} }

func (r *byteReader) Read(p []byte) (int, error) {
	if r.done || len(p) == 0 {
		return 0, io.EOF
	}
	p[0], r.done = r.b, true
	return 1, nil
}
