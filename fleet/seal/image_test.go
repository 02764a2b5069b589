package seal

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/interlock-security/interlock/core"
)

func pictureOf(t testing.TB, encode func(*bytes.Buffer, image.Image) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b, image.NewGray(image.Rect(0, 0, 96, 80))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(b *bytes.Buffer, img image.Image) error { return jpeg.Encode(b, img, nil) }

// exif is a segment that says which side is up, and where the phone was.
func exif(up byte, little bool) []byte {
	tiff := []byte{'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, up, 0, 0, 0, 0, 0, 0}
	if little {
		tiff = []byte{'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, up, 0, 0, 0, 0, 0, 0, 0}
	}
	said := append([]byte("Exif\x00\x00"), tiff...)
	said = append(said, "GPS 51.0504 N 13.7373 E"...)
	return append([]byte{0xFF, 0xE1, 0, byte(len(said) + 2)}, said...)
}

func spliced(b []byte, at int, more []byte) []byte {
	return append(append(bytes.Clone(b[:at]), more...), b[at:]...)
}

// TestWhatIsShownHasNoPlace: metadata goes, the picture and which side is up
// stay, in both byte orders.
func TestWhatIsShownHasNoPlace(t *testing.T) {
	plain := pictureOf(t, jpegOf)
	for _, little := range []bool{false, true} {
		photo := append(spliced(plain, 2, append(exif(6, little), 0xFF, 0xFE, 0, 6, 'h', 'o', 'm', 'e')), "a film behind it, GPS"...)
		if _, err := look(photo); err != nil {
			t.Fatal(err)
		}
		shown, err := clean(typeJPEG, photo)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"GPS", "home", "film"} {
			if bytes.Contains(shown, []byte(word)) {
				t.Errorf("%q is still there", word)
			}
		}
		if upOf(shown[12:]) != 6 {
			t.Errorf("the picture lies on its side: % x", shown[:40])
		}
		if _, err := jpeg.Decode(bytes.NewReader(shown)); err != nil {
			t.Error("what is left is no picture:", err)
		}
	}
	if shown, err := clean(typeJPEG, plain); err != nil || bytes.Contains(shown, []byte("Exif")) {
		t.Errorf("a photo that says nothing: %v", err)
	}
	shot := pictureOf(t, func(b *bytes.Buffer, img image.Image) error { return png.Encode(b, img) })
	said := append([]byte{0, 0, 0, 4}, "tEXtGPS!\x00\x00\x00\x00"...)
	shown, err := clean(typePNG, spliced(shot, 8+25, said))
	if err != nil || !bytes.Equal(shown, shot) {
		t.Errorf("a PNG: %v, %d bytes of %d", err, len(shown), len(shot))
	}
}

// TestWhatIsNoPhoto is refused by its header, before anything else reads it.
func TestWhatIsNoPhoto(t *testing.T) {
	whole := pictureOf(t, jpegOf)
	huge := bytes.Clone(whole)
	at := bytes.Index(huge, []byte{0xFF, 0xC0})
	huge[at+5], huge[at+6], huge[at+7], huge[at+8] = 0xFF, 0xFF, 0xFF, 0xFF
	var small bytes.Buffer
	if err := jpeg.Encode(&small, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		b    []byte
		kind core.Kind
	}{
		"nothing":           {nil, core.KindTooLarge},
		"too much":          {make([]byte, MaxPhoto+1), core.KindTooLarge},
		"a GIF":             {[]byte("GIF89a\x50\x00\x50\x00\x00\x00\x00"), core.KindInvalid},
		"markup":            {[]byte("<svg onload=alert(1)>"), core.KindInvalid},
		"cut off":           {whole[:len(whole)/2], core.KindInvalid},
		"65535 squared":     {huge, core.KindInvalid},
		"a thumbnail":       {small.Bytes(), core.KindInvalid},
		"a header and done": {whole[:at+19], core.KindInvalid},
	} {
		if _, err := look(row.b); err == nil || core.KindOf(err) != row.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzPhoto: whatever is handed in, reading it ends, and what is shown of it has
// no metadata left to take away.
func FuzzPhoto(f *testing.F) {
	f.Add(pictureOf(f, jpegOf))
	f.Add(spliced(pictureOf(f, jpegOf), 2, exif(8, true)))
	f.Add(pictureOf(f, func(b *bytes.Buffer, img image.Image) error { return png.Encode(b, img) }))
	f.Add([]byte{0xFF, 0xD8, 0xFF, 0xE1, 0, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := look(b)
		if err != nil {
			return
		}
		once, err := clean(p.Type, b)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := clean(p.Type, once); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("cleaned again: %v, %d bytes, then %d", err, len(once), len(twice))
		}
	})
}
