package web

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheVerifyButtonIsHonest: it says what fits and what that does not show; a
// changed byte is damage and no green page.
func TestTheVerifyButtonIsHonest(t *testing.T) {
	p := newPlant(t)
	story(p)
	form := url.Values{"csrf": {"token-of-vera"}}
	res, body := p.ask("vera", http.MethodPost, "/audit/verify", form)
	if text := visibleText(body); res.StatusCode != http.StatusOK || !strings.Contains(text, "entries fit") || !strings.Contains(text, "No outside witness signs this log") || !strings.Contains(text, "interlock audit verify") {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	p.console.verifying.Lock()
	if res, body := p.ask("anna", http.MethodPost, "/audit/verify", url.Values{"csrf": {"token-of-anna"}}); res.StatusCode != http.StatusServiceUnavailable || strings.Contains(body, "entries fit") {
		t.Errorf("while another one runs: %d", res.StatusCode)
	}
	p.console.verifying.Unlock()
	spoil(t, filepath.Join(p.dir, "audit"), []byte("device.quarantine"))
	_, body = p.ask("vera", http.MethodPost, "/audit/verify", form)
	if text := visibleText(body); !strings.Contains(text, "Damaged") || strings.Contains(body, "verdict tone-ok") {
		t.Errorf("after a byte was changed: %s", text)
	}
}

// spoil changes a byte of the text in a file of the folder.
func spoil(t *testing.T, dir string, text []byte) {
	t.Helper()
	done := false
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || done {
			return err
		}
		b, err := os.ReadFile(path)
		i := bytes.Index(b, text)
		if err != nil || i < 0 {
			return err
		}
		b[i] ^= 1
		done = true
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(b[i:i+1], int64(i)); err != nil {
			return err
		}
		return f.Close()
	})
	if err != nil || !done {
		t.Fatalf("%v, spoiled: %v", err, done)
	}
}

// TestReadingEntriesIsAskedForAndRecorded: looking at the log's state reads no
// names; entries are for security officers, and reading them is an entry.
func TestReadingEntriesIsAskedForAndRecorded(t *testing.T) {
	p := newPlant(t)
	story(p)
	before := p.log.Checkpoint().Size
	p.page("anna", "/audit")
	p.page("vera", "/audit")
	if now := p.log.Checkpoint().Size; now != before {
		t.Errorf("looking at the state made %d entries", now-before)
	}
	body := p.page("anna", "/audit?action=device.quarantine")
	if !strings.Contains(body, "person/anna") || !strings.Contains(body, "device/press-7") {
		t.Errorf("anna finds %s", visibleText(body))
	}
	if now := p.log.Checkpoint().Size; now != before+1 {
		t.Errorf("reading entries made %d entries, want 1", now-before)
	}
	if body := p.page("anna", "/audit?action=nothing.at-all"); !strings.Contains(body, "No entry fits") {
		t.Errorf("a search for nothing: %s", visibleText(body))
	}
	if res, body := p.ask("vera", http.MethodGet, "/audit?action=device.quarantine", nil); res.StatusCode != http.StatusForbidden || strings.Contains(body, "person/anna") {
		t.Errorf("a viewer reads entries: %d", res.StatusCode)
	}
	for _, path := range []string{"/audit?since=yesterday", "/audit/entries/x", "/audit/entries/99999999", "/audit/entry?index=x"} {
		if res, _ := p.ask("anna", http.MethodGet, path, nil); res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	if res, _ := p.ask("vera", http.MethodGet, "/audit/entry?index=3", nil); res.Header.Get("Location") != "/audit/entries/3" {
		t.Errorf("the entry's number leads to %q", res.Header.Get("Location"))
	}
	if body := p.page("vera", "/audit/entries/3"); !strings.Contains(body, "The proof holds.") {
		t.Errorf("without its origin: %s", visibleText(body))
	}
}
