package main

import (
	"cmp"
	"context"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
	"github.com/interlock-security/interlock/scanning/image"
	"github.com/interlock-security/interlock/scanning/inventory"
)

type scanDBUpdateCmd struct {
	scanAdvisories
	Names      []string `arg:"" optional:"" name:"name" help:"OSV's names: npm, PyPI, Go, Maven, crates.io, Debian ... Without any, those that the database has, or the first time the usual ones." placeholder:"NAME"`
	Ecosystems []string `name:"ecosystem" help:"A name, as above. Repeatable." sep:"none" placeholder:"NAME"`
	For        string   `help:"Fetch what the packages of this folder, SBOM or image need, too." type:"path" placeholder:"PATH"`
	OSV        string   `name:"osv" help:"Where OSV's archives are." placeholder:"URL"`
	KEV        string   `name:"kev" help:"Where CISA's list is; - for none." placeholder:"URL"`
	EPSS       string   `name:"epss" help:"Where the EPSS scores are; - for none." placeholder:"URL"`
}

// Help implements kong's long help.
func (scanDBUpdateCmd) Help() string {
	return `The only scanning verb that speaks to the network. It sends nothing but the names of ecosystems.

--for takes an inventory, as the scan does, and fetches what its packages need: after it, a scan of the same path has its advisories.
Nothing of the path leaves this machine. With no names, no --for and no database yet, these are fetched:
` + strings.Join(advisory.DefaultEcosystems, ", ") + `.

Example:
  interlock scan db update --for .
  interlock scan db update
  interlock scan db update Go npm Debian "GitHub Actions"`
}

// Run fetches.
func (c *scanDBUpdateCmd) Run(e *env) error {
	bar := drawScan(e)
	defer bar.finish()
	opt := advisory.UpdateOptions{
		Options: advisory.Options{Progress: barOf(bar)}, Client: &http.Client{Timeout: time.Hour},
		Ecosystems: slices.Concat(c.Names, c.Ecosystems), OSV: c.OSV, KEV: c.KEV, EPSS: c.EPSS,
	}
	if c.For != "" {
		var err error
		if opt.Needs, err = needs(e.ctx, c.For, bar); err != nil {
			return err
		}
		if len(opt.Needs) == 0 && len(opt.Ecosystems) == 0 {
			return core.E(core.KindInvalid, "scan db", c.For+" has no packages of which OSV has advisories").WithHint("name ecosystems, for example: interlock scan db update Go npm")
		}
	}
	s, err := advisory.Update(e.ctx, c.DB, opt)
	bar.finish()
	return tellImport(e, &s, err)
}

// needs are the ecosystems of the packages at a path that can be fetched. What
// can't be read there is the scan's to say.
func needs(ctx context.Context, path string, bar *scanBar) ([]string, error) {
	packages, err := packagesAt(ctx, path, inventory.Options{
		Host: path == "/", Progress: func(files int64, at string) { bar.report(files, 0, at) },
	})
	names := make([]string, len(packages))
	for i := range packages {
		names[i] = packages[i].Ecosystem
	}
	return advisory.Fetchable(names), err
}

// packagesAt takes the inventory of a folder, an SBOM or an image.
func packagesAt(ctx context.Context, path string, opt inventory.Options) ([]scanning.Package, error) {
	s, err := openScan(path, "")
	if err == nil {
		defer func() { _ = s.close() }()
		if s.bill != nil {
			return s.bill.Packages, nil
		}
		if _, err := fs.Stat(s.target.FS, "oci-layout"); err != nil {
			return inventoryOf(ctx, s.target.FS, opt)
		}
	} else if info, e := os.Stat(filepath.Clean(path)); e != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	img, imageErr := image.OpenWith(ctx, path, image.Options{})
	if imageErr != nil {
		return nil, cmp.Or(err, imageErr)
	}
	defer func() { _ = img.Close() }()
	return inventoryOf(ctx, img.FS(), opt)
}

func inventoryOf(ctx context.Context, fsys fs.FS, opt inventory.Options) ([]scanning.Package, error) {
	packages, _, err := inventory.FS(ctx, fsys, opt)
	return packages, err
}
