package source

import (
	"crypto/sha1" //nolint:gosec // the name that git gives to a content, and no proof of anything
	"crypto/sha256"
	"fmt"
	"hash"
)

// Versions are the files of HEAD that [History] has read under their names of today.
type Versions struct {
	idLen int
	files map[string][32]byte
}

// take notes what was handed out to be read.
func (v *Versions) take(h *history) {
	if v == nil {
		return
	}
	v.idLen, v.files = h.idLen, map[string][32]byte{}
	for i := range h.versions {
		is := &h.versions[i]
		if id, in := h.byPath[is.path]; in && id == is.id {
			v.files[h.paths.all[is.path]] = id
		}
	}
}

// has reports whether a file is as it was read. The content itself is asked: dates and
// sizes can be made to look right.
func (v *Versions) has(path string, body []byte) bool {
	if v == nil {
		return false
	}
	id, known := v.files[path]
	if !known {
		return false
	}
	var h hash.Hash
	if v.idLen == sha1.Size {
		h = sha1.New() //nolint:gosec // see above
	} else {
		h = sha256.New()
	}
	_, _ = fmt.Fprintf(h, "blob %d\x00", len(body))
	_, _ = h.Write(body)
	return [32]byte(append(h.Sum(nil), make([]byte, 32)...)[:32]) == id
}
