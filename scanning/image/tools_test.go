package image_test

import (
	"bytes"
	"context"
	"io/fs"
	"testing"

	"github.com/interlock-security/interlock/scanning/image"
	"github.com/interlock-security/interlock/scanning/inventory"
)

// Archives that other tools made: see testdata/README.md.
func TestArchivesOfOtherTools(t *testing.T) {
	for _, path := range []string{"testdata/skopeo-oci.tar", "testdata/skopeo-docker.tar.gz"} {
		img := open(t, path, image.Options{})
		layers := img.Layers()
		if len(layers) != 2 || layers[1].Command != "RUN apt-get install curl && npm ci" || len(img.Gaps()) > 0 {
			t.Fatalf("%s: %d layers, gaps %v", path, len(layers), img.Gaps())
		}
		if _, err := fs.Stat(img.FS(), "opt/credentials"); err == nil {
			t.Errorf("%s: a deleted file is still there", path)
		}
		if text, err := fs.ReadFile(layers[0].FS(), "opt/credentials"); err != nil || !bytes.HasPrefix(text, []byte("token=")) {
			t.Errorf("%s: what was deleted cannot be read in its layer: %v", path, err)
		}
		packages, gaps, err := inventory.FS(context.Background(), img.FS(), inventory.Options{})
		if err != nil || len(gaps) > 0 || len(packages) != 82 {
			t.Fatalf("%s: %d packages, %v, %v", path, len(packages), gaps, err)
		}
		from := map[string]string{}
		for _, p := range packages {
			from[p.Ecosystem+" "+p.Name] = p.Layer
		}
		for name, layer := range map[string]int{"Debian:12 libssl3": 0, "Debian:12 bash": 0, "Debian:12 curl": 1, "npm express": 1} {
			if from[name] != layers[layer].Digest {
				t.Errorf("%s: %s comes from %s, want layer %d", path, name, from[name], layer+1)
			}
		}
	}
}

// fuzzed is an image whose layer's bytes are given.
func fuzzed(t testing.TB, raw []byte) string {
	t.Helper()
	return oci(t, layer{raw: raw}, three[1]).tar(t, "")
}

func FuzzLayer(f *testing.F) {
	for _, l := range three {
		f.Add(l.tar(f))
	}
	f.Add(layer{entries: []entry{symlink("a", "b"), reg("a/c", "x"), hardlink("d", "a/c"), symlink("b", "a"), reg("b", "y")}}.tar(f))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) == 0 {
			return
		}
		img, err := image.OpenWith(context.Background(), fuzzed(t, raw), image.Options{Limits: small})
		if err != nil {
			return
		}
		defer img.Close()
		list(t, img.FS())
		for _, l := range img.Layers() {
			list(t, l.FS())
		}
	})
}

var small = image.Limits{Bytes: 1 << 22, Ratio: 100, Free: 1 << 20, Entries: 10_000, Layers: 10, Document: 1 << 20}

func FuzzManifest(f *testing.F) {
	good := oci(f, three...)
	f.Add(good["index.json"], []byte(nil))
	f.Add([]byte(nil), docker(f, three...)["manifest.json"])
	f.Fuzz(func(t *testing.T, index, manifest []byte) {
		a := archive{"index.json": index, "manifest.json": manifest}
		for name, data := range good {
			if name != "index.json" {
				a[name] = data
			}
		}
		if index == nil {
			delete(a, "index.json")
		}
		if img, err := image.OpenWith(context.Background(), a.tar(t, ""), image.Options{Limits: small}); err == nil {
			_ = img.Close()
		}
	})
}
