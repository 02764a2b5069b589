package extract

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/interlock-security/interlock/platform/tomlcheck"
	"github.com/interlock-security/interlock/scanning"
)

// bearableTOML refuses what the decoder can't bear: it would end the process, or keep
// it busy for minutes.
func bearableTOML(data []byte) error {
	var e *tomlcheck.Error
	if !errors.As(tomlcheck.Check(data), &e) {
		return nil
	}
	f := &Fault{Reason: scanning.ReasonTooMany, Line: e.Line, Msg: e.Msg + ", more than any lockfile has"}
	if e.Deep {
		f.Reason = scanning.ReasonTooDeep
	}
	return f
}

// unmarshalTOML turns a panic into an error: the library has one for a table below an
// empty array of tables, [[a.0]].
func unmarshalTOML(data []byte, v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("its tables can't be understood: %v", p)
		}
	}()
	return toml.Unmarshal(data, v)
}

// latin reads the encodings that build files are written in besides UTF-8.
func latin(charset string, input io.Reader) (io.Reader, error) {
	switch strings.ToLower(charset) {
	case "utf-8", "us-ascii", "ascii":
		return input, nil
	case "iso-8859-1", "latin1", "windows-1252":
		return &latinReader{in: input}, nil
	}
	return nil, Unsupported("its encoding %q is not read", charset)
}

type latinReader struct {
	in   io.Reader
	rest []byte
}

// Read turns each byte into its rune.
func (l *latinReader) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		var raw [512]byte
		n, err := l.in.Read(raw[:])
		for _, b := range raw[:n] {
			l.rest = append(l.rest, string(rune(b))...)
		}
		if n == 0 && err != nil {
			return 0, err
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}
