package extract

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/interlock-security/interlock/scanning"
)

// Fault is why a file, or a part of it, was not read. It becomes a gap.
type Fault struct {
	Reason scanning.Reason
	// Line counts from 1; 0 is the whole file.
	Line int
	Msg  string
}

// Error says it with its line.
func (f *Fault) Error() string {
	if f.Line > 0 {
		return fmt.Sprintf("line %d: %s", f.Line, f.Msg)
	}
	return f.Msg
}

// Malformed is a file that is not what its name says.
func Malformed(line int, format string, args ...any) *Fault {
	return &Fault{Reason: scanning.ReasonMalformed, Line: line, Msg: fmt.Sprintf(format, args...)}
}

// Unsupported is a file of a form that is not read.
func Unsupported(format string, args ...any) *Fault {
	return &Fault{Reason: scanning.ReasonUnsupported, Msg: fmt.Sprintf(format, args...)}
}

// AsFault gives every error its reason.
func AsFault(err error) *Fault {
	var f *Fault
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, fs.ErrPermission):
		return &Fault{Reason: scanning.ReasonUnreadable, Msg: "no permission to read it; run as a user who may"}
	case errors.Is(err, fs.ErrNotExist):
		return &Fault{Reason: scanning.ReasonUnreadable, Msg: "there is no such file in the scope"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return Malformed(0, "it ends too early")
	}
	return &Fault{Reason: scanning.ReasonUnreadable, Msg: err.Error()}
}

// Line is the line of an offset.
func Line(data []byte, offset int64) int {
	if offset < 0 || offset > int64(len(data)) {
		offset = int64(len(data))
	}
	return 1 + bytes.Count(data[:offset], []byte{'\n'})
}

// JSON decodes the file as [JSON] does.
func (in *Input) JSON(v any) error { return in.decode(JSON, v) }

// TOML decodes the file as [TOML] does.
func (in *Input) TOML(v any) error { return in.decode(TOML, v) }

// XML decodes the file as [XML] does.
func (in *Input) XML(v any) error { return in.decode(XML, v) }

func (in *Input) decode(as func(*Input, []byte, any) error, v any) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	return as(in, data, v)
}

// JSON decodes a bounded file and finds the line of what is wrong.
func JSON(in *Input, data []byte, v any) error {
	if err := in.count(data, "{"); err != nil {
		return err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return Malformed(0, "it is empty")
	}
	err := json.Unmarshal(bytes.TrimPrefix(data, bom), v)
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return Malformed(Line(data, syntax.Offset), "not JSON: %v", err)
	case errors.As(err, &typ):
		return Malformed(Line(data, typ.Offset), "%q is a JSON %s, which does not belong there", typ.Field, typ.Value)
	case err != nil:
		return Malformed(0, "not JSON: %v", err)
	}
	return nil
}

var bom = []byte("\xef\xbb\xbf")

// TOML decodes a bounded file and finds the line of what is wrong.
func TOML(in *Input, data []byte, v any) error {
	if err := in.count(data, "[["); err != nil {
		return err
	}
	if err := bearableTOML(data); err != nil {
		return err
	}
	err := unmarshalTOML(data, v)
	var decode *toml.DecodeError
	switch {
	case errors.As(err, &decode):
		line, _ := decode.Position()
		return Malformed(line, "not TOML: %s", withoutTypes(err))
	case err != nil:
		return Malformed(0, "not TOML: %s", withoutTypes(err))
	}
	return nil
}

// withoutTypes cuts off how this program calls what it decodes into.
func withoutTypes(err error) string {
	msg, _, _ := strings.Cut(err.Error(), " into struct")
	return strings.TrimPrefix(msg, "toml: ")
}

// XML decodes a bounded file. Entities of its own are refused by the decoder, so
// that none can be blown up.
func XML(in *Input, data []byte, v any) error {
	if err := in.count(data, "<"); err != nil {
		return err
	}
	dec := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, bom)))
	dec.CharsetReader = latin
	if err := dec.Decode(v); err != nil {
		line, _ := dec.InputPos()
		if errors.Is(err, io.EOF) {
			return Malformed(0, "it is empty")
		}
		return Malformed(line, "not XML: %v", err)
	}
	return nil
}
