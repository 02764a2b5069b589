package main

import (
	"cmp"
	"path/filepath"
	"time"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/image"
	"github.com/interlock-security/interlock/scanning/sbom"
	"github.com/interlock-security/interlock/scanning/secretscan"
)

type scanImageCmd struct {
	scanOutput
	scanAdvisories
	Path     string `arg:"" help:"An OCI layout (folder or tarball), or what docker save wrote." placeholder:"TARBALL"`
	Platform string `help:"Which image of several: linux/arm64, linux/arm/v7." placeholder:"OS/ARCH"`
	Name     string `help:"What the report calls it; without it, the image's own name." placeholder:"NAME"`
	SBOM     string `name:"sbom" help:"Write the bill of materials to this file too, as CycloneDX." type:"path" placeholder:"FILE"`
}

// Help implements kong's long help.
func (scanImageCmd) Help() string {
	return `Reads an image without an engine: every digest is checked, nothing is unpacked or run. Packages are those of the finished image, each with
the layer that brought it; secrets are looked for in every layer, also where a later one deletes the file, and in the configuration.

Exit code 0 when nothing was found, 1 with findings, 2 when something was not scanned or a digest does not hold.

Example:
  skopeo copy docker://registry.example/app oci-archive:app.tar && interlock scan image app.tar
  docker save app | gzip > app.tar.gz && interlock scan image app.tar.gz`
}

// Run scans.
func (c *scanImageCmd) Run(e *env) error {
	path, err := realPath(c.Path)
	if err != nil {
		return err
	}
	img, err := image.OpenWith(e.ctx, path, image.Options{Platform: c.Platform})
	if err != nil {
		return err
	}
	defer func() { _ = img.Close() }()
	target := scanning.Target{Scope: c.scope(img), Dir: path, FS: img.FS()}
	deps := &scanning.Report{Findings: []scanning.Finding{}, Gaps: img.Gaps()}
	if err := runScan(e, c.scanner(c.Path, nil, true), target, deps); err != nil {
		return err
	}
	secrets, err := c.secrets(e, target)
	if err != nil {
		return err
	}
	if err := c.bill(target, img, deps); err != nil {
		return err
	}
	return c.deliver(e, deps, secrets)
}

func (c *scanImageCmd) scope(img *image.Image) scanning.Scope {
	name := cmp.Or(c.Name, filepath.Base(c.Path))
	if names := img.Names(); c.Name == "" && len(names) > 0 {
		name = names[0]
	}
	return scanning.Scope{Kind: scanning.ScopeImage, Name: name, Revision: img.Digest()}
}

// secrets looks into the archive, so that deleted files are seen.
func (c *scanImageCmd) secrets(e *env, target scanning.Target) (*scanning.Report, error) {
	target.FS = nil
	return scanForSecrets(e, secretscan.Options{Version: buildVersion(), MaxSize: 1 << 30}, target)
}

func (c *scanImageCmd) bill(target scanning.Target, img *image.Image, deps *scanning.Report) error {
	if c.SBOM == "" {
		return nil
	}
	return writeBill(c.SBOM, &sbom.Document{
		Subject: sbom.Subject{Kind: target.Scope.Kind, Name: target.Scope.Name, Digest: img.Digest()}, Created: time.Now(),
		Packages: deps.Packages, Gaps: deps.Gaps, Tools: []sbom.Tool{{Name: "interlock", Version: buildVersion()}},
	})
}
