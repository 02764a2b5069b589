package advisory

import (
	"archive/zip"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

// Where the public data is.
const (
	OSVBase = "https://osv-vulnerabilities.storage.googleapis.com"
	KEVURL  = "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"
	EPSSURL = "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz"
)

// DefaultEcosystems are what the first update fetches when nothing is named: what
// most repositories are made of.
var DefaultEcosystems = []string{"Go", "npm", "PyPI", "Maven", "crates.io", "NuGet", "RubyGems", "Packagist", "GitHub Actions"}

// Getting says how to get the advisories that a scan of a path needs, with a
// command that a shell takes as it stands.
func Getting(path string) string {
	if strings.ContainsFunc(path, func(r rune) bool { return !strings.ContainsRune(plain, r) }) {
		path = "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return "get one with: interlock scan db update --for " + path + ", or without network: interlock scan db import FILE"
}

// plain is what means nothing to a shell.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+.,:@%/="

// Skip, as a URL, leaves a list out.
const Skip = "-"

// maxDownload bounds one file. npm's, the largest, is a tenth of it.
const maxDownload = 4 << 30

// UpdateOptions say what to fetch.
type UpdateOptions struct {
	Options
	// Client fetches; it must be set, since who may speak to the network is the
	// caller's to say.
	Client *http.Client
	// Ecosystems are OSV's names without release; none means those that the
	// database has.
	Ecosystems []string
	// Needs are fetched beside them. Where there is nothing at all to fetch, it is
	// [DefaultEcosystems].
	Needs []string
	// OSV, KEV and EPSS replace [OSVBase], [KEVURL] and [EPSSURL]; Skip leaves
	// KEV or EPSS out. They must be https.
	OSV, KEV, EPSS string
}

// fetched is what is remembered of a URL.
type fetched struct {
	ETag string    `json:"etag"`
	At   time.Time `json:"at"`
}

// Update fetches what has changed since the last time and imports it. A source
// that can't be fetched is named in Summary.Failed, and the advisories of it
// that are there stay as old as they are.
func Update(ctx context.Context, dir string, opt UpdateOptions) (Summary, error) {
	if opt.Client == nil {
		return Summary{}, core.E(core.KindInvalid, "advisory.Update", "has no client to fetch with")
	}
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return Summary{}, core.Wrap(core.KindUnavailable, "advisory.Update", err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return Summary{}, err
	}
	defer unlock()
	u := &updater{ctx: ctx, dir: dir, opt: opt, state: readState(dir)}
	defer u.clear()
	if err := u.fetchAll(); err != nil {
		return Summary{}, err
	}
	return u.apply()
}

type updater struct {
	ctx    context.Context
	dir    string
	opt    UpdateOptions
	state  map[string]fetched
	files  []origin
	failed []Problem
	temp   []string
}

func (u *updater) clear() {
	for _, f := range u.temp {
		_ = os.Remove(f)
	}
}

// readState forgets what it can't read: then everything is fetched again.
func readState(dir string) map[string]fetched {
	state := map[string]fetched{}
	b, err := os.ReadFile(filepath.Join(dir, fileState))
	if err != nil || json.Unmarshal(b, &state) != nil {
		return map[string]fetched{}
	}
	return state
}

// names are the ecosystems that are fetched.
func (u *updater) names() ([]string, error) {
	names := slices.Clone(u.opt.Ecosystems)
	if db, err := Open(u.dir); err == nil {
		if len(names) == 0 {
			names = db.whole()
		}
		_ = db.Close()
	} else {
		u.state = map[string]fetched{} // without a database nothing is unchanged
		if kindOf(err) != core.KindNotFound {
			return nil, err
		}
	}
	if names = append(names, u.opt.Needs...); len(names) == 0 {
		names = slices.Clone(DefaultEcosystems)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (u *updater) fetchAll() error {
	names, err := u.names()
	if err != nil {
		return err
	}
	base := strings.TrimSuffix(cmp.Or(u.opt.OSV, OSVBase), "/")
	for _, name := range names {
		if err := u.fetch(base+"/"+url.PathEscape(name)+"/all.zip", name+"/all.zip", name); err != nil {
			return err
		}
	}
	for _, list := range [][2]string{
		{cmp.Or(u.opt.KEV, KEVURL), "known_exploited_vulnerabilities.json"},
		{cmp.Or(u.opt.EPSS, EPSSURL), "epss_scores-current.csv.gz"},
	} {
		if list[0] == Skip {
			continue
		}
		if err := u.fetch(list[0], list[1], ""); err != nil {
			return err
		}
	}
	return nil
}

// fetch gets one file. Only a cancelled context is an error; everything else is
// a source that failed.
func (u *updater) fetch(from, label, ecosystem string) error {
	path, tag, err := u.get(from, label)
	if u.ctx.Err() != nil {
		return core.Wrap(core.KindUnavailable, "advisory.Update", u.ctx.Err())
	}
	if err != nil {
		u.failed = append(u.failed, Problem{Source: label, What: from + ": " + reason(err)})
		return nil
	}
	now := u.opt.now()
	u.state[from] = fetched{tag, now}
	u.files = append(u.files, origin{path: path, label: label, ecosystem: ecosystem, asOf: now})
	return nil
}

// get downloads a URL into a temporary file and checks it; the path is empty if
// it has not changed.
func (u *updater) get(from, label string) (path, tag string, err error) {
	if !strings.HasPrefix(from, "https://") {
		return "", "", errors.New("is not https")
	}
	req, err := http.NewRequestWithContext(u.ctx, http.MethodGet, from, nil)
	if err != nil {
		return "", "", err
	}
	if old := u.state[from].ETag; old != "" {
		req.Header.Set("If-None-Match", old)
	}
	resp, err := u.opt.Client.Do(req)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.Request.URL.Scheme != "https":
		return "", "", errors.New("was redirected to what is not https")
	case resp.StatusCode == http.StatusNotModified && u.state[from].ETag != "":
		return "", u.state[from].ETag, nil
	case resp.StatusCode != http.StatusOK:
		return "", "", fmt.Errorf("the server said %s", resp.Status)
	}
	path, err = u.save(resp, label)
	return path, resp.Header.Get("ETag"), err
}

// save writes a body to disk and refuses one that is too long, cut off, or no
// whole zip.
func (u *updater) save(resp *http.Response, label string) (string, error) {
	dir, err := os.MkdirTemp(u.dir, ".fetch-*")
	if err != nil {
		return "", err
	}
	u.temp = append(u.temp, filepath.Join(dir, filepath.Base(label)), dir)
	f, err := os.OpenFile(filepath.Join(dir, filepath.Base(label)), os.O_CREATE|os.O_RDWR|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	n, err := io.Copy(f, io.LimitReader(resp.Body, maxDownload+1))
	switch {
	case err != nil:
	case n > maxDownload:
		err = fmt.Errorf("is longer than %d bytes", int64(maxDownload))
	case resp.ContentLength >= 0 && n != resp.ContentLength:
		err = fmt.Errorf("ended after %d of %d bytes", n, resp.ContentLength)
	case strings.HasSuffix(label, ".zip"):
		err = wholeZip(f, n)
	}
	return f.Name(), errors.Join(err, f.Close())
}

// wholeZip reads every member to its checksum.
func wholeZip(f io.ReaderAt, size int64) error {
	z, err := zip.NewReader(f, size)
	if err != nil {
		return fmt.Errorf("is no whole zip: %w", err)
	}
	if len(z.File) == 0 || len(z.File) > maxFiles {
		return fmt.Errorf("is a zip of %d files", len(z.File))
	}
	var expanded int64
	for _, m := range z.File {
		r, err := m.Open()
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, io.LimitReader(r, maxAdvisory+1))
		if err = errors.Join(err, r.Close()); err != nil {
			return fmt.Errorf("%.100q: %w", m.Name, err)
		}
		if expanded += n; expanded > maxExpanded {
			return fmt.Errorf("expands to more than %d bytes", int64(maxExpanded))
		}
	}
	return nil
}

// apply imports what was fetched and then remembers it.
func (u *updater) apply() (Summary, error) {
	im, err := newImporter(u.ctx, u.dir, u.opt.Options)
	if err != nil {
		return Summary{}, core.Wrap(core.KindUnavailable, "advisory.Update", err)
	}
	if len(u.files) > 0 {
		err = im.run(u.files)
	}
	if err = errors.Join(err, im.spool.close()); err != nil {
		return Summary{}, core.Wrap(kindOf(err), "advisory.Update", err)
	}
	im.summary.Failed = u.failed
	b, err := json.Marshal(u.state)
	if err == nil {
		err = atomicfile.WriteFile(filepath.Join(u.dir, fileState), b, 0o600)
	}
	return im.summary, core.Wrap(core.KindUnavailable, "advisory.Update", err)
}
