package image

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// descriptor names a blob, as OCI and Docker do.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	URLs         []string          `json:"urls"`
	Annotations  map[string]string `json:"annotations"`
	Platform     *platform         `json:"platform"`
	ArtifactType string            `json:"artifactType"`
}

type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
}

func (p platform) String() string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// answers reports whether a platform is the one that was asked for: arm64 is also
// arm64/v8, where only one of them says so.
func (p platform) answers(asked string) bool {
	return p.String() == asked || p.OS+"/"+p.Architecture == asked ||
		p.Architecture == "arm64" && strings.TrimSuffix(asked, "/v8") == p.OS+"/arm64"
}

// document is a manifest or an index; which, the media type or its members say.
type document struct {
	MediaType   string            `json:"mediaType"`
	Manifests   []descriptor      `json:"manifests"`
	Config      *descriptor       `json:"config"`
	Layers      []descriptor      `json:"layers"`
	Annotations map[string]string `json:"annotations"`
}

// saved is an entry of docker save's manifest.json.
type saved struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// candidate is an image that the archive holds.
type candidate struct {
	digest      string
	config      descriptor
	layers      []descriptor
	files       []string // of layers, where the archive names them and not their digests
	configFile  string
	names       []string
	annotations map[string]string
	platform    platform
}

// Config is what an image says of itself.
type Config struct {
	Created      time.Time `json:"created,omitzero"`
	Author       string    `json:"author,omitempty"`
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	Variant      string    `json:"variant,omitempty"`
	Run          Run       `json:"config"`
	RootFS       struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
	History []History `json:"history,omitempty"`
	// Annotations are the manifest's, which also name the base image.
	Annotations map[string]string `json:"-"`
	// Raw is the configuration as it is in the archive, for whoever looks for
	// secrets in it.
	Raw []byte `json:"-"`
}

