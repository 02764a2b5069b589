package sigma

import (
	"fmt"

	"github.com/interlock-security/interlock/core"
)

// Pos is a place in a rule file, counted from 1.
type Pos struct{ Line, Col int }

// Error is a rule that can't be loaded, and where.
type Error struct {
	File string
	Pos
	Msg string
}

// Error reads "what is wrong: file:line:column".
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s:%d:%d", e.Msg, e.File, e.Line, e.Col)
}

// errInvalid gives every [Error] its kind: a rule that is wrong stays wrong.
var errInvalid = core.E(core.KindInvalid, "sigma", "rule refused")

// Unwrap makes core.KindOf say [core.KindInvalid].
func (e *Error) Unwrap() error { return errInvalid }

// bad is an error without its file, which the parser adds on the way out.
func bad(at Pos, format string, args ...any) *Error {
	return &Error{Pos: at, Msg: fmt.Sprintf(format, args...)}
}
