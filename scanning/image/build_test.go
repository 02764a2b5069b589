package image_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// entry is a member of a layer's archive.
type entry struct {
	name, text, link string
	kind             byte
	mode             int64
}

func reg(name, text string) entry      { return entry{name: name, text: text, kind: tar.TypeReg} }
func folder(name string) entry         { return entry{name: name + "/", kind: tar.TypeDir} }
func symlink(name, to string) entry    { return entry{name: name, link: to, kind: tar.TypeSymlink} }
func hardlink(name, to string) entry   { return entry{name: name, link: to, kind: tar.TypeLink} }
func device(name string, k byte) entry { return entry{name: name, kind: k} }

// layer is an archive with how it is compressed: "", gzip or zstd.
type layer struct {
	entries []entry
	how     string
	raw     []byte // instead of entries
}

func (l layer) tar(t testing.TB) []byte {
	t.Helper()
	if l.raw != nil {
		return l.raw
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range l.entries {
		mode := e.mode
		if mode == 0 {
			mode = 0o644
		}
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Size: int64(len(e.text)), Mode: mode, ModTime: time.Unix(1700000000, 0)}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func squeeze(t testing.TB, how string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	switch how {
	case "gzip":
		w := gzip.NewWriter(&b)
		_, _ = w.Write(data)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	case "zstd":
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(data)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	default:
		return data
	}
	return b.Bytes()
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func blobName(d string) string { return "blobs/sha256/" + d[len("sha256:"):] }

type object = map[string]any

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// archive is what an image's archive holds, by name.
type archive map[string][]byte

func (a archive) blob(kind string, data []byte) object {
	d := digest(data)
	a[blobName(d)] = data
	return object{"mediaType": kind, "digest": d, "size": len(data)}
}

const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar"
)

func config(t testing.TB, platform string, layers []layer) []byte {
	t.Helper()
	var ids []string
	history := []object{{"created_by": "ENV A=b", "empty_layer": true}}
	for i, l := range layers {
		ids = append(ids, digest(l.tar(t)))
		history = append(history, object{"created_by": "RUN step " + string(rune('1'+i))})
	}
	os, arch, _ := bytes.Cut([]byte(platform), []byte("/"))
	return marshal(t, object{
		"os": string(os), "architecture": string(arch), "created": "2024-01-02T03:04:05Z",
		"config": object{"Env": []string{"A=b"}, "Labels": object{"org.opencontainers.image.base.name": "debian:12"}},
		"rootfs": object{"type": "layers", "diff_ids": ids}, "history": history,
	})
}

// manifest adds an image for a platform and returns its descriptor.
func (a archive) manifest(t testing.TB, platform string, layers ...layer) object {
	t.Helper()
	var list []object
	for _, l := range layers {
		kind := typeLayer
		if l.how != "" {
			kind += "+" + l.how
		}
		list = append(list, a.blob(kind, squeeze(t, l.how, l.tar(t))))
	}
	m := object{"schemaVersion": 2, "mediaType": typeManifest, "config": a.blob(typeConfig, config(t, platform, layers)), "layers": list}
	return a.blob(typeManifest, marshal(t, m))
}

func (a archive) index(t testing.TB, manifests ...object) archive {
	t.Helper()
	a["oci-layout"] = []byte(`{"imageLayoutVersion":"1.0.0"}`)
	a["index.json"] = marshal(t, object{"schemaVersion": 2, "mediaType": typeIndex, "manifests": manifests})
	return a
}

func oci(t testing.TB, layers ...layer) archive {
	t.Helper()
	a := archive{}
	return a.index(t, a.manifest(t, "linux/amd64", layers...))
}

// docker is what docker save wrote before it wrote OCI layouts, too.
func docker(t testing.TB, layers ...layer) archive {
	t.Helper()
	a, c := archive{}, config(t, "linux/amd64", layers)
	name := digest(c)[len("sha256:"):] + ".json"
	a[name] = c
	var files []string
	for _, l := range layers {
		file := digest(l.tar(t))[len("sha256:"):] + "/layer.tar"
		a[file] = l.tar(t)
		files = append(files, file)
	}
	a["manifest.json"] = marshal(t, []object{{"Config": name, "RepoTags": []string{"app:1"}, "Layers": files}})
	return a
}

func (a archive) tar(t testing.TB, how string) string {
	t.Helper()
	var entries []entry
	var names []string
	for name := range a {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		entries = append(entries, reg(name, string(a[name])))
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(file, squeeze(t, how, layer{entries: entries}.tar(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (a archive) dir(t testing.TB) string {
	t.Helper()
	tree := fstest.MapFS{}
	for name, data := range a {
		tree[name] = &fstest.MapFile{Data: data, Mode: 0o600}
	}
	dir := filepath.Join(t.TempDir(), "layout")
	if err := os.CopyFS(dir, tree); err != nil {
		t.Fatal(err)
	}
	return dir
}
