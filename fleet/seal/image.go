package seal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	_ "image/jpeg" // for DecodeConfig
	_ "image/png"  // for DecodeConfig
	"slices"

	"github.com/interlock-security/interlock/core"
)

// Limits of a photo. Its header is read before anything else of it is.
const (
	MaxPhoto  = 8 << 20 // bytes
	maxPixels = 100_000_000
	minEdge   = 64
)

// The types of photo.
const (
	typeJPEG = "image/jpeg"
	typePNG  = "image/png"
)

func notAPhoto(format string, args ...any) error {
	return core.E(core.KindInvalid, "seal.Photo", fmt.Sprintf(format, args...)).WithHint("take a JPEG or PNG photo, at most 8 MiB")
}

// look reads a photo's header and that its parts follow each other as its format
// says. It does not decode the picture.
func look(b []byte) (Photo, error) {
	if len(b) == 0 || len(b) > MaxPhoto {
		return Photo{}, core.E(core.KindTooLarge, "seal.Photo", fmt.Sprintf("a photo has 1 to %d bytes, this one %d", MaxPhoto, len(b)))
	}
	config, format, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return Photo{}, notAPhoto("this is no JPEG and no PNG")
	}
	p := Photo{Type: "image/" + format, Width: config.Width, Height: config.Height, Size: len(b)}
	switch {
	case p.Type != typeJPEG && p.Type != typePNG:
		return Photo{}, notAPhoto("a photo is a JPEG or a PNG, not %.20q", format)
	case p.Width < minEdge || p.Height < minEdge:
		return Photo{}, notAPhoto("%d by %d pixels show no seal", p.Width, p.Height)
	case p.Width > maxPixels/p.Height:
		return Photo{}, notAPhoto("%d by %d pixels; at most %d million are shown", p.Width, p.Height, maxPixels/1_000_000)
	}
	_, err = clean(p.Type, b)
	return p, err
}

// clean returns a photo without what it says beside its picture: where and when
// it was taken, by which phone, its thumbnail. Which side is up stays.
func clean(kind string, b []byte) ([]byte, error) {
	if kind == typePNG {
		return cleanPNG(b)
	}
	return cleanJPEG(b)
}

// The markers of JPEG that matter here.
const (
	markSOI = 0xD8
	markEOI = 0xD9
	markSOS = 0xDA
	markAPP = 0xE0
	markCOM = 0xFE
)

func cleanJPEG(b []byte) ([]byte, error) {
	if len(b) < 4 || b[0] != 0xFF || b[1] != markSOI {
		return nil, notAPhoto("the JPEG does not begin")
	}
	out := append(make([]byte, 0, len(b)+64), 0xFF, markSOI)
	out = append(out, orientation(b)...)
	for i := 2; ; {
		mark, at, end, err := segment(b, i)
		if err != nil {
			return nil, err
		}
		if mark == markEOI { // what stands behind it is not the picture
			return append(out, 0xFF, markEOI), nil
		}
		if pictorial(mark, b[at:end]) {
			out = append(out, b[at:end]...)
		}
		i = end
		if mark == markSOS {
			i = scanEnd(b, end)
			out = append(out, b[end:i]...)
		}
	}
}

// segment finds the segment at i: its marker, where it begins and where the next
// one does.
func segment(b []byte, i int) (mark byte, at, end int, err error) {
	for i+1 < len(b) && b[i] == 0xFF && b[i+1] == 0xFF {
		i++ // fill bytes
	}
	if i+1 >= len(b) || b[i] != 0xFF {
		return 0, 0, 0, notAPhoto("the JPEG breaks off or has something between its segments, at byte %d", i)
	}
	mark = b[i+1]
	if mark == markEOI || mark == 0x01 || mark >= 0xD0 && mark <= 0xD7 {
		return mark, i, i + 2, nil
	}
	if i+4 > len(b) {
		return 0, 0, 0, notAPhoto("the JPEG breaks off at byte %d", i)
	}
	n := int(binary.BigEndian.Uint16(b[i+2:]))
	if n < 2 || i+2+n > len(b) {
		return 0, 0, 0, notAPhoto("the JPEG breaks off at byte %d", i)
	}
	return mark, i, i + 2 + n, nil
}

// pictorial reports whether a segment is part of the picture. JFIF's and Adobe's
// say how its colours are meant.
func pictorial(mark byte, segment []byte) bool {
	said := segment[min(4, len(segment)):]
	switch mark {
	case markAPP:
		return bytes.HasPrefix(said, []byte("JFIF\x00")) && len(segment) == 18 // a longer one has a thumbnail
	case 0xEE:
		return bytes.HasPrefix(said, []byte("Adobe"))
	}
	return mark < markAPP || mark > 0xEF && mark != markCOM
}

// scanEnd is where the entropy-coded data that begins at i is over.
func scanEnd(b []byte, i int) int {
	for ; i+1 < len(b); i++ {
		if next := b[i+1]; b[i] == 0xFF && next != 0 && (next < 0xD0 || next > 0xD7) {
			return i
		}
	}
	return len(b)
}

// orientation is an Exif segment that says which side is up and nothing else;
// nil where the photo doesn't say.
func orientation(b []byte) []byte {
	for i := 2; ; {
		mark, at, end, err := segment(b, i)
		if err != nil || mark == markSOS || mark == markEOI {
			return nil
		}
		if tiff, found := bytes.CutPrefix(b[min(at+4, end):end], []byte("Exif\x00\x00")); mark == markAPP+1 && found {
			if up := upOf(tiff); up > 1 {
				return []byte{
					0xFF, markAPP + 1, 0, 34, 'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8,
					0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, up, 0, 0, 0, 0, 0, 0,
				}
			}
			return nil
		}
		i = end
	}
}

// upOf reads the tag 0x0112 of the first directory, 0 where it isn't there.
func upOf(tiff []byte) byte {
	var order binary.ByteOrder = binary.BigEndian
	switch {
	case len(tiff) < 8:
		return 0
	case tiff[0] == 'I' && tiff[1] == 'I':
		order = binary.LittleEndian
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return 0
	}
	entries := tiff[at+2:]
	for range min(int(order.Uint16(tiff[at:])), len(entries)/12) {
		if order.Uint16(entries) == 0x0112 && order.Uint16(entries[2:]) == 3 {
			if v := order.Uint16(entries[8:]); v >= 1 && v <= 8 {
				return byte(v)
			}
			return 0
		}
		entries = entries[12:]
	}
	return 0
}

const pngMagic = "\x89PNG\r\n\x1a\n"

// pngPicture are the chunks that make the picture.
var pngPicture = []string{"IHDR", "PLTE", "tRNS", "gAMA", "sRGB", "cHRM", "IDAT", "IEND"}

func cleanPNG(b []byte) ([]byte, error) {
	if !bytes.HasPrefix(b, []byte(pngMagic)) {
		return nil, notAPhoto("the PNG does not begin")
	}
	out := append(make([]byte, 0, len(b)), pngMagic...)
	for i := len(pngMagic); ; {
		if i+12 > len(b) {
			return nil, notAPhoto("the PNG breaks off at byte %d", i)
		}
		n := uint64(binary.BigEndian.Uint32(b[i:]))
		if n > uint64(len(b)-i-12) {
			return nil, notAPhoto("the PNG breaks off at byte %d", i)
		}
		end := i + 12 + int(n)
		name := string(b[i+4 : i+8])
		if slices.Contains(pngPicture, name) {
			out = append(out, b[i:end]...)
		}
		if name == "IEND" {
			return out, nil
		}
		i = end
	}
}
