package events

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
)

// The fields of a row that only this package writes. A field of an event that
// has one of these names is kept as "field.<name>".
const (
	FieldTenant    = "tenant"
	FieldSource    = "source"
	FieldMessage   = "_msg"
	FieldPartition = "journal.partition"
	FieldOffset    = "journal.offset"
	FieldIndex     = "journal.index"
	// FieldCut is "true" on a row that does not hold all of its event; the
	// journal does.
	FieldCut  = "journal.cut"
	fieldTime = "_time"
)

// Limits of a row. The store drops longer lines, longer names and rows with
// more fields without telling the sender, so none is sent.
const (
	maxRow       = 192 << 10 // bytes of a line
	maxValue     = 64 << 10  // bytes of a value in its line
	maxFieldName = 120       // bytes, "field." not counted
	maxFields    = 400
)

// Field is a name and a text.
type Field struct{ Name, Value string }

// Row is an event as it is searched for.
type Row struct {
	Tenant core.TenantID
	// Partition, Offset and Index are where the journal holds the event.
	Partition int32
	Offset    uint64
	Index     int
	Time      time.Time
	Source    string
	// Message is what a search for a bare word looks at.
	Message string
	// Fields are all others; of two with one name the first counts.
	Fields []Field
}

// insertQuery tells the store what the special fields of a row are.
var insertQuery = url.Values{
	"_stream_fields": {FieldTenant + "," + FieldSource}, "_time_field": {fieldTime}, "_msg_field": {FieldMessage},
}

