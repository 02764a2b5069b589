package core

import (
	"crypto/rand"
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// UUID is a version 7 UUID (RFC 9562 section 5.7): the first 48 bits are the
// milliseconds since the Unix epoch, so identifiers sort by time of creation.
type UUID [16]byte

// NewUUID makes an identifier stamped with now.
func NewUUID(now time.Time) UUID {
	var u UUID
	_, _ = rand.Read(u[6:]) // crypto/rand.Read never fails since Go 1.24
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint32(u[0:4], uint32(ms>>16))
	binary.BigEndian.PutUint16(u[4:6], uint16(ms))
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return u
}

// ParseUUID reads the canonical lower-case form and nothing else.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return UUID{}, badUUID(s)
	}
	packed := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]
	if _, err := hex.Decode(u[:], []byte(packed)); err != nil || u.String() != s {
		return UUID{}, badUUID(s)
	}
	return u, nil
}

func badUUID(s string) error {
	return E(KindInvalid, "core.ParseUUID", fmt.Sprintf("%.40q is not a UUID in lower-case canonical form", s))
}

// String returns the canonical form, for example
// "01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55".
func (u UUID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], u[0:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:36], u[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// IsZero reports whether u is the nil UUID.
func (u UUID) IsZero() bool { return u == UUID{} }

// Time returns the creation time, to the millisecond.
func (u UUID) Time() time.Time {
	ms := uint64(binary.BigEndian.Uint32(u[0:4]))<<16 | uint64(binary.BigEndian.Uint16(u[4:6]))
	return time.UnixMilli(int64(ms)).UTC()
}

// MarshalText implements [encoding.TextMarshaler].
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (u *UUID) UnmarshalText(b []byte) error {
	v, err := ParseUUID(string(b))
	if err == nil {
		*u = v
	}
	return err
}

// Value implements [driver.Valuer]; UUIDs are stored as text.
func (u UUID) Value() (driver.Value, error) { return u.String(), nil }

// Scan implements [database/sql.Scanner].
func (u *UUID) Scan(src any) error {
	switch v := src.(type) {
	case string:
		return u.UnmarshalText([]byte(v))
	case []byte:
		return u.UnmarshalText(v)
	}
	return E(KindInvalid, "core.UUID.Scan", fmt.Sprintf("cannot read a UUID from %T", src))
}
