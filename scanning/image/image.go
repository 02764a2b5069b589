package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// Limits bound what an image may demand. Going over one is an error: half an
// image is none.
type Limits struct {
	// Bytes is how much all layers may expand to, Ratio how many times its own
	// size one may, once it is over Free.
	Bytes, Ratio, Free int64
	// Entries is how many files and folders all layers may hold.
	Entries int
	// Layers is how many layers an image may have, Document how large a manifest
	// or configuration may be.
	Layers   int
	Document int64
}

// Defaults fit the largest images in use, with room.
var Defaults = Limits{Bytes: 32 << 30, Ratio: 1100, Free: 64 << 20, Entries: 3_000_000, Layers: 1000, Document: 8 << 20}

// Options say which image of an archive is read, and within which limits.
type Options struct {
	// Platform is "linux/arm64" or "linux/arm/v7"; "" prefers linux/amd64.
	Platform string
	// TempDir is where layers are expanded; "" is the system's.
	TempDir string
	// Limits replace Defaults as a whole, unless zero.
	Limits Limits
}

// Image is one image of an archive. Close it to give its temporary files back.
type Image struct {
	opts    Options
	store   store
	budget  budget
	layers  []*Layer
	root    *node
	config  Config
	digest  string
	names   []string
	gaps    []scanning.Gap
	closers []io.Closer
}

// Open reads an image with the default options.
func Open(path string) (*Image, error) { return OpenWith(context.Background(), path, Options{}) }

// OpenWith reads the image that opts chooses from a folder or an archive, holds
// every digest against its bytes, and lays its layers over each other.
func OpenWith(ctx context.Context, path string, opts Options) (*Image, error) {
	if opts.Limits == (Limits{}) {
		opts.Limits = Defaults
	}
	img := &Image{opts: opts, budget: budget{ctx: ctx, limits: opts.Limits}, root: newDir("", -1)}
	if err := img.open(path); err != nil {
		return nil, errors.Join(describe(path, err), img.Close())
	}
	return img, nil
}

func describe(path string, err error) error {
	const op = "image.Open"
	var already *core.Error
	if errors.As(err, &already) {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	e := core.E(core.KindInvalid, op, fmt.Sprintf("%s: %v", filepath.Base(path), err))
	e.Err = err
	return e.WithHint("write the image anew with docker save, skopeo copy or buildah push to oci-archive:")
}

func (img *Image) open(path string) error {
	s, err := openStore(path, img)
	if err != nil {
		return err
	}
	img.store = s
	m, err := img.choose()
	if err != nil {
		return err
	}
	return img.load(m)
}

// temp is a file without a name: it is gone with its last descriptor, however
// the process ends.
func (img *Image) temp() (*os.File, error) {
	f, err := os.CreateTemp(img.opts.TempDir, "interlock-image-*")
	if err != nil {
		return nil, err
	}
	img.closers = append(img.closers, f)
	return f, os.Remove(f.Name())
}

// Close gives the temporary files back. The image's trees cannot be read after.
func (img *Image) Close() error {
	var all []error
	for _, c := range img.closers {
		all = append(all, c.Close())
	}
	img.closers = nil
	return errors.Join(all...)
}

// Config is the image's configuration.
func (img *Image) Config() Config { return img.config }

// Digest is that of the image's manifest, or of its configuration where the
// archive has no manifest of a registry.
func (img *Image) Digest() string { return img.digest }

// Names are the references that the archive gives the image.
func (img *Image) Names() []string { return img.names }

// Layers are the image's, lowest first.
func (img *Image) Layers() []*Layer { return img.layers }

// Gaps is what of the archive is not in the image's tree, and why.
func (img *Image) Gaps() []scanning.Gap { return img.gaps }

// FS is the image as a container would see it. It also implements
// LayerOf(file) string.
func (img *Image) FS() *FS { return &FS{root: img.root, layers: img.layers} }

// LayerOf is the digest of the layer that brought a file as it is; "" where
// there is none.
func (img *Image) LayerOf(file string) string { return img.FS().LayerOf(file) }

func (img *Image) gap(reason scanning.Reason, what, why string) {
	const most = 1000
	if len(img.gaps) < most {
		img.gaps = append(img.gaps, scanning.Gap{What: what, Why: why, Reason: reason})
	}
}

// budget is what all layers together may still demand.
type budget struct {
	ctx     context.Context //nolint:containedctx // of one opening
	limits  Limits
	bytes   int64
	entries int
}

func tooLarge(msg string) error {
	return core.E(core.KindTooLarge, "image.Open", msg).WithHint("raise the limit if this image is meant to be that large")
}

func (b *budget) spend(n int64) error {
	if b.bytes += n; b.bytes > b.limits.Bytes {
		return tooLarge(fmt.Sprintf("its layers expand to more than %d bytes", b.limits.Bytes))
	}
	return b.ctx.Err()
}

func (b *budget) entry() error {
	if b.entries++; b.entries > b.limits.Entries {
		return tooLarge(fmt.Sprintf("it holds more than %d files", b.limits.Entries))
	}
	return nil
}