// Insert hands rows to the store. When it returns nil the store has them, in
// memory: they are searchable within about a second and on disk after its flush
// interval. After an error some of them may be there and some not.
func (c *Client) Insert(ctx context.Context, rows []Row) error {
	const op = "events.Insert"
	ctx, cancel := context.WithTimeout(ctx, insertTimeout)
	defer cancel()
	for len(rows) > 0 {
		tenant, n := rows[0].Tenant, 1
		if tenant.IsZero() {
			return core.E(core.KindInvalid, op, fmt.Sprintf("the row of offset %d has no tenant", rows[0].Offset))
		}
		for n < len(rows) && rows[n].Tenant == tenant {
			n++
		}
		if err := c.insert(ctx, op, tenant, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (c *Client) insert(ctx context.Context, op string, tenant core.TenantID, rows []Row) error {
	lines := make([]byte, 0, 1<<10*len(rows))
	for i := range rows {
		lines = rows[i].appendTo(lines)
	}
	body, err := c.ask(ctx, request{op: op, insert: true, path: "/insert/jsonline", tenant: tenant, query: insertQuery, lines: lines})
	if err != nil {
		return err
	}
	return body.Close()
}

// appendTo writes the row as a line of JSON. Nothing in a row can end the line
// or the text that it stands in.
func (r *Row) appendTo(b []byte) []byte {
	w := rowWriter{b: append(b, '{'), begin: len(b), seen: make(map[string]bool, 16+len(r.Fields))}
	w.own(fieldTime, r.Time.UTC().Format(time.RFC3339Nano))
	w.own(FieldTenant, r.Tenant.String())
	w.own(FieldPartition, strconv.FormatInt(int64(r.Partition), 10))
	w.own(FieldOffset, strconv.FormatUint(r.Offset, 10))
	w.own(FieldIndex, strconv.Itoa(r.Index))
	w.own(FieldSource, r.Source)
	w.own(FieldMessage, r.Message)
	for _, f := range r.Fields {
		w.foreign(f)
	}
	if w.cut {
		w.own(FieldCut, "true")
	}
	w.b[len(w.b)-1] = '}' // in place of the last comma
	return append(w.b, '\n')
}

// reserved are the names that no event can fill. An empty name is the message's
// in the store.
var reserved = map[string]bool{
	"": true, fieldTime: true, FieldMessage: true, "_stream": true, "_stream_id": true, FieldTenant: true, FieldSource: true,
	FieldPartition: true, FieldOffset: true, FieldIndex: true, FieldCut: true,
}

// rowWriter writes the fields of one line.
type rowWriter struct {
	b     []byte
	begin int
	seen  map[string]bool
	cut   bool
}

func (w *rowWriter) own(name, value string) {
	var cut bool
	w.b, _ = appendText(w.b, name)
	w.b = append(w.b, ':')
	w.b, cut = appendText(w.b, value)
	w.b = append(w.b, ',')
	w.cut = w.cut || cut
}

// foreign writes a field of the event, if it is the first of its name and there
// is room.
func (w *rowWriter) foreign(f Field) {
	if f.Value == "" {
		return // the store knows no difference between empty and absent
	}
	if len(f.Name) > maxFieldName {
		f.Name, w.cut = f.Name[:boundary(f.Name, maxFieldName)], true
	}
	if reserved[f.Name] {
		f.Name = "field." + f.Name
	}
	if w.seen[f.Name] {
		return
	}
	before := len(w.b)
	w.own(f.Name, f.Value)
	if len(w.seen) >= maxFields || len(w.b)-w.begin > maxRow {
		w.b, w.cut = w.b[:before], true
		return
	}
	w.seen[f.Name] = true
}

// boundary is the last place at or before n where no character is cut.
func boundary(s string, n int) int {
	for i := n; i > n-utf8.UTFMax && i > 0; i-- {
		if utf8.RuneStart(s[i]) {
			return i
		}
	}
	return n
}

const hexDigits = "0123456789abcdef"

// appendText writes s as a JSON string, cut where that would be over maxValue.
// What is not UTF-8 becomes U+FFFD: the journal keeps the bytes.
func appendText(b []byte, s string) (_ []byte, cut bool) {
	b = append(b, '"')
	begin, end := 0, len(b)+maxValue
	for i := 0; i < len(s); {
		if len(b)+i-begin > end {
			return append(append(b, s[begin:i]...), '"'), true
		}
		size, escaped := escape(s[i:])
		if escaped != "" {
			b = append(append(b, s[begin:i]...), escaped...)
			begin = i + size
		}
		i += size
	}
	return append(append(b, s[begin:]...), '"'), false
}

// escape returns the length of the first character of s and how it stands in a
// JSON string, "" for as it is.
func escape(s string) (size int, as string) {
	switch c := s[0]; {
	case c == '"' || c == '\\':
		return 1, "\\" + s[:1]
	case c < ' ':
		return 1, `\u00` + string([]byte{hexDigits[c>>4], hexDigits[c&15]})
	case c < utf8.RuneSelf:
		return 1, ""
	}
	r, size := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && size == 1 {
		return 1, "\ufffd"
	}
	return size, ""
}

// Place is where the journal holds an event, within a partition.
type Place struct {
	Offset uint64
	Index  int
}

// Stored asks which events of a stretch of the journal the store has, and how
// often: offsets from and to are both in it, and so are the times, which the
// store needs to look in few places.
func (c *Client) Stored(ctx context.Context, tenant core.TenantID, partition int32, from, to uint64, earliest, latest time.Time) (map[Place]int, error) {
	const op = "events.Stored"
	found := map[Place]int{}
	pipe := fmt.Sprintf(`| fields "%s", "%s"`, FieldOffset, FieldIndex)
	err := c.stretch(ctx, op, tenant, partition, from, to, earliest, latest, pipe, func(line []byte) error {
		var row struct {
			Offset uint64 `json:"journal.offset,string"`
			Index  *int   `json:"journal.index,string"`
		}
		if err := json.Unmarshal(line, &row); err != nil || row.Index == nil {
			return core.E(core.KindDamaged, op, "the event store answers with what is no place in the journal: "+complaint(line))
		}
		found[Place{row.Offset, *row.Index}]++
		return nil
	})
	return found, err
}

// Count is [Client.Stored] for those who need only know how many.
func (c *Client) Count(ctx context.Context, tenant core.TenantID, partition int32, from, to uint64, earliest, latest time.Time) (n uint64, err error) {
	const op = "events.Count"
	err = c.stretch(ctx, op, tenant, partition, from, to, earliest, latest, `| stats count() n`, func(line []byte) error {
		var row struct {
			N *uint64 `json:"n,string"`
		}
		if err := json.Unmarshal(line, &row); err != nil || row.N == nil {
			return core.E(core.KindDamaged, op, "the event store answers with what is no count: "+complaint(line))
		}
		n += *row.N
		return nil
	})
	return n, err
}

// stretch runs a query over a stretch of the journal.
func (c *Client) stretch(ctx context.Context, op string, tenant core.TenantID, partition int32, from, to uint64, earliest, latest time.Time, pipe string, fn func([]byte) error) error {
	q := Query{Tenant: tenant, From: earliest, To: latest.Add(1), LogsQL: fmt.Sprintf(`"%s":=%d "%s":range[%d, %d] %s`, FieldPartition, partition, FieldOffset, from, to, pipe)}
	if err := q.validate(op); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	body, err := c.ask(ctx, request{op: op, path: "/select/logsql/query", tenant: tenant, form: q.form()})
	if err != nil {
		return err
	}
	defer body.Close()
	return c.lines(ctx, op, body, fn)
}
