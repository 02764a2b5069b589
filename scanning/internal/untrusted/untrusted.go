// Package untrusted reads documents that other programs wrote, before anything
// parses them: so many bytes and no more, nested so deep, of so many parts, in
// whatever Unicode encoding a shell's redirection made of them.
//
// The readers of SARIF, SBOMs, VEX and other scanners' results stand on it. A
// document that passes [JSON] can be given to encoding/json without fear of what
// it allocates: the number of objects bounds the structs that it can make.
package untrusted

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
)

// Limits is what a document may be. Zero fields take the defaults.
type Limits struct {
	Bytes   int64 // 64 MB
	Depth   int   // 100
	Objects int   // 500 000 objects and arrays
	Parts   int   // 8 000 000 members and elements
}

// The defaults: generous to what real tools write (an image's SBOM of 20 000
// packages has about 400 000 objects), far below what would hurt.
const (
	DefaultBytes   = 64 << 20
	DefaultDepth   = 100
	DefaultObjects = 500_000
	DefaultParts   = 8_000_000
)

func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = DefaultBytes
	}
	if l.Depth <= 0 {
		l.Depth = DefaultDepth
	}
	if l.Objects <= 0 {
		l.Objects = DefaultObjects
	}
	if l.Parts <= 0 {
		l.Parts = DefaultParts
	}
	return l
}

// Read takes all of r as UTF-8 without a byte order mark. More than the limit is
// an error of kind [core.KindTooLarge]: half a document says nothing.
func Read(r io.Reader, limits Limits) ([]byte, error) {
	limits = limits.withDefaults()
	b, err := Bytes(r, limits.Bytes, "the document")
	return toUTF8(b), err
}

// Bytes takes all of r as it is; what is called so in the error that says that it
// has more than most bytes.
func Bytes(r io.Reader, most int64, what string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "untrusted.Bytes", err)
	}
	if int64(len(b)) > most {
		return nil, core.E(core.KindTooLarge, "untrusted.Bytes", fmt.Sprintf("%s is over the limit of %d MB", what, most>>20)).
			WithHint("split it, or give the part that is needed")
	}
	return b, nil
}

// File takes all of a file, as [Bytes] does. What is no file, such as a pipe or a
// device, is refused: it might never end, or never begin.
func File(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, core.Wrap(core.KindNotFound, "untrusted.File", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, core.E(core.KindInvalid, "untrusted.File", path+" is not a file").WithHint("name a file; what a pipe gives can be written to one first")
	}
	return Bytes(f, most, path)
}

// toUTF8 undoes what PowerShell's redirection and some Windows tools do.
func toUTF8(b []byte) []byte {
	switch {
	case bytes.HasPrefix(b, []byte{0xEF, 0xBB, 0xBF}):
		return b[3:]
	case bytes.HasPrefix(b, []byte{0xFF, 0xFE}):
		return fromUTF16(b[2:], binary.LittleEndian)
	case bytes.HasPrefix(b, []byte{0xFE, 0xFF}):
		return fromUTF16(b[2:], binary.BigEndian)
	}
	return b
}

func fromUTF16(b []byte, order binary.ByteOrder) []byte {
	out := make([]byte, 0, len(b)/2)
	for len(b) >= 2 {
		r := rune(order.Uint16(b))
		b = b[2:]
		if utf16.IsSurrogate(r) && len(b) >= 2 {
			if pair := utf16.DecodeRune(r, rune(order.Uint16(b))); pair != utf8.RuneError {
				r, b = pair, b[2:]
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// JSON reads a JSON document (or a stream of them) and counts its parts before
// anybody decodes it.
func JSON(r io.Reader, limits Limits) ([]byte, error) {
	b, err := Read(r, limits)
	if err != nil {
		return nil, err
	}
	return b, CheckJSON(b, limits)
}

// CheckJSON counts objects, parts and depth. It is no validator: what passes may
// still be malformed, which the decoder says.
func CheckJSON(b []byte, limits Limits) error {
	limits = limits.withDefaults()
	depth, objects, parts := 0, 0, 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = endOfString(b, i)
		case '{', '[':
			depth++
			objects++
		case '}', ']':
			depth--
		case ',':
			parts++
		}
		if depth > limits.Depth || objects > limits.Objects || parts > limits.Parts {
			return limits.exceeded(depth, objects)
		}
	}
	return nil
}

func (l Limits) exceeded(depth, objects int) error {
	what := fmt.Sprintf("more than %d members and elements", l.Parts)
	switch {
	case depth > l.Depth:
		what = fmt.Sprintf("nested deeper than %d", l.Depth)
	case objects > l.Objects:
		what = fmt.Sprintf("more than %d objects and arrays", l.Objects)
	}
	return core.E(core.KindTooLarge, "untrusted.CheckJSON", "the document is over a limit: "+what).
		WithHint("split it, or give the part that is needed")
}

// endOfString returns the offset of the closing quote.
func endOfString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return i
}

// Clip shortens a text from outside to n bytes at a rune's border, with valid
// UTF-8, so that one field cannot fill a database.
func Clip(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
