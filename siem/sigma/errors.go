package sigma

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// Pos is a place in a rule file, counted from 1.
type Pos struct{ Line, Col int }

// Error is a rule that can't be loaded, and where.
type Error struct {
	File string
	Pos
	// Msg says what is wrong and what to write instead.
	Msg string
	// Example is that text itself where it takes several lines, "" otherwise.
	Example string
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

// Severity says what a [Problem] means for its rule.
type Severity string

// The severities: an error keeps the rule from loading, a warning is most
// likely a mistake, a note is worth knowing.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
	SeverityNote    Severity = "note"
)

// Problem is one finding about a rule file.
type Problem struct {
	File string
	Pos
	Severity Severity
	// Msg and Example are as in [Error].
	Msg, Example string

	// loads is set for an error that the rule can be loaded with: it is right
	// in form and can't mean what it says.
	loads bool
}

// String reads "file:line:column: severity: what".
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Line, p.Col, p.Severity, p.Msg)
}

func (p Problem) error() *Error { return &Error{p.File, p.Pos, p.Msg, p.Example} }

// ProblemOf makes a problem of what [Parse] or [Compile] return; false for
// any other error.
func ProblemOf(err error) (Problem, bool) {
	var e *Error
	if !errors.As(err, &e) {
		return Problem{}, false
	}
	return Problem{File: e.File, Pos: e.Pos, Severity: SeverityError, Msg: e.Msg, Example: e.Example}, true
}

// ProblemsOf makes problems of all errors that are joined in err.
func ProblemsOf(err error) []Problem {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []Problem
		for _, e := range many.Unwrap() {
			out = append(out, ProblemsOf(e)...)
		}
		return out
	}
	if p, ok := ProblemOf(err); ok {
		return []Problem{p}
	}
	return nil
}

// maxProblems bounds what is kept about one file: after so many mistakes the
// rest says nothing new.
const maxProblems = 100

// report gathers what is wrong with a file, and what its rules have cost.
type report struct {
	problems []Problem
	errors   int
	spent    budget
}

// add keeps an error, or each of those that errors.Join joined.
func (r *report) add(err error) {
	if err == nil {
		return
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			r.add(e)
		}
		return
	}
	p, ok := ProblemOf(err)
	if !ok {
		p = Problem{Pos: Pos{1, 1}, Severity: SeverityError, Msg: err.Error()}
	}
	r.keep(p)
}

func (r *report) keep(p Problem) {
	p.Msg, p.Example = clipped(p.Msg), clipped(p.Example)
	if p.Severity == SeverityError && !p.loads {
		r.errors++
	}
	if len(r.problems) < maxProblems || p.Severity == SeverityError && r.errors == 1 {
		r.problems = append(r.problems, p)
	}
}

func (r *report) fail(at Pos, format string, args ...any) { r.add(bad(at, format, args...)) }

// longestText is how much of a message is kept, of its beginning and its end:
// what a rule says stands in it.
const longestText = 4000

func clipped(s string) string {
	if len(s) <= longestText {
		return s
	}
	return strings.ToValidUTF8(s[:longestText/2]+" ... "+s[len(s)-longestText/2:], "")
}

// doubt is an error that the rule can be loaded with.
func (r *report) doubt(at Pos, format string, args ...any) {
	r.keep(Problem{Pos: at, Severity: SeverityError, Msg: fmt.Sprintf(format, args...), loads: true})
}

func (r *report) warn(at Pos, format string, args ...any) {
	r.keep(Problem{Pos: at, Severity: SeverityWarning, Msg: fmt.Sprintf(format, args...)})
}

func (r *report) note(at Pos, format string, args ...any) {
	r.keep(Problem{Pos: at, Severity: SeverityNote, Msg: fmt.Sprintf(format, args...)})
}

// sorted is the problems in the order of the file.
func (r *report) sorted(file string) []Problem {
	for i := range r.problems {
		r.problems[i].File = file
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return r.problems
}

// inFile adds the file to an error that knows only its place.
func inFile(file string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		e.File = file
	}
	return err
}
