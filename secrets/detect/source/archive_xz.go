package source

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// xzWindow bounds what an xz block may ask to remember: what "xz -9" asks for.
const xzWindow = 64 << 20

// xzReader unpacks xz: streams of blocks of LZMA2. The library's own reader of the
// container gives each block the memory that it asks for, up to 4 GiB. Sums are not
// checked: what comes out is looked at whatever they say.
type xzReader struct {
	in    *countingReader
	block io.Reader
	began int64 // where the block began
	check int64 // bytes of a block's sum
	err   error
	open  bool // within a stream
	// asked is the memory that blocks asked for one after the other, out what they gave.
	asked, out int64
}

// freeWindows is how much memory blocks may ask for in all without giving as much: it is
// made anew for each, and a file of empty ones would cost far more than its bytes.
const freeWindows = 1 << 30

func newXz(in io.Reader) *xzReader {
	return &xzReader{in: &countingReader{r: bufio.NewReader(in)}}
}

// countingReader knows how far it is.
type countingReader struct {
	r *bufio.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *countingReader) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

func (c *countingReader) skip(n int64) error {
	_, err := io.CopyN(io.Discard, c, n)
	return noEnd(err)
}

// noEnd is an error where the data ends in the middle of something.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

var errMemory = fmt.Errorf("it wants to have more than %d MiB in memory while it is unpacked: unpack it and scan what comes out", xzWindow>>20)

var errXz = errors.New("it is no valid xz")

func (x *xzReader) Read(p []byte) (int, error) {
	for x.err == nil {
		if x.block == nil {
			x.err = x.next()
			continue
		}
		n, err := x.block.Read(p)
		if errors.Is(err, io.EOF) {
			x.block, err = nil, x.in.skip((x.began-x.in.n)&3+x.check)
		}
		x.out += int64(n)
		if x.err = err; n > 0 {
			return n, nil
		}
	}
	return 0, x.err
}

// next begins the next block. io.EOF is the end of all streams.
func (x *xzReader) next() error {
	if !x.open {
		return x.stream()
	}
	size, err := x.in.ReadByte()
	if err != nil {
		return noEnd(err)
	}
	if size == 0 {
		x.open = false
		return x.index()
	}
	header := make([]byte, 4*int(size)+3)
	if _, err := io.ReadFull(x.in, header); err != nil {
		return noEnd(err)
	}
	window, err := xzFilter(header[:len(header)-4])
	if err != nil {
		return err
	}
	if x.asked += int64(window); x.asked > freeWindows+2*x.out {
		return errRatio
	}
	x.began = x.in.n
	x.block, err = lzma.Reader2Config{DictCap: window}.NewReader2(x.in)
	return noEnd(err)
}

// stream reads the header of a stream, behind padding.
func (x *xzReader) stream() error {
	var h [12]byte
	for {
		if _, err := io.ReadFull(x.in, h[:4]); err != nil {
			return err
		}
		if h[0] != 0 {
			break
		}
	}
	if _, err := io.ReadFull(x.in, h[4:]); err != nil {
		return noEnd(err)
	}
	if string(h[:7]) != "\xfd7zXZ\x00\x00" || h[7] > 15 {
		return errXz
	}
	x.open, x.check = true, 0
	if kind := h[7]; kind > 0 {
		x.check = 4 << ((kind - 1) / 3)
	}
	return nil
}

// index passes the list of blocks that ends a stream.
func (x *xzReader) index() error {
	begin := x.in.n - 1
	n, err := binary.ReadUvarint(x.in)
	for range 2 * min(n, 1<<40) {
		if err != nil {
			break
		}
		_, err = binary.ReadUvarint(x.in)
	}
	if err != nil {
		return noEnd(err)
	}
	return x.in.skip((begin-x.in.n)&3 + 4 + 12)
}

// xzFilter reads the header of a block: how much it has to remember.
func xzFilter(h []byte) (window int, err error) {
	if len(h) == 0 {
		return 0, errXz
	}
	r := bytes.NewReader(h[1:])
	if h[0]&3 != 0 {
		return 0, fmt.Errorf("xz for programs of one processor: %w", errUnknownFormat)
	}
	for _, has := range []byte{0x40, 0x80} { // sizes, which are not needed
		if h[0]&has != 0 {
			if _, err := binary.ReadUvarint(r); err != nil {
				return 0, errXz
			}
		}
	}
	var filter [3]byte // LZMA2, one byte of properties, the window
	if _, err := io.ReadFull(r, filter[:]); err != nil || filter[0] != 0x21 || filter[1] != 1 {
		return 0, errXz
	}
	size, err := lzma.DecodeDictCap(filter[2])
	switch {
	case err != nil:
		return 0, errXz
	case size > xzWindow:
		return 0, errMemory
	}
	return int(size), nil
}
