package api_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/audit/verify"
	"github.com/interlock-security/interlock/core"
)

// fill puts n entries into the log.
func (r *rig) fill(n int) {
	r.t.Helper()
	for i := range n {
		_, err := r.log.Append(r.t.Context(), audit.Entry{
			Type: audit.TypeFact, Actor: "service/test", Action: "test.done", Object: fmt.Sprintf("test/%d", i), Outcome: "done",
			Class: audit.ClassSecurity, Body: map[string]int{"n": i},
		})
		r.must(err)
	}
}

// unpack writes a tar into a folder. A name that leaves it fails the test.
func unpack(t *testing.T, b []byte) string {
	t.Helper()
	dir := t.TempDir()
	for in := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		if !filepath.IsLocal(h.Name) {
			t.Fatalf("the export holds %q", h.Name)
		}
		path := filepath.Join(dir, h.Name)
		if h.FileInfo().IsDir() {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheExportVerifies offline, under the key that the trust root names, and
// one flipped bit in it does not.
func TestTheExportVerifies(t *testing.T) {
	r := newRig(t)
	r.fill(300) // more than one tile of the lowest level
	t.Setenv("TMPDIR", t.TempDir())
	code, b := r.ask("anna", "GET", "/v1/audit/export", "")
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, b)
	}
	dir := unpack(t, b)
	report, err := verify.Export(dir, r.vkey)
	if err != nil {
		t.Fatal(err)
	}
	if report.Size < 301 || report.Origin != origin {
		t.Errorf("%+v", report)
	}
	if found := pageOf[api.AuditEntry](r, "/v1/audit/entries?action=audit.export"); len(found) != 1 || found[0].Actor != "person/anna" {
		t.Errorf("the export is not in the log: %+v", found)
	}
	entries := filepath.Join(dir, "tile", "entries", "000")
	bundle, err := os.ReadFile(entries)
	r.must(err)
	bundle[len(bundle)/2] ^= 1
	r.must(os.WriteFile(entries, bundle, 0o600))
	if _, err := verify.Export(dir, r.vkey); core.KindOf(err) != core.KindDamaged {
		t.Errorf("a flipped bit: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "interlock-export-*")); err != nil || len(left) != 0 {
		t.Errorf("the export left %v", left)
	}
}

// TestEveryProofVerifies with nothing but the file and the public key.
func TestEveryProofVerifies(t *testing.T) {
	r := newRig(t)
	r.fill(20)
	state := get[api.LogState](r, "/v1/audit/state")
	if state.Mode != "normal" || state.Origin != origin || state.Size < 20 {
		t.Errorf("%+v", state)
	}
	for index := range state.Size {
		code, b := r.ask("vera", "GET", fmt.Sprintf("/v1/audit/proofs/%d?origin=%s", index, origin), "")
		if code != http.StatusOK {
			t.Fatalf("proof %d: %d %s", index, code, b)
		}
		proven, err := verify.Proof(b, r.vkey)
		if err != nil || proven.Position.Index != index {
			t.Fatalf("proof %d: %+v, %v", index, proven, err)
		}
	}
	r.refused("vera", "GET", fmt.Sprintf("/v1/audit/proofs/%d", state.Size+100), "", core.KindNotFound)
	r.refused("vera", "GET", "/v1/audit/proofs/0?origin=elsewhere", "", core.KindNotFound)
}

// TestSearchingTheLog by each of its filters, and the search is itself recorded.
func TestSearchingTheLog(t *testing.T) {
	r := newRig(t)
	r.fill(5)
	since := time.Now().Add(-time.Hour).Format(time.RFC3339)
	for query, want := range map[string]int{
		"object=test/3":                   1,
		"action=test.done":                5,
		"action=test.done&limit=2":        2,
		"actor=service/test&outcome=done": 5,
		"action=test.done&since=" + since: 5,
		"action=test.done&until=" + since: 0,
		"actor=nobody":                    0,
	} {
		if got := pageOf[api.AuditEntry](r, "/v1/audit/entries?"+strings.ReplaceAll(query, "+", "%2B")); len(got) != want {
			t.Errorf("%s: %d entries, want %d", query, len(got), want)
		}
	}
	one := pageOf[api.AuditEntry](r, "/v1/audit/entries?object=test/3")[0]
	var body struct{ N int }
	if json.Unmarshal(one.Body, &body) != nil || body.N != 3 || one.Origin != origin || one.Type != "fact" {
		t.Errorf("%+v", one)
	}
	if found := pageOf[api.AuditEntry](r, "/v1/audit/entries?action=audit.read"); len(found) < 8 {
		t.Errorf("%d searches are in the log", len(found))
	}
	if v := send[api.Verified](r, "POST", "/v1/audit/verify", ""); !v.OK || v.Problem != "" {
		t.Errorf("%+v", v)
	}
}
