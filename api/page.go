package api

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Out is the answer of an operation.
type Out[T any] struct{ Body T }

func out[T any](v T) *Out[T] { return &Out[T]{Body: v} }

// Page is a part of a list. Next is the opaque cursor of the part after it, ""
// at the end. Total counts what the filter selects, -1 where counting would mean
// reading all of it.
type Page[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next,omitempty"`
	Total int    `json:"total"`
}

// Limits of a page and of the texts that select one.
const (
	PageDefault = 50
	PageMost    = 500
	maxText     = 500
	maxCursor   = 300
)

// rows is how many rows a page holds.
func rows(limit int) (int, error) {
	if limit < 0 || limit > PageMost {
		return 0, core.E(core.KindInvalid, "api", "limit is a number from 0 to "+strconv.Itoa(PageMost))
	}
	if limit == 0 {
		return PageDefault, nil
	}
	return limit, nil
}

// cut makes a page of rows of which one more was asked for than it holds: that
// one says that there is a next page.
func cut[T any](list []T, limit, total int, cursor func(T) string) Page[T] {
	p := Page[T]{Items: list, Total: total}
	if len(list) > limit {
		p.Items = list[:limit]
		p.Next = cursor(p.Items[limit-1])
	}
	if p.Items == nil {
		p.Items = []T{}
	}
	return p
}

// encodeCursor packs where a list goes on. The list's name is part of it, so
// that one list's cursor is refused by another.
func encodeCursor(list string, parts ...string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(list + "|" + strings.Join(parts, "|")))
}

// decodeCursor returns the parts of a cursor of the list, nil for none.
func decodeCursor(list, cursor string, n int) ([]string, error) {
	if cursor == "" {
		return nil, nil
	}
	bad := core.E(core.KindInvalid, "api", "after is no cursor of this list").WithHint("take it from the field next of the page before, as it is")
	if len(cursor) > maxCursor {
		return nil, bad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return nil, bad
	}
	parts := strings.Split(string(b), "|")
	if len(parts) != n+1 || parts[0] != list {
		return nil, bad
	}
	return parts[1:], nil
}

// moment is a place in a list that is sorted by time, newest first.
type moment struct {
	at time.Time
	id core.UUID
}

func (m moment) cursor(list string) string {
	return encodeCursor(list, strconv.FormatInt(m.at.UnixMicro(), 10), m.id.String())
}

// momentOf reads the cursor of a list that is sorted by time; the zero moment
// stands for its beginning.
func momentOf(list, cursor string) (m moment, err error) {
	parts, err := decodeCursor(list, cursor, 2)
	if err != nil || parts == nil {
		return m, err
	}
	micros, err := strconv.ParseInt(parts[0], 10, 64)
	if err == nil {
		m.id, err = core.ParseUUID(parts[1])
	}
	if err != nil || micros <= 0 {
		return m, core.E(core.KindInvalid, "api", "after is no cursor of this list")
	}
	m.at = time.UnixMicro(micros).UTC()
	return m, nil
}

// short refuses texts that are longer than anything they could name.
func short(texts map[string]string) error {
	for name, text := range texts {
		if err := tooLong(name, text, maxText); err != nil {
			return err
		}
	}
	return nil
}

func tooLong(name, text string, most int) error {
	if len(text) > most {
		return core.E(core.KindTooLarge, "api", fmt.Sprintf("%s has %d bytes, at most %d are allowed", name, len(text), most))
	}
	return nil
}

// oneOf refuses a word that is none of a list; "" is none and means any.
func oneOf[T ~string](name, word string, list ...T) error {
	if word == "" {
		return nil
	}
	for _, w := range list {
		if string(w) == word {
			return nil
		}
	}
	return core.E(core.KindInvalid, "api", fmt.Sprintf("query: %s is one of %v, not %.40q", name, list, word))
}

// convert turns the items of a page into what the API shows.
func convert[A, B any](p Page[A], to func(A) B) Page[B] {
	q := Page[B]{Items: make([]B, 0, len(p.Items)), Next: p.Next, Total: p.Total}
	for _, v := range p.Items {
		q.Items = append(q.Items, to(v))
	}
	return q
}
