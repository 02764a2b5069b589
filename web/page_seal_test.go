package web

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/fleet/seal"
)

// picture is a photo of one colour.
func picture(t testing.TB, c color.Color) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 96, 96))
	for i := range 96 * 96 {
		img.Set(i%96, i/96, c)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// send uploads a file as the form of a page does.
func (p *plant) send(who string, photo []byte, fields ...string) (*http.Response, string) {
	p.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for i := 0; i+1 < len(fields); i += 2 {
		p.must(w.WriteField(fields[i], fields[i+1]))
	}
	part, err := w.CreateFormFile("photo", "../../etc/passwd")
	p.must(err)
	_, err = part.Write(photo)
	p.must(err)
	p.must(w.Close())
	r := httptest.NewRequestWithContext(p.t.Context(), http.MethodPost, "http://localhost:7400/photos", &body)
	r.Host = "localhost:7400"
	r.Header.Set("Content-Type", w.FormDataContentType())
	r.Header.Set("Origin", "http://localhost:7400")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.AddCookie(&http.Cookie{Name: Cookie, Value: who})
	rec := httptest.NewRecorder()
	p.console.ServeHTTP(rec, r)
	res := rec.Result()
	answer, err := io.ReadAll(res.Body)
	p.must(err)
	return res, string(answer)
}

// shot uploads a photo and returns the page it leads to and its hash.
func (p *plant) shot(who, next string, c color.Color) (to, hash string) {
	p.t.Helper()
	res, body := p.send(who, picture(p.t, c), "csrf", "token-of-"+who, "next", next)
	u, err := url.Parse(res.Header.Get("Location"))
	if err != nil || res.StatusCode != http.StatusSeeOther {
		p.t.Fatalf("%d %s %s", res.StatusCode, res.Header.Get("Location"), visibleText(body))
	}
	return u.RequestURI(), u.Query().Get("photo")
}

// TestTheRoundOfAnInspector: photo, registration, photo, both beside each other,
// the word; then the seal that was found wrong is replaced.
func TestTheRoundOfAnInspector(t *testing.T) {
	p := newPlant(t)
	p.device(plantPress, false)
	if body := p.page("otto", "/seals"); !strings.Contains(body, "No seal is registered") {
		t.Error(visibleText(body))
	}
	page, first := p.shot("otto", "/seals/new?device=press-7", color.White)
	if body := p.page("otto", page); !strings.Contains(body, `src="/photos/`+first) || !strings.Contains(body, `value="press-7"`) {
		t.Error(visibleText(body))
	}
	to := p.submit("otto", "/seals", "id", "il 17", "device", "press-7", "place", "lid, left", "kind", "tape", "every", "30", "photo", first)
	if to != "/seals/IL17" || !strings.Contains(p.page("otto", "/seals"), `href="/seals/IL17"`) {
		t.Errorf("led to %s", to)
	}
	page, now := p.shot("otto", to, color.Black)
	body := p.page("otto", page)
	if !strings.Contains(body, `src="/photos/`+first) || !strings.Contains(body, `src="/photos/`+now) || !strings.Contains(body, `value="mismatch"`) {
		t.Errorf("nothing to compare: %s", visibleText(body))
	}
	harmless(t, page, body)
	p.submit("otto", "/seals/IL17/inspect", "result", "mismatch", "photo", now, "note", "<script>alert(1)</script>")
	body = p.page("otto", "/seals/IL17")
	harmless(t, "/seals/IL17", body)
	if text := visibleText(body); !strings.Contains(text, "It was found mismatch") || strings.Contains(text, "The same, and whole") {
		t.Error(text)
	}
	page, next := p.shot("otto", "/seals/new?replaces=IL17", color.Gray{100})
	if body := p.page("otto", page); !strings.Contains(visibleText(body), "Why IL17 is replaced") {
		t.Error(visibleText(body))
	}
	p.submit("otto", "/seals", "id", "IL18", "device", "press-7", "place", "lid, left", "kind", "tape", "every", "30", "photo", next, "replaces", "IL17", "reason", "forged")
	if body := p.page("otto", "/seals/IL17"); !strings.Contains(body, `href="/seals/IL18"`) || strings.Contains(body, "Record it as missing") {
		t.Error(visibleText(body))
	}
	p.submit("otto", "/seals/IL18/inspect", "result", "missing", "note", "glue")
	if body := p.page("vera", "/seals/IL18"); !strings.Contains(visibleText(body), "found missing") || strings.Contains(body, `action="/seals/`) {
		t.Error("a viewer sees", visibleText(body))
	}
	p.submit("otto", "/seals/IL18/remove", "reason", "scrapped")
	for _, which := range []string{"", "?which=overdue", "?which=due", "?which=all", "?device=press-7"} {
		harmless(t, which, p.page("otto", "/seals"+which))
	}
}

// TestWhatIsUploaded: a photo and nothing else, from somebody who may, led back to
// this console's own pages.
func TestWhatIsUploaded(t *testing.T) {
	p := newPlant(t)
	p.device(plantPress, false)
	good := picture(t, color.White)
	for name, row := range map[string]struct {
		who   string
		photo []byte
		csrf  string
		next  string
		code  int
	}{
		"a viewer":               {"vera", good, "token-of-vera", "/seals/new", http.StatusForbidden},
		"without the token":      {"otto", good, "", "/seals/new", http.StatusForbidden},
		"markup":                 {"otto", []byte("<svg onload=alert(1)>"), "token-of-otto", "/seals/new", http.StatusBadRequest},
		"nothing":                {"otto", nil, "token-of-otto", "/seals/new", http.StatusRequestEntityTooLarge},
		"too much":               {"otto", make([]byte, seal.MaxPhoto+maxForm+1), "token-of-otto", "/seals/new", http.StatusRequestEntityTooLarge},
		"led to another host":    {"otto", good, "token-of-otto", "https://evil.example/seals/x", http.StatusBadRequest},
		"led to another machine": {"otto", good, "token-of-otto", "//evil.example/seals/x", http.StatusBadRequest},
		"led to another page":    {"otto", good, "token-of-otto", "/devices", http.StatusBadRequest},
	} {
		if res, body := p.send(row.who, row.photo, "csrf", row.csrf, "next", row.next); res.StatusCode != row.code || res.Header.Get("Location") != "" {
			t.Errorf("%s: %d to %q: %s", name, res.StatusCode, res.Header.Get("Location"), visibleText(body))
		}
	}
	_, hash := p.shot("otto", "/seals/new", color.White)
	res, body := p.ask("vera", http.MethodGet, "/photos/"+hash, nil)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "image/png" || res.Header.Get("X-Content-Type-Options") != "nosniff" || len(body) == 0 {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	if res, _ := p.ask("", http.MethodGet, "/photos/"+hash, nil); res.StatusCode == http.StatusOK {
		t.Error("a stranger sees photos")
	}
	if body := p.page("otto", "/seals/new?photo="+url.QueryEscape(`"><script>alert(1)</script>`)); strings.Contains(body, "alert(1)") {
		t.Error("the photo's name is taken as it comes")
	}
}
