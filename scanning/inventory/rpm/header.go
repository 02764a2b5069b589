package rpm

import (
	"bytes"
	"encoding/binary"

	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// Tags of a header that matter here, and their types.
const (
	tagName     = 1000
	tagVersion  = 1001
	tagRelease  = 1002
	tagEpoch    = 1003
	tagVendor   = 1011
	tagLicense  = 1014
	tagArch     = 1022
	tagSource   = 1044
	tagFolderOf = 1116
	tagFile     = 1117
	tagFolder   = 1118
	tagModule   = 5096

	typeInt32   = 4
	typeString  = 6
	typeStrings = 8
	typeI18N    = 9
)

// Bounds as rpm itself has them.
const (
	maxTags  = 65535
	maxStore = 256 << 20
	maxBlob  = 256 << 20
	maxFiles = 1_000_000
)

type entry struct{ tag, typ, offset, count uint32 }

// header is a package's: an index of tags into a store of values.
type header struct {
	tags  map[uint32]entry
	store []byte
}

// parse reads a header as databases hold it, without the magic of package files:
// the number of tags, the size of the store, the tags, the store.
func parse(blob []byte) (*header, error) {
	if len(blob) < 8 {
		return nil, extract.Malformed(0, "a package's header of %d bytes", len(blob))
	}
	tags, size := binary.BigEndian.Uint32(blob), binary.BigEndian.Uint32(blob[4:])
	if tags > maxTags || size > maxStore || 8+16*int(tags)+int(size) > len(blob) {
		return nil, extract.Malformed(0, "a package's header says %d tags and %d bytes, and has %d", tags, size, len(blob))
	}
	h := &header{tags: map[uint32]entry{}, store: blob[8+16*int(tags):][:size]}
	for i := range int(tags) {
		b := blob[8+16*i:]
		e := entry{
			binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]),
			binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:]),
		}
		switch e.tag {
		case tagName, tagVersion, tagRelease, tagEpoch, tagVendor, tagLicense, tagArch, tagSource, tagModule, tagFolderOf, tagFile, tagFolder:
			h.tags[e.tag] = e
		}
	}
	return h, nil
}

// text is a string's value; "" where there is none.
func (h *header) text(tag uint32) string {
	e, ok := h.tags[tag]
	if !ok || e.typ != typeString && e.typ != typeI18N || int64(e.offset) >= int64(len(h.store)) {
		return ""
	}
	rest := h.store[e.offset:]
	end := bytes.IndexByte(rest, 0)
	if end < 0 {
		return ""
	}
	return string(rest[:end])
}

func (h *header) number(tag uint32) (uint32, bool) {
	e, ok := h.tags[tag]
	if !ok || e.typ != typeInt32 || e.count < 1 || int64(e.offset)+4 > int64(len(h.store)) {
		return 0, false
	}
	return binary.BigEndian.Uint32(h.store[e.offset:]), true
}

// files calls yield with the folder and the name of each file that the package
// installed. It does not join them: a folder that is written once may be that of
// a million files.
func (h *header) files(yield func(folder, name string)) {
	folders, names, of := h.texts(tagFolder), h.texts(tagFile), h.tags[tagFolderOf]
	if of.typ != typeInt32 || int(of.count) != len(names) || int64(of.offset)+4*int64(of.count) > int64(len(h.store)) {
		return
	}
	for i, name := range names {
		at := binary.BigEndian.Uint32(h.store[int(of.offset)+4*i:])
		if int64(at) < int64(len(folders)) {
			yield(folders[at], name)
		}
	}
}

// texts are a list of strings; nil where there is none, or less than it says.
func (h *header) texts(tag uint32) []string {
	e, ok := h.tags[tag]
	if !ok || e.typ != typeStrings || e.count > maxFiles || int64(e.offset)+int64(e.count) > int64(len(h.store)) {
		return nil
	}
	all, rest := make([]string, 0, e.count), h.store[e.offset:]
	for range e.count {
		end := bytes.IndexByte(rest, 0)
		if end < 0 {
			return nil
		}
		all, rest = append(all, string(rest[:end])), rest[end+1:]
	}
	return all
}
