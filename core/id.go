package core

import (
	"database/sql/driver"
	"fmt"
)

// MaxIDLen is the longest identifier accepted, in bytes.
const MaxIDLen = 63

// ID is an identifier of one kind. Its only way in is parsing, so a value of
// this type can never hold a path, a blank, an upper-case letter or a control
// character: the grammar is [a-z0-9][a-z0-9_-]{0,62}. The zero value means
// "none" and reads as the empty string.
type ID[K any] struct{ s string }

// Kinds of identifier. The empty structs exist to keep the types apart.
type (
	tenantKind  struct{}
	siteKind    struct{}
	deviceKind  struct{}
	personKind  struct{}
	sensorKind  struct{}
	serviceKind struct{}
)

// The identifiers that cross folders.
type (
	// TenantID names a tenant; it is part of every key in every table.
	TenantID = ID[tenantKind]
	// SiteID names a place with devices in it.
	SiteID = ID[siteKind]
	// DeviceID names an enrolled device within its tenant.
	DeviceID = ID[deviceKind]
	// PersonID names a human. Only humans count towards thresholds.
	PersonID = ID[personKind]
	// SensorID names a sensor within its device.
	SensorID = ID[sensorKind]
	// ServiceID names a program that acts: a playbook, a stage, a timer.
	ServiceID = ID[serviceKind]
)

// ParseID reads an identifier, refusing anything outside the grammar. The error
// is of kind [KindInvalid] and quotes the offending text.
func ParseID[I ~struct{ s string }](s string) (I, error) {
	if err := checkID(s); err != nil {
		return I{}, err
	}
	return I(struct{ s string }{s}), nil
}

// MustID is [ParseID] for constants and tests; it panics on a bad identifier.
func MustID[I ~struct{ s string }](s string) I {
	id, err := ParseID[I](s)
	if err != nil {
		panic(err)
	}
	return id
}

func checkID(s string) error {
	if s == "" {
		return E(KindInvalid, "core.ParseID", "identifier is empty")
	}
	if len(s) > MaxIDLen {
		return E(KindInvalid, "core.ParseID", fmt.Sprintf("identifier has %d bytes, at most %d are allowed", len(s), MaxIDLen))
	}
	for i := range len(s) {
		if !idByte(s[i], i == 0) {
			return E(KindInvalid, "core.ParseID", fmt.Sprintf("identifier %q: byte %d is %q; allowed are a-z 0-9 - _, beginning with a letter or digit", s, i, s[i]))
		}
	}
	return nil
}

func idByte(c byte, first bool) bool {
	switch {
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return true
	case c == '-' || c == '_':
		return !first
	}
	return false
}

// String returns the identifier, or "" for none.
func (id ID[K]) String() string { return id.s }

// IsZero reports whether there is no identifier.
func (id ID[K]) IsZero() bool { return id.s == "" }

// MarshalText implements [encoding.TextMarshaler].
func (id ID[K]) MarshalText() ([]byte, error) { return []byte(id.s), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]; empty text means none.
func (id *ID[K]) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		id.s = ""
		return nil
	}
	if err := checkID(string(b)); err != nil {
		return err
	}
	id.s = string(b)
	return nil
}

// Value implements [driver.Valuer].
func (id ID[K]) Value() (driver.Value, error) { return id.s, nil }

// Scan implements [database/sql.Scanner].
func (id *ID[K]) Scan(src any) error {
	switch v := src.(type) {
	case string:
		return id.UnmarshalText([]byte(v))
	case []byte:
		return id.UnmarshalText(v)
	case nil:
		id.s = ""
		return nil
	}
	return E(KindInvalid, "core.ID.Scan", fmt.Sprintf("cannot read an identifier from %T", src))
}
