package live

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// Cursor names an event by its place: the journal's offset and the record's
// index in that frame. The zero Cursor is before everything.
type Cursor struct {
	Offset uint64
	Index  int
}

// String is the form that [ParseCursor] reads.
func (c Cursor) String() string {
	return strconv.FormatUint(c.Offset, 10) + "." + strconv.Itoa(c.Index)
}

// after reports whether c comes after o.
func (c Cursor) after(o Cursor) bool {
	return c.Offset > o.Offset || c.Offset == o.Offset && c.Index > o.Index
}

// ParseCursor reads what a watcher says it has.
func ParseCursor(s string) (Cursor, error) {
	offset, index, ok := strings.Cut(s, ".")
	o, err1 := strconv.ParseUint(offset, 10, 63)
	i, err2 := strconv.ParseUint(index, 10, 31)
	if !ok || err1 != nil || err2 != nil {
		return Cursor{}, core.E(core.KindInvalid, "live.ParseCursor", fmt.Sprintf("%.40q is not offset.index", s))
	}
	return Cursor{o, int(i)}, nil
}
