package image

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// Layer is one layer of an image.
type Layer struct {
	// Digest is the blob's, DiffID that of the archive it expands to. In archives
	// that name no blobs they are the same.
	Digest, DiffID string
	MediaType      string
	Size           int64
	// Command is the line of the history that made it.
	Command string

	at      int
	data    blob
	root    *node
	changes changes
}

// FS is the layer by itself: what it brought, also if a later one deleted it.
func (l *Layer) FS() *FS { return &FS{root: l.root, layers: []*Layer{l}, base: l.at} }

func mismatch(what, want, got string) error {
	return core.E(core.KindDamaged, "image.Open", fmt.Sprintf("%s is not what its digest says: %s, and not %s", what, got, want)).
		WithHint("the archive is damaged or was changed; get the image again from where it comes")
}

func sum256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// hasher makes the hash that a digest is of.
func hasher(digest string) (hash.Hash, error) {
	algorithm, digits, _ := strings.Cut(digest, ":")
	for name, make := range map[string]func() hash.Hash{"sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New} {
		raw, err := hex.DecodeString(digits)
		if name == algorithm && err == nil && len(raw) == make().Size() && digits == strings.ToLower(digits) {
			return make(), nil
		}
	}
	return nil, fmt.Errorf("%.100q is no digest", digest)
}

func told(h hash.Hash, like string) string {
	algorithm, _, _ := strings.Cut(like, ":")
	return algorithm + ":" + hex.EncodeToString(h.Sum(nil))
}

// blobOf opens the blob of a descriptor. The digest is checked before it becomes
// a path.
func (img *Image) blobOf(d descriptor) (blob, hash.Hash, error) {
	h, err := hasher(d.Digest)
	if err != nil {
		return blob{}, nil, err
	}
	algorithm, digits, _ := strings.Cut(d.Digest, ":")
	b, err := img.store.open("blobs/" + algorithm + "/" + digits)
	if err != nil {
		return blob{}, nil, err
	}
	if d.Size != 0 && b.size != d.Size {
		return blob{}, nil, mismatch(d.Digest, fmt.Sprintf("%d bytes", d.Size), fmt.Sprintf("%d bytes", b.size))
	}
	return b, h, nil
}

// verified reads a small blob and holds it against its digest.
func (img *Image) verified(d descriptor) ([]byte, error) {
	b, h, err := img.blobOf(d)
	if err != nil {
		return nil, err
	}
	if b.size > img.opts.Limits.Document {
		return nil, tooLarge(fmt.Sprintf("%s has %d bytes", d.Digest, b.size))
	}
	data, err := io.ReadAll(io.TeeReader(b.reader(), h))
	if err != nil {
		return nil, err
	}
	if got := told(h, d.Digest); got != d.Digest {
		return nil, mismatch("blob", d.Digest, got)
	}
	return data, nil
}

// load reads the configuration and lays the layers over each other.
func (img *Image) load(c *candidate) error {
	data, err := img.configuration(c)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &img.config); err != nil {
		return fmt.Errorf("the image's configuration: %w", err)
	}
	img.config.Raw, img.config.Annotations = data, c.annotations
	img.digest, img.names = c.digest, c.names
	count := max(len(c.layers), len(c.files))
	if count > img.opts.Limits.Layers {
		return tooLarge(fmt.Sprintf("%d layers", count))
	}
	if len(img.config.RootFS.DiffIDs) != count {
		return core.E(core.KindDamaged, "image.Open", fmt.Sprintf("the manifest has %d layers, the configuration %d", count, len(img.config.RootFS.DiffIDs)))
	}
	commands := img.config.commands()
	for i, diffID := range img.config.RootFS.DiffIDs {
		l := &Layer{at: i, DiffID: diffID}
		if i < len(commands) {
			l.Command = commands[i]
		}
		if err := img.layer(l, c); err != nil {
			return fmt.Errorf("layer %d: %w", i+1, err)
		}
		img.layers = append(img.layers, l)
		if err := img.lay(l); err != nil {
			return err
		}
	}
	return nil
}

func (img *Image) configuration(c *candidate) ([]byte, error) {
	if c.configFile != "" {
		return img.read(c.configFile) // held against its digest where it was found
	}
	return img.verified(c.config)
}

// commands are the history's that made layers, in their order.
func (c *Config) commands() (all []string) {
	for _, h := range c.History {
		if !h.EmptyLayer {
			all = append(all, h.CreatedBy)
		}
	}
	return all
}

// layer finds a layer's blob, expands it and holds it against both digests.
func (img *Image) layer(l *Layer, c *candidate) error {
	var compressed hash.Hash
	var b blob
	var err error
	if c.files != nil {
		l.Digest = l.DiffID
		b, err = img.store.open(c.files[l.at])
	} else {
		d := c.layers[l.at]
		l.Digest, l.MediaType = d.Digest, d.MediaType
		b, compressed, err = img.blobOf(d)
		if errors.Is(err, fs.ErrNotExist) && len(d.URLs) > 0 {
			img.gap(scanning.ReasonUnsupported, d.Digest, "a layer that the archive leaves to another place: "+strings.Join(d.URLs, " "))
			l.root = newDir("", l.at)
			return nil
		}
	}
	if err != nil {
		return err
	}
	l.Size = b.size
	if strings.Contains(l.MediaType, "encrypted") {
		return core.E(core.KindInvalid, "image.Open", "an encrypted layer").WithHint("decrypt the image first (skopeo copy --decryption-key)")
	}
	return img.check(l, b, compressed)
}

func (img *Image) check(l *Layer, b blob, compressed hash.Hash) error {
	expanded, err := hasher(l.DiffID)
	if err != nil {
		return err
	}
	f, err := compression(b)
	if err != nil {
		return err
	}
	if f == plain {
		l.data = b
		err = img.hash(b, writers(compressed, expanded))
	} else {
		l.data, err = img.expand(b, f, writers(compressed), expanded)
	}
	if err != nil {
		return err
	}
	if compressed != nil && told(compressed, l.Digest) != l.Digest {
		return mismatch("layer", l.Digest, told(compressed, l.Digest))
	}
	if got := told(expanded, l.DiffID); got != l.DiffID {
		return mismatch("what the layer expands to", l.DiffID, got)
	}
	return img.entries(l)
}

// writers joins the hashes that there are.
func writers(all ...hash.Hash) io.Writer {
	var some []io.Writer
	for _, h := range all {
		if h != nil {
			some = append(some, h)
		}
	}
	return io.MultiWriter(some...)
}

// hash reads a blob that needs no expanding, on the same budget.
func (img *Image) hash(b blob, to io.Writer) error {
	_, err := io.Copy(&bounded{to: to, budget: &img.budget, limit: b.size}, b.reader())
	return err
}
