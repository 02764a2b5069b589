package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// largestRPMHeader bounds what an RPM says of itself.
const largestRPMHeader = 32 << 20

var errRPM = errors.New("it is no valid rpm")

// rpm reads a package: what it says of itself, scripts too, and its files.
func (a *archive) rpm(in io.Reader) error {
	if _, err := io.CopyN(io.Discard, in, 96); err != nil {
		return noEnd(err)
	}
	signature, err := rpmHeader(in)
	if err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, in, int64(-len(signature)&7)); err != nil {
		return noEnd(err)
	}
	header, err := rpmHeader(in)
	if err != nil {
		return err
	}
	if err := a.entry("header", bytes.NewReader(bytes.ReplaceAll(header, []byte{0}, []byte{'\n'})), -1); err != nil {
		return err
	}
	return a.entry("payload", in, -1)
}

// rpmHeader reads one of the two headers: an index and the values.
func rpmHeader(in io.Reader) ([]byte, error) {
	var h [16]byte
	if _, err := io.ReadFull(in, h[:]); err != nil {
		return nil, noEnd(err)
	}
	entries, size := uint64(binary.BigEndian.Uint32(h[8:])), uint64(binary.BigEndian.Uint32(h[12:]))
	if string(h[:3]) != "\x8e\xad\xe8" {
		return nil, errRPM
	}
	if 16*entries+size > largestRPMHeader {
		return nil, errTooBig
	}
	if _, err := io.CopyN(io.Discard, in, int64(16*entries)); err != nil {
		return nil, noEnd(err)
	}
	values := make([]byte, 0, min(size, 1<<20))
	b := bytes.NewBuffer(values)
	if _, err := io.CopyN(b, in, int64(size)); err != nil {
		return nil, noEnd(err)
	}
	return b.Bytes(), nil
}
