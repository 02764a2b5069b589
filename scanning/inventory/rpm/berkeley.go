package rpm

import (
	"encoding/binary"
	"io"

	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// Berkeley DB, hash method: page 0 says the byte order and the page size; hash
// pages hold pairs, of which a package's header, being large, is always kept on a
// chain of overflow pages.
const (
	hashMagic    = 0x061561
	pageHeader   = 26
	pageUnsorted = 2
	pageOverflow = 7
	pageHash     = 13
	itemOffPage  = 3
	itemSize     = 12
)

type hashes struct {
	r     io.ReaderAt
	order binary.ByteOrder
	page  int64
	pages int64
	left  int64 // bytes that headers may still have
}

func berkeley(r io.ReaderAt, size int64, yield func([]byte) error) error {
	meta := make([]byte, 512)
	if _, err := r.ReadAt(meta, 0); err != nil {
		return extract.Malformed(0, "too short for a Berkeley database")
	}
	d := &hashes{r: r, order: binary.LittleEndian, left: 4 * size}
	if binary.BigEndian.Uint32(meta[12:]) == hashMagic {
		d.order = binary.BigEndian
	} else if binary.LittleEndian.Uint32(meta[12:]) != hashMagic {
		return extract.Unsupported("not a Berkeley database of hashes")
	}
	d.page = int64(d.order.Uint32(meta[20:]))
	if d.page < 512 || d.page > 64<<10 || d.page&(d.page-1) != 0 {
		return extract.Malformed(0, "pages of %d bytes", d.page)
	}
	d.pages = size / d.page
	page := make([]byte, d.page)
	for n := int64(1); n < d.pages; n++ {
		if _, err := r.ReadAt(page, n*d.page); err != nil {
			return err
		}
		if page[25] != pageHash && page[25] != pageUnsorted {
			continue
		}
		if err := d.items(page, yield); err != nil {
			return err
		}
	}
	return nil
}

// items yields the headers that a hash page leads to.
func (d *hashes) items(page []byte, yield func([]byte) error) error {
	count := int(d.order.Uint16(page[20:]))
	for i := range count {
		at := pageHeader + 2*i
		if at+2 > len(page) {
			return extract.Malformed(0, "a page with %d items, which is more than fit", count)
		}
		item := int(d.order.Uint16(page[at:]))
		if item+itemSize > len(page) || page[item] != itemOffPage {
			continue
		}
		blob, err := d.chain(int64(d.order.Uint32(page[item+4:])), int64(d.order.Uint32(page[item+8:])))
		if err != nil {
			return err
		}
		if err := yield(blob); err != nil {
			return err
		}
	}
	return nil
}

// chain joins overflow pages until it has the length that the item says, so that
// no circle of pages is followed for ever.
func (d *hashes) chain(n, length int64) ([]byte, error) {
	if d.left -= length; length > maxBlob || d.left < 0 {
		return nil, extract.Malformed(0, "a package's header of %d bytes", length)
	}
	blob := make([]byte, 0, length)
	page := make([]byte, d.page)
	for int64(len(blob)) < length {
		if n <= 0 || n >= d.pages {
			return nil, extract.Malformed(0, "a package's header that ends too early")
		}
		if _, err := d.r.ReadAt(page, n*d.page); err != nil {
			return nil, err
		}
		if page[25] != pageOverflow {
			return nil, extract.Malformed(0, "a package's header on a page of another type")
		}
		blob = append(blob, page[pageHeader:min(d.page, pageHeader+length-int64(len(blob)))]...)
		n = int64(d.order.Uint32(page[16:]))
	}
	return blob, nil
}
