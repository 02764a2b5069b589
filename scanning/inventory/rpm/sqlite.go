package rpm

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// SQLite's file format as far as one table of two columns needs it: rpm keeps
// (hnum INTEGER PRIMARY KEY, blob BLOB) in the table Packages.
const (
	sqliteMagic   = "SQLite format 3\x00"
	leafTable     = 13
	interiorTable = 5
	maxTreeDepth  = 20
)

type lite struct {
	r             io.ReaderAt
	page, usable  int64
	pages, visits int64
	left          int64
}

func sqlite(r io.ReaderAt, size int64, yield func([]byte) error) error {
	head := make([]byte, 100)
	if _, err := r.ReadAt(head, 0); err != nil || !bytes.HasPrefix(head, []byte(sqliteMagic)) {
		return extract.Malformed(0, "not an SQLite database")
	}
	d := &lite{r: r, page: int64(binary.BigEndian.Uint16(head[16:])), left: 4 * size}
	if d.page == 1 {
		d.page = 64 << 10
	}
	d.usable = d.page - int64(head[20])
	if d.page < 512 || d.page&(d.page-1) != 0 || d.usable < 480 {
		return extract.Malformed(0, "pages of %d bytes", d.page)
	}
	d.pages = size / d.page
	top := int64(0)
	err := d.table(1, 0, func(columns [][]byte) error {
		// type, name, tbl_name, rootpage, sql
		if len(columns) >= 4 && string(columns[0]) == "table" && string(columns[1]) == "Packages" {
			top = number(columns[3])
		}
		return nil
	})
	if err != nil {
		return err
	}
	if top == 0 {
		return extract.Malformed(0, "an SQLite database without the table Packages")
	}
	return d.table(top, 0, func(columns [][]byte) error {
		if len(columns) < 2 {
			return extract.Malformed(0, "a row of %d columns", len(columns))
		}
		return yield(columns[1])
	})
}

// number reads an integer column.
func number(b []byte) (n int64) {
	for _, c := range b {
		n = n<<8 | int64(c)
	}
	return n
}

// table walks the pages of a table. Every page is counted, so that a circle of
// them ends.
func (d *lite) table(n int64, depth int, row func([][]byte) error) error {
	if d.visits++; depth > maxTreeDepth || d.visits > 2*d.pages+2 {
		return &extract.Fault{Reason: scanning.ReasonTooDeep, Msg: "a table whose pages lead in a circle"}
	}
	page, err := d.read(n)
	if err != nil {
		return err
	}
	head := 0
	if n == 1 {
		head = 100
	}
	kind, first := page[head], head+8
	if kind == interiorTable {
		first = head + 12
	} else if kind != leafTable {
		return extract.Malformed(0, "a page of type %d in a table", kind)
	}
	count := int(binary.BigEndian.Uint16(page[head+3:]))
	for i := range count {
		if first+2*i+2 > len(page) {
			return extract.Malformed(0, "a page with %d cells, which is more than fit", count)
		}
		at := int(binary.BigEndian.Uint16(page[first+2*i:]))
		if at+4 > len(page) {
			return extract.Malformed(0, "a cell outside of its page")
		}
		if kind == interiorTable {
			err = d.table(int64(binary.BigEndian.Uint32(page[at:])), depth+1, row)
		} else {
			err = d.cell(page[at:d.usable], row)
		}
		if err != nil {
			return err
		}
	}
	if kind == interiorTable {
		return d.table(int64(binary.BigEndian.Uint32(page[head+8:])), depth+1, row)
	}
	return nil
}

func (d *lite) read(n int64) ([]byte, error) {
	if n < 1 || n > d.pages {
		return nil, extract.Malformed(0, "a page %d of %d", n, d.pages)
	}
	page := make([]byte, d.page)
	_, err := d.r.ReadAt(page, (n-1)*d.page)
	return page, err
}

// cell reads a row: its length, its key, and its columns, the rest of which is on
// overflow pages.
func (d *lite) cell(b []byte, row func([][]byte) error) error {
	length, n := varint(b)
	_, m := varint(b[n:])
	if n == 0 || m == 0 {
		return extract.Malformed(0, "a row without a key")
	}
	b = b[n+m:]
	if d.left -= length; length < 0 || length > maxBlob || d.left < 0 {
		return extract.Malformed(0, "a row of %d bytes", length)
	}
	local := d.local(length)
	if local > int64(len(b)) {
		return extract.Malformed(0, "a row outside of its page")
	}
	payload := append(make([]byte, 0, length), b[:local]...)
	if local < length {
		if int64(len(b)) < local+4 {
			return extract.Malformed(0, "a row outside of its page")
		}
		var err error
		if payload, err = d.overflow(payload, length, int64(binary.BigEndian.Uint32(b[local:]))); err != nil {
			return err
		}
	}
	columns, err := record(payload)
	if err != nil {
		return err
	}
	return row(columns)
}

// local is how much of a row stays in its page.
func (d *lite) local(length int64) int64 {
	most := d.usable - 35
	if length <= most {
		return length
	}
	least := (d.usable-12)*32/255 - 23
	if k := least + (length-least)%(d.usable-4); k <= most {
		return k
	}
	return least
}

func (d *lite) overflow(payload []byte, length, n int64) ([]byte, error) {
	for int64(len(payload)) < length {
		page, err := d.read(n)
		if err != nil {
			return nil, err
		}
		n = int64(binary.BigEndian.Uint32(page))
		payload = append(payload, page[4:min(d.usable, 4+length-int64(len(payload)))]...)
	}
	return payload, nil
}

// record parts a row into its columns. Numbers are given as their bytes.
func record(b []byte) (columns [][]byte, err error) {
	size, n := varint(b)
	if n == 0 || size < int64(n) || size > int64(len(b)) {
		return nil, extract.Malformed(0, "a row without columns")
	}
	types, values := b[n:size], b[size:]
	for len(types) > 0 {
		t, n := varint(types)
		if n == 0 {
			return nil, extract.Malformed(0, "a column of no type")
		}
		types = types[n:]
		w := width(t)
		if w < 0 || w > int64(len(values)) {
			return nil, extract.Malformed(0, "a column that ends after its row")
		}
		columns = append(columns, values[:w])
		values = values[w:]
	}
	return columns, nil
}

// width is how many bytes a column of a type has.
func width(t int64) int64 {
	switch {
	case t >= 0 && t <= 4:
		return t
	case t == 5:
		return 6
	case t == 6 || t == 7:
		return 8
	case t == 8 || t == 9:
		return 0
	case t >= 12:
		return (t - 12) / 2
	}
	return -1
}

// varint reads SQLite's integer of one to nine bytes; n is 0 if it ends too
// early.
func varint(b []byte) (v int64, n int) {
	for n < 9 && n < len(b) {
		c := b[n]
		n++
		if n == 9 {
			return v<<8 | int64(c), n
		}
		v = v<<7 | int64(c&0x7f)
		if c < 0x80 {
			return v, n
		}
	}
	return 0, 0
}
