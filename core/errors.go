package core

import (
	"errors"
	"strings"
)

// Kind is what a caller can decide on. Each kind becomes one HTTP problem and
// one exit code, in platform/httpd and cmd alone.
type Kind uint8

// The kinds of error.
const (
	// KindInternal is a fault of ours; it is the kind of every foreign error.
	KindInternal Kind = iota
	// KindInvalid is input that can never be accepted.
	KindInvalid
	// KindTooLarge is input over a stated limit.
	KindTooLarge
	// KindUnauthenticated means that the caller did not prove who it is.
	KindUnauthenticated
	// KindDenied means that the caller is known and may not.
	KindDenied
	// KindNotFound means that there is no such object in this tenant.
	KindNotFound
	// KindConflict means that the object is not in a state that allows it.
	KindConflict
	// KindExpired means that it was right once.
	KindExpired
	// KindReplayed means that it has been used before.
	KindReplayed
	// KindUnavailable means that it may work later: a child is down, a disk
	// is full.
	KindUnavailable
	// KindUncertain means that an effect may or may not have happened; a
	// person must look.
	KindUncertain
	// KindDamaged means that stored or received bytes fail their proof.
	KindDamaged
)

var kindNames = [...]string{"internal", "invalid", "too-large", "unauthenticated", "denied", "not-found", "conflict", "expired", "replayed", "unavailable", "uncertain", "damaged"}

// String returns the word used in problem documents.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "internal"
}

// Error is an error with a kind. Op names the operation ("link.DecodeOrder"),
// Msg says what is wrong and where, Hint names the next step for a person.
type Error struct {
	Kind Kind
	Op   string
	Msg  string
	Hint string
	Err  error
}

// E makes an [Error]. The message names what and where, never a secret.
func E(kind Kind, op, msg string) *Error { return &Error{Kind: kind, Op: op, Msg: msg} }

// Wrap gives err an operation and a kind, keeping err reachable for
// [errors.Is]. It returns nil for a nil err.
func Wrap(kind Kind, op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: kind, Op: op, Err: err}
}

// WithHint returns a copy of e that tells a person what to do next.
func (e *Error) WithHint(hint string) *Error {
	c := *e
	c.Hint = hint
	return &c
}

// Error implements error: "op: message: cause".
func (e *Error) Error() string {
	parts := make([]string, 0, 3)
	for _, s := range []string{e.Op, e.Msg} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost [Error] in the chain that states
// one, KindInternal for a foreign error.
func KindOf(err error) Kind {
	var e *Error
	for errors.As(err, &e) {
		if e.Kind != KindInternal {
			return e.Kind
		}
		err = e.Err
	}
	return KindInternal
}

// HintOf returns the first hint in the chain, or "".
func HintOf(err error) string {
	var e *Error
	for errors.As(err, &e) {
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}