// Run is how a container of the image is run.
type Run struct {
	User         string              `json:"User,omitempty"`
	Env          []string            `json:"Env,omitempty"`
	Entrypoint   []string            `json:"Entrypoint,omitempty"`
	Cmd          []string            `json:"Cmd,omitempty"`
	WorkingDir   string              `json:"WorkingDir,omitempty"`
	Labels       map[string]string   `json:"Labels,omitempty"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
}

// History is the command that made a layer, or made none.
type History struct {
	Created    time.Time `json:"created,omitzero"`
	CreatedBy  string    `json:"created_by,omitempty"`
	Author     string    `json:"author,omitempty"`
	Comment    string    `json:"comment,omitempty"`
	EmptyLayer bool      `json:"empty_layer,omitempty"`
}

// Base is the image that this one says it was built on, and its digest.
func (c *Config) Base() (name, digest string) {
	for _, from := range []map[string]string{c.Annotations, c.Run.Labels} {
		if n := from["org.opencontainers.image.base.name"]; n != "" {
			return n, from["org.opencontainers.image.base.digest"]
		}
	}
	return "", ""
}

// read gives a small document whole.
func (img *Image) read(name string) ([]byte, error) {
	b, err := img.store.open(name)
	if err != nil {
		return nil, err
	}
	if b.size > img.opts.Limits.Document {
		return nil, tooLarge(fmt.Sprintf("%s has %d bytes", name, b.size))
	}
	return io.ReadAll(b.reader())
}

func (img *Image) decode(name string, v any) error {
	data, err := img.read(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// choose finds the images of the archive and takes one.
func (img *Image) choose() (*candidate, error) {
	all, err := img.candidates()
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("an archive without an image")
	}
	at := slices.IndexFunc(all, func(c *candidate) bool { return c.platform.answers(cmp.Or(img.opts.Platform, "linux/amd64")) })
	if at < 0 {
		if img.opts.Platform != "" {
			return nil, core.E(core.KindNotFound, "image.Open", fmt.Sprintf("no image for %s in the archive, but for %s", img.opts.Platform, platforms(all)))
		}
		at = 0
	}
	for i, c := range all {
		if i != at && c.digest != all[at].digest {
			img.gap(scanning.ReasonUnsupported, what(c), "another image of the same archive; scan it by itself, with --platform "+c.platform.String()+" if it is for another platform")
		}
	}
	return all[at], nil
}

func what(c *candidate) string {
	return strings.TrimSpace(c.platform.String() + " " + strings.Join(c.names, " ") + " " + c.digest)
}

func platforms(all []*candidate) string {
	var names []string
	for _, c := range all {
		names = append(names, c.platform.String())
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

func (img *Image) candidates() ([]*candidate, error) {
	var top document
	err := img.decode("index.json", &top)
	if errors.Is(err, fs.ErrNotExist) {
		return img.docker()
	}
	if err != nil {
		return nil, err
	}
	c := &collector{img: img}
	for _, d := range top.Manifests {
		if err := c.collect(d, nil, 0); err != nil {
			return nil, err
		}
	}
	return c.found, nil
}

// collector walks an index of indexes.
type collector struct {
	img   *Image
	found []*candidate
	seen  int
}

const (
	maxIndexDepth = 5
	maxManifests  = 1000
)

func (c *collector) collect(d descriptor, names []string, depth int) error {
	if c.seen++; c.seen > maxManifests || depth > maxIndexDepth {
		return tooLarge("an index of more manifests than an image has")
	}
	if n := cmp.Or(d.Annotations["io.containerd.image.name"], d.Annotations["org.opencontainers.image.ref.name"]); n != "" {
		names = append(slices.Clone(names), n)
	}
	if d.Annotations["vnd.docker.reference.type"] == "attestation-manifest" {
		return nil // says how the image was made; it has no files
	}
	data, err := c.img.verified(d)
	if errors.Is(err, fs.ErrNotExist) {
		c.img.gap(scanning.ReasonUnreadable, d.Digest, "the index names it, but it is not in the archive")
		return nil
	}
	if err != nil {
		return err
	}
	var doc document
	if err := json.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	if doc.Config == nil {
		for _, m := range doc.Manifests {
			if err := c.collect(m, names, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return c.manifest(d, &doc, names)
}

func (c *collector) manifest(d descriptor, doc *document, names []string) error {
	if t := doc.Config.MediaType; t != "" && !strings.Contains(t, "image.v1+json") && !strings.Contains(t, "image.config.v1+json") {
		c.img.gap(scanning.ReasonUnsupported, d.Digest, "an artifact of type "+t+", which is not an image")
		return nil
	}
	found := &candidate{digest: d.Digest, config: *doc.Config, layers: doc.Layers, names: names, annotations: doc.Annotations}
	if d.Platform != nil {
		found.platform = *d.Platform
	} else {
		data, err := c.img.verified(*doc.Config)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(data, &found.platform); err != nil {
			return fmt.Errorf("configuration %s: %w", doc.Config.Digest, err)
		}
	}
	c.found = append(c.found, found)
	return nil
}

// docker reads manifest.json, in which files are named and not digests.
func (img *Image) docker() ([]*candidate, error) {
	var list []saved
	err := img.decode("manifest.json", &list)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("neither index.json nor manifest.json: not an image")
	}
	if err != nil {
		return nil, err
	}
	var all []*candidate
	for _, s := range list {
		c := &candidate{configFile: s.Config, files: s.Layers, names: s.RepoTags}
		data, err := img.read(s.Config)
		if err != nil {
			return nil, err
		}
		c.digest = "sha256:" + sum256(data)
		if id := strings.TrimSuffix(path.Base(s.Config), ".json"); len(id) == 64 && "sha256:"+id != c.digest {
			return nil, mismatch(s.Config, "sha256:"+id, c.digest)
		}
		if err := json.Unmarshal(data, &c.platform); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Config, err)
		}
		all = append(all, c)
	}
	return all, nil
}
