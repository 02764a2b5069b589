package console

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/test/rig"
)

// photo writes a picture of stripes to a file of the site's.
func (s *story) photo(name string, shade uint8) string {
	s.t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 640, 480))
	for x := range 640 {
		for y := range 480 {
			img.Set(x, y, color.RGBA{shade, uint8(x / 3), uint8(y / 2), 255})
		}
	}
	var b bytes.Buffer
	path := filepath.Join(s.site.Dir, name)
	if err := jpeg.Encode(&b, img, nil); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// shoots hands a photo in through the form of the page and waits for the next
// one.
func (p *tab) shoots(file, next string) {
	p.t.Helper()
	p.do("choose "+file, chromedp.SetUploadFiles(chromedp.CSS("#photo-file"), []string{file}))
	p.click(`main form[action="/photos"] button`)
	p.until("the photo", "document.querySelector("+quote(next)+") && [...document.querySelectorAll('.photo img')].every((i) => i.complete && i.naturalWidth === 640)")
}

// sealed: a round with a phone: a seal is registered with a
// photo, looked at with another one beside it, found wrong; an alert comes.
func (s *story) sealed(t *testing.T) {
	p := s.anna
	p.screen(phone)
	p.open("/seals/new?device=" + pressID)
	p.shoots(s.photo("applied.jpg", 40), "#place")
	p.typeIn("#id", "il-00017")
	p.typeIn("#place", "seam between lid and frame, left")
	p.click(`main form[action="/seals"] button`)
	p.until("the seal", `location.pathname === '/seals/IL-00017'`)
	p.shoots(s.photo("now.jpg", 200), `input[name="result"][value="ok"]`)
	if n := read[int](p, `document.querySelectorAll('.compare .photo img').length`); n != 2 {
		t.Errorf("%d photos stand beside each other", n)
	}
	p.picture("seal-compare", phone)
	p.picture("seal-compare", wide)
	p.screen(phone)
	p.click(`input[name="result"][value="broken"]`)
	p.click(`main form[action$="/inspect"] button.primary`)
	p.until("what was found", `document.querySelector('.notice.tone-bad') && document.body.innerText.includes('found broken')`)
	p.screen(wide)
	rig.Await(t, "the alert of a broken seal", s.site.out.String, func() bool {
		page, err := get[api.Page[api.Alert]](s.site, "/v1/alerts?rule=interlock-seal-violated")
		return err == nil && len(page.Items) == 1 && page.Items[0].Device == pressID
	})
}
