package main

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
	"github.com/interlock-security/interlock/scanning/dependencies"
	"github.com/interlock-security/interlock/scanning/inventory"
	"github.com/interlock-security/interlock/scanning/reach"
	"github.com/interlock-security/interlock/scanning/sbom"
)

// scanned is what a path turned out to be.
type scanned struct {
	target scanning.Target
	// bill is set where the path is an SBOM: its packages are the inventory.
	bill  *sbom.Document
	close func() error
}

// openScan tells a folder from an SBOM.
func openScan(path, name string) (*scanned, error) {
	real, err := realPath(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(real)
	if err != nil {
		return nil, core.Wrap(core.KindNotFound, "scan", err)
	}
	s := &scanned{close: func() error { return nil }}
	s.target = scanning.Target{Scope: scanning.Scope{Kind: scanning.ScopeFolder, Name: cmp.Or(name, nameOf(real))}, Dir: real}
	switch {
	case info.Mode().IsRegular():
		return s, s.readBill(real, name)
	case !info.IsDir(): // to open a pipe or a device can wait for ever
		return nil, core.E(core.KindInvalid, "scan", path+" is neither a file nor a folder")
	}
	root, err := os.OpenRoot(real)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "scan", err)
	}
	s.target.FS, s.close = root.FS(), root.Close
	return s, nil
}

// origin matches the address of a repository's remote in its configuration.
var origin = regexp.MustCompile(`(?m)^\[remote "origin"\]\n(?:[ \t]+[^\n]*\n)*?[ \t]+url *= *(\S+)$`)

// nameOf is under what name a folder is known from scan to scan: where its
// repository comes from, or else how it is called. Pipelines give every
// repository the same folder. No program of the repository is run.
func nameOf(dir string) string {
	path := filepath.Join(dir, ".git", "config")
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return filepath.Base(dir)
	}
	text, err := readLimited(path, 1<<20)
	if m := origin.FindSubmatch(text); err == nil && m != nil {
		return remoteName(string(m[1]))
	}
	return filepath.Base(dir)
}

// remoteName is an address without scheme, user and suffix:
// "git@github.com:acme/shop.git" is "github.com/acme/shop".
func remoteName(address string) string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	} else if host, path, ok := strings.Cut(address, ":"); ok && !strings.Contains(host, "/") {
		address = host + "/" + path
	}
	if user, rest, ok := strings.Cut(address, "@"); ok && !strings.Contains(user, "/") {
		address = rest
	}
	return strings.Trim(strings.TrimSuffix(strings.TrimSuffix(address, "/"), ".git"), "/")
}

func (s *scanned) readBill(path, name string) error {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return core.Wrap(core.KindUnavailable, "scan", err)
	}
	defer func() { _ = f.Close() }()
	if s.bill, err = sbom.Decode(f); err != nil {
		return &core.Error{Kind: core.KindInvalid, Op: "scan", Err: err, Hint: "a folder, an SBOM (CycloneDX, SPDX), or an image's tarball with: interlock scan image"}
	}
	s.target.Dir = ""
	s.target.Scope = scanning.Scope{Kind: scanning.ScopeSBOM, Name: cmp.Or(name, s.bill.Subject.Name, filepath.Base(path)), Revision: s.bill.Subject.Version}
	return nil
}

// report begins a report with what an SBOM says already.
func (s *scanned) report() *scanning.Report {
	r := &scanning.Report{Findings: []scanning.Finding{}}
	if s.bill != nil {
		r.Packages, r.Gaps = s.bill.Packages, s.bill.Gaps
	}
	return r
}

// scanAdvisories is where the advisories are and how old they may be.
type scanAdvisories struct {
	DB     string        `name:"db" help:"Folder of the advisory database." default:"${advisories}" type:"path" placeholder:"DIR" env:"INTERLOCK_ADVISORIES"`
	MaxAge time.Duration `help:"Older advisories make a scan incomplete." default:"168h" placeholder:"DURATION"`
}

// defaultAdvisories is where one user's advisories are.
func defaultAdvisories() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "interlock-advisories"
	}
	return filepath.Join(dir, "interlock", "advisories")
}

// scanner matches packages with the advisories.
func (a scanAdvisories) scanner(path string, skip []string, host bool) *dependencies.Scanner {
	return &dependencies.Scanner{
		Advisories: a.DB, Path: path, MaxAge: cmp.Or(a.MaxAge, advisory.DefaultMaxAge), Version: buildVersion(), Clock: core.SystemClock{},
		Inventory: inventory.Options{Skip: skip, Host: host}, Sources: goSources(),
	}
}

// goSources is where this machine keeps the sources of Go modules, if it does.
// They say whether what is vulnerable is imported; no Go tool is run.
func goSources() reach.SourceOptions {
	home, _ := os.UserHomeDir()
	cache := os.Getenv("GOMODCACHE")
	if cache == "" {
		cache = filepath.Join(cmp.Or(os.Getenv("GOPATH"), filepath.Join(home, "go")), "pkg", "mod")
	}
	return reach.SourceOptions{ModCache: folderFS(cache), GOROOT: folderFS(filepath.Join(cmp.Or(os.Getenv("GOROOT"), "/usr/local/go"), "src"))}
}

func folderFS(dir string) fs.FS {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil
	}
	return os.DirFS(dir)
}
