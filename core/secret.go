package core

import (
	"crypto/subtle"
	"log/slog"
)

// Secret is bytes that can't be printed, logged or marshalled: every formatting
// route gives "[secret]" and every encoder an error. Call [Secret.Reveal] at
// the one place that needs the bytes and [Secret.Wipe] when done.
//
// The bytes stand behind a function because fmt reaches into the unexported
// fields of a struct that holds a Secret, past every method, and follows
// pointers there for some verbs; it prints a function as an address.
type Secret struct{ bytes func() []byte }

// NewSecret takes ownership of b.
func NewSecret(b []byte) Secret { return Secret{func() []byte { return b }} }

// Reveal returns the bytes themselves, not a copy; nil for the zero Secret.
func (s Secret) Reveal() []byte {
	if s.bytes == nil {
		return nil
	}
	return s.bytes()
}

// IsZero reports whether there are no bytes.
func (s Secret) IsZero() bool { return len(s.Reveal()) == 0 }

// Equal compares in constant time.
func (s Secret) Equal(other []byte) bool {
	return subtle.ConstantTimeCompare(s.Reveal(), other) == 1
}

// Wipe overwrites the bytes with zeros.
func (s Secret) Wipe() { clear(s.Reveal()) }

// String implements fmt.Stringer without the bytes.
func (Secret) String() string { return "[secret]" }

// GoString implements fmt.GoStringer without the bytes.
func (Secret) GoString() string { return "[secret]" }

// LogValue implements [slog.LogValuer] without the bytes.
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText refuses.
func (Secret) MarshalText() ([]byte, error) {
	return nil, E(KindDenied, "core.Secret", "a secret cannot be marshalled")
}

// MarshalJSON refuses.
func (Secret) MarshalJSON() ([]byte, error) {
	return nil, E(KindDenied, "core.Secret", "a secret cannot be marshalled")
}

// MarshalBinary refuses.
func (Secret) MarshalBinary() ([]byte, error) {
	return nil, E(KindDenied, "core.Secret", "a secret cannot be marshalled")
}
