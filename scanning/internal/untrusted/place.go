package untrusted

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Explain says what a decoder of JSON complains of, and where in the document.
func Explain(b []byte, err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind):
		return fmt.Sprintf("%s can't be %s (%s)", cmp.Or(Clip(kind.Field, 80), "it"), withArticle(Clip(kind.Value, 80)), position(b, kind.Offset))
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &syntax) && strings.Contains(syntax.Error(), "unexpected end"):
		return "it breaks off (" + position(b, int64(len(b))) + ")"
	case errors.As(err, &syntax):
		return Clip(syntax.Error(), 200) + " (" + position(b, syntax.Offset) + ")"
	case errors.Is(err, io.EOF):
		return "it is empty"
	}
	return Clip(strings.TrimPrefix(err.Error(), "json: "), 300)
}

func withArticle(what string) string {
	if strings.HasPrefix(what, "array") || strings.HasPrefix(what, "object") {
		return "an " + what
	}
	return "a " + what
}

// position is a line and column of the byte before an offset, counted from 1.
func position(b []byte, offset int64) string {
	b = b[:max(0, min(offset, int64(len(b))))]
	return fmt.Sprintf("line %d, column %d", bytes.Count(b, []byte("\n"))+1, max(1, len(b)-bytes.LastIndexByte(b, '\n')-1))
}
