package advisory_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/scanning/advisory"
)

// mirror serves files with ETags and counts what it sent.
type mirror struct {
	*httptest.Server
	files map[string][]byte
	sent  atomic.Int32
	same  atomic.Int32
}

func newMirror(t *testing.T, files map[string][]byte) *mirror {
	m := &mirror{files: files}
	m.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := m.files[r.URL.EscapedPath()]
		switch tag := fmt.Sprintf(`"%x"`, sha256.Sum256(b)); {
		case !ok:
			http.NotFound(w, r)
		case r.Header.Get("If-None-Match") == tag:
			m.same.Add(1)
			w.WriteHeader(http.StatusNotModified)
		default:
			m.sent.Add(1)
			w.Header().Set("ETag", tag)
			_, _ = w.Write(b)
		}
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *mirror) options(at time.Time, ecosystems ...string) advisory.UpdateOptions {
	return advisory.UpdateOptions{
		Options: advisory.Options{Clock: clocktest.New(at)}, Client: m.Client(), Ecosystems: ecosystems,
		OSV: m.URL, KEV: m.URL + "/kev.json", EPSS: m.URL + "/epss_scores-current.csv.gz",
	}
}

func TestUpdateFetchesWhatHasChanged(t *testing.T) {
	m := newMirror(t, map[string][]byte{
		"/npm/all.zip":       zipped(t, map[string][]byte{"GHSA-1.json": marshal(t, leftPad("GHSA-1", "2.0.0", nil))}),
		"/Red%20Hat/all.zip": zipped(t, map[string][]byte{"RHSA-1.json": marshal(t, record("RHSA-1", nil, pkg("Red Hat:enterprise_linux:9::appstream", "bash", span("ECOSYSTEM", "introduced", "0"))))}),
		"/kev.json":          []byte(kev),
	})
	dir := t.TempDir()
	opt := m.options(now, "npm", "Red Hat")
	opt.EPSS = advisory.Skip
	s, err := advisory.Update(context.Background(), dir, opt)
	if err != nil || s.Added != 2 || s.KEV == nil || s.Incomplete() || m.sent.Load() != 3 {
		t.Fatalf("%+v %v", s, err)
	}
	later := now.Add(72 * time.Hour)
	opt = m.options(later)
	opt.EPSS = advisory.Skip
	s, err = advisory.Update(context.Background(), dir, opt)
	if err != nil || s.Read != 0 || m.sent.Load() != 3 || m.same.Load() != 3 {
		t.Errorf("%+v %v, %d sent, %d unchanged", s, err, m.sent.Load(), m.same.Load())
	}
	if e := open(t, dir).Status().Ecosystems["npm"]; !e.AsOf.Equal(later) {
		t.Errorf("what has not changed is as new as the question: %v", e.AsOf)
	}
	m.files["/npm/all.zip"] = zipped(t, map[string][]byte{"GHSA-2.json": marshal(t, leftPad("GHSA-2", "2.0.0", nil))})
	if s, err = advisory.Update(context.Background(), dir, opt); err != nil || s.Added != 1 {
		t.Errorf("%+v %v", s, err)
	}
	if got := found(t, dir); !slices.Equal(got, []string{"GHSA-1", "GHSA-2"}) {
		t.Errorf("%v", got)
	}
}

func TestAFailedFetchIsNamedAndTheOldStays(t *testing.T) {
	good := zipped(t, map[string][]byte{"GHSA-1.json": marshal(t, leftPad("GHSA-1", "2.0.0", nil))})
	m := newMirror(t, map[string][]byte{"/npm/all.zip": good})
	dir := t.TempDir()
	opt := m.options(now, "npm")
	opt.KEV, opt.EPSS = advisory.Skip, advisory.Skip
	if _, err := advisory.Update(context.Background(), dir, opt); err != nil {
		t.Fatal(err)
	}
	torn := slices.Clone(good)
	torn[60] ^= 1
	for name, b := range map[string][]byte{"cut": good[:len(good)/2], "torn": torn, "nothing": {}, "page": []byte("<html>"), "empty": zipped(t, nil)} {
		m.files["/npm/all.zip"] = b
		opt.Clock = clocktest.New(now.Add(time.Hour))
		s, err := advisory.Update(context.Background(), dir, opt)
		if err != nil || len(s.Failed) != 1 || !s.Incomplete() || s.Failed[0].Source != "npm/all.zip" {
			t.Errorf("%s: %+v %v", name, s, err)
		}
		if e := open(t, dir).Status().Ecosystems["npm"]; !e.AsOf.Equal(now) || len(found(t, dir)) != 1 {
			t.Errorf("%s: %+v", name, e)
		}
	}
	delete(m.files, "/npm/all.zip")
	if s, err := advisory.Update(context.Background(), dir, opt); err != nil || len(s.Failed) != 1 || !strings.Contains(s.Failed[0].What, "404") {
		t.Errorf("%+v %v", s, err)
	}
}

func TestUpdateSpeaksOnlyHTTPS(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(kev)) }))
	defer plain.Close()
	m := newMirror(t, nil)
	m.Config.Handler = http.RedirectHandler(plain.URL, http.StatusFound)
	opt := m.options(now, "npm")
	opt.EPSS = plain.URL
	s, err := advisory.Update(context.Background(), t.TempDir(), opt)
	if err != nil || len(s.Failed) != 3 || s.KEV != nil {
		t.Errorf("%+v %v", s, err)
	}
	if _, err := advisory.Update(context.Background(), t.TempDir(), advisory.UpdateOptions{}); err == nil {
		t.Error("an update without a client must not take one")
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := advisory.Update(ctx, t.TempDir(), m.options(now, "npm")); err == nil {
		t.Error("a cancelled update is no success")
	}
}

// TestWhatIsFetched without a database, with one, and for what a project needs.
func TestWhatIsFetched(t *testing.T) {
	m := newMirror(t, map[string][]byte{"/npm/all.zip": zipped(t, map[string][]byte{"GHSA-1.json": marshal(t, leftPad("GHSA-1", "2.0.0", nil))})})
	full := t.TempDir()
	for _, row := range []struct {
		name, dir    string
		named, needs []string
		want         string
	}{
		{"the first time", t.TempDir(), nil, nil, "GitHub Actions, Go, Maven, NuGet, Packagist, PyPI, RubyGems, crates.io, npm"},
		{"the first time for a project", full, nil, []string{"npm", "GitHub Actions"}, "GitHub Actions, npm"},
		{"again", full, nil, nil, "npm"},
		{"again for a project", full, nil, []string{"Go", "npm"}, "Go, npm"},
		{"by name", full, []string{"Go"}, nil, "Go"},
		{"by name and for a project", full, []string{"Go"}, []string{"PyPI"}, "Go, PyPI"},
	} {
		var asked []string
		inner := m.Client().Transport
		opt := m.options(now, row.named...)
		opt.Needs, opt.KEV, opt.EPSS = row.needs, advisory.Skip, advisory.Skip
		opt.Client = &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, strings.Trim(strings.TrimSuffix(r.URL.Path, "all.zip"), "/"))
			return inner.RoundTrip(r)
		})}
		if _, err := advisory.Update(context.Background(), row.dir, opt); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(asked, ", "); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
