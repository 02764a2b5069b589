package image_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning/image"
	"github.com/interlock-security/interlock/scanning/inventory"
)

func open(t testing.TB, path string, opts image.Options) *image.Image {
	t.Helper()
	img, err := image.OpenWith(context.Background(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := img.Close(); err != nil {
			t.Error(err)
		}
	})
	return img
}

// list shows a tree: files with their text, symlinks with their target.
func list(t testing.TB, tree fs.FS) string {
	t.Helper()
	var b strings.Builder
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
		case d.IsDir():
			fmt.Fprintf(&b, "%s/\n", name)
		case d.Type()&fs.ModeSymlink != 0:
			to, err := fs.ReadLink(tree, name)
			fmt.Fprintf(&b, "%s -> %s\n", name, to)
			return err
		default:
			text, err := fs.ReadFile(tree, name)
			fmt.Fprintf(&b, "%s %s\n", name, text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var three = []layer{
	{entries: []entry{folder("etc"), reg("etc/passwd", "root"), reg("./etc/secret", "s3cret"), reg("opt/a/1", "1"), reg("opt/a/2", "2"), symlink("lib", "usr/lib"), reg("usr/lib/x", "x"), hardlink("etc/same", "etc/passwd")}, how: "gzip"},
	{entries: []entry{reg("etc/.wh.secret", ""), reg("opt/a/3", "3"), reg("opt/a/.wh..wh..opq", ""), reg("lib/y", "y")}, how: "zstd"},
	{entries: []entry{reg("etc/passwd", "changed"), hardlink("etc/again", "usr/lib/x"), device("dev/null", tar.TypeChar), symlink("loop", "loop"), symlink("abs", "/etc/passwd"), symlink("up", "../../../etc/passwd")}},
}

const flat = `abs -> /etc/passwd
etc/
etc/again x
etc/passwd changed
etc/same root
lib -> usr/lib
loop -> loop
opt/
opt/a/
opt/a/3 3
up -> ../../../etc/passwd
usr/
usr/lib/
usr/lib/x x
usr/lib/y y
`

func TestEveryFormIsTheSameImage(t *testing.T) {
	for name, path := range map[string]string{
		"layout":            oci(t, three...).dir(t),
		"layout tarball":    oci(t, three...).tar(t, ""),
		"compressed":        oci(t, three...).tar(t, "gzip"),
		"compressed anew":   oci(t, three...).tar(t, "zstd"),
		"docker save":       docker(t, three...).tar(t, ""),
		"docker save, gzip": docker(t, three...).tar(t, "gzip"),
	} {
		t.Run(name, func(t *testing.T) {
			img := open(t, path, image.Options{})
			if got := list(t, img.FS()); got != flat {
				t.Errorf("got\n%s\nwant\n%s", got, flat)
			}
			if len(img.Gaps()) > 0 || len(img.Layers()) != 3 {
				t.Errorf("%d layers, gaps %v", len(img.Layers()), img.Gaps())
			}
		})
	}
}

func TestTheTreeIsAFileSystem(t *testing.T) {
	img := open(t, oci(t, three...).tar(t, ""), image.Options{})
	if err := fstest.TestFS(noLoop{img.FS()}, "etc/passwd", "usr/lib/x", "opt/a/3"); err != nil {
		t.Error(err)
	}
}

// noLoop hides the symlink that leads to itself, which fstest takes for a fault.
type noLoop struct{ *image.FS }

func (n noLoop) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := n.FS.ReadDir(name)
	var some []fs.DirEntry
	for _, e := range all {
		if e.Name() != "loop" {
			some = append(some, e)
		}
	}
	return some, err
}

func (n noLoop) Open(name string) (fs.File, error) {
	f, err := n.FS.Open(name)
	if d, ok := f.(fs.ReadDirFile); ok && err == nil {
		return &noLoopDir{ReadDirFile: d}, nil
	}
	return f, err
}

type noLoopDir struct{ fs.ReadDirFile }

func (d *noLoopDir) ReadDir(n int) ([]fs.DirEntry, error) {
	for {
		all, err := d.ReadDirFile.ReadDir(n)
		var some []fs.DirEntry
		for _, e := range all {
			if e.Name() != "loop" {
				some = append(some, e)
			}
		}
		if len(some) > 0 || err != nil || n <= 0 {
			return some, err
		}
	}
}

func TestSymlinksStayInTheImage(t *testing.T) {
	tree := open(t, oci(t, three...).tar(t, ""), image.Options{}).FS()
	for _, name := range []string{"abs", "up"} {
		if text, err := fs.ReadFile(tree, name); err != nil || string(text) != "changed" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if _, err := fs.Stat(tree, "loop"); err == nil {
		t.Error("a loop has no end")
	}
}

func TestLayersByThemselves(t *testing.T) {
	img := open(t, oci(t, three...).tar(t, ""), image.Options{})
	layers := img.Layers()
	if text, err := fs.ReadFile(layers[0].FS(), "etc/secret"); err != nil || string(text) != "s3cret" {
		t.Errorf("what a later layer deleted: %q, %v", text, err)
	}
	if got := list(t, layers[2].FS()); got != "abs -> /etc/passwd\netc/\netc/passwd changed\nloop -> loop\nup -> ../../../etc/passwd\n" {
		t.Errorf("third layer:\n%s", got)
	}
	for file, want := range map[string]int{"usr/lib/x": 0, "lib/y": 1, "etc/passwd": 2, "etc/again": 2, "opt/a/3": 1} {
		if got := img.LayerOf(file); got != layers[want].Digest {
			t.Errorf("%s comes from %s, want layer %d", file, got, want+1)
		}
	}
	if layers[1].Command != "RUN step 2" || img.LayerOf("nothing") != "" {
		t.Errorf("layer 2 was made by %q", layers[1].Command)
	}
}

func TestConfiguration(t *testing.T) {
	img := open(t, docker(t, three...).tar(t, ""), image.Options{})
	c := img.Config()
	base, _ := c.Base()
	if c.OS != "linux" || c.Run.Env[0] != "A=b" || base != "debian:12" || len(c.History) != 4 || len(c.Raw) == 0 {
		t.Errorf("%+v", c)
	}
	if img.Names()[0] != "app:1" || img.Digest() != digest(c.Raw) {
		t.Errorf("%v %s", img.Names(), img.Digest())
	}
}

func TestPlatforms(t *testing.T) {
	a := archive{}
	of := func(platform string) object {
		d := a.manifest(t, platform, layer{entries: []entry{reg("arch", platform)}})
		os, arch, _ := strings.Cut(platform, "/")
		d["platform"] = object{"os": os, "architecture": arch}
		return d
	}
	inner := marshal(t, object{"mediaType": typeIndex, "manifests": []object{
		of("linux/arm64"), of("linux/amd64"),
		{"digest": digest([]byte("elsewhere")), "size": 9, "mediaType": typeManifest, "platform": object{"os": "linux", "architecture": "s390x"}},
	}})
	path := a.index(t, a.blob(typeIndex, inner)).tar(t, "")
	for asked, want := range map[string]string{"": "linux/amd64", "linux/arm64": "linux/arm64", "linux/arm64/v8": "linux/arm64"} {
		img := open(t, path, image.Options{Platform: asked})
		text, _ := fs.ReadFile(img.FS(), "arch")
		if string(text) != want {
			t.Errorf("asked for %q, got %s", asked, text)
		}
		if len(img.Gaps()) != 2 {
			t.Errorf("gaps %v", img.Gaps())
		}
	}
	_, err := image.OpenWith(context.Background(), path, image.Options{Platform: "linux/riscv64"})
	if core.KindOf(err) != core.KindNotFound || !strings.Contains(err.Error(), "linux/amd64, linux/arm64") {
		t.Errorf("a platform that is not there: %v", err)
	}
}

func TestAnyChangedByteIsAnError(t *testing.T) {
	good := oci(t, three...)
	for name := range good {
		if !strings.HasPrefix(name, "blobs/") {
			continue
		}
		bad := archive{}
		for n, data := range good {
			bad[n] = data
		}
		changed := bytes.Clone(good[name])
		changed[len(changed)/2] ^= 1
		bad[name] = changed
		if _, err := image.Open(bad.tar(t, "")); err == nil {
			t.Errorf("%s was changed and nobody noticed", name)
		}
	}
	old := docker(t, three...)
	for name := range old {
		if strings.HasSuffix(name, "layer.tar") {
			old[name][600] ^= 1
		}
	}
	if _, err := image.Open(old.tar(t, "")); core.KindOf(err) != core.KindDamaged {
		t.Errorf("docker save with changed layers: %v", err)
	}
}

func TestHostileLayers(t *testing.T) {
	img := open(t, oci(t, layer{entries: []entry{
		reg("../../etc/cron.d/x", "out"), reg("a/../../b", "out"), reg("/abs/ok", "in"), symlink("way", "/../.."), reg("way/over", "in"),
		reg("dup", "1"), reg("dup", "2"), reg("f", "file"), reg("f/under", "now a folder"), hardlink("h1", "h2"), hardlink("h2", "h1"), hardlink("h3", "../../etc/shadow"),
		reg(".wh...", ""), reg(".wh.", ""), reg("bad\xffname", "text"), reg("new\nline", "x"),
	}}).tar(t, ""), image.Options{})
	want := "abs/\nabs/ok in\nbad%FFname text\ndup 2\nf/\nf/under now a folder\nnew\nline x\nover in\nway -> /../..\n"
	if got := list(t, img.FS()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(img.Gaps()) != 5 {
		t.Errorf("gaps %v", img.Gaps())
	}
}

func TestBudgets(t *testing.T) {
	bomb := oci(t, layer{entries: []entry{reg("zeros", strings.Repeat("\x00", 2<<20))}, how: "zstd"}).tar(t, "")
	many := layer{}
	for i := range 2000 {
		many.entries = append(many.entries, reg(fmt.Sprintf("f%d", i), ""))
	}
	deep := layer{entries: []entry{reg(strings.Repeat("d/", 300)+"f", ""), reg(strings.Repeat("e/", 300)+"f", "")}}
	for name, c := range map[string]struct {
		path   string
		change func(*image.Limits)
	}{
		"bytes":    {bomb, func(l *image.Limits) { l.Bytes = 1 << 20 }},
		"ratio":    {bomb, func(l *image.Limits) { l.Ratio, l.Free = 10, 1<<10 }},
		"entries":  {oci(t, many).tar(t, ""), func(l *image.Limits) { l.Entries = 1000 }},
		"folders":  {oci(t, deep).tar(t, ""), func(l *image.Limits) { l.Entries = 500 }},
		"layers":   {oci(t, many, deep).tar(t, ""), func(l *image.Limits) { l.Layers = 1 }},
		"document": {oci(t, many).tar(t, ""), func(l *image.Limits) { l.Document = 10 }},
	} {
		limits := image.Defaults
		c.change(&limits)
		if _, err := image.OpenWith(context.Background(), c.path, image.Options{Limits: limits}); core.KindOf(err) != core.KindTooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNotAnImage(t *testing.T) {
	empty := t.TempDir()
	text := empty + "/text"
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	lost := oci(t, three...)
	delete(lost, blobName(digest(three[2].tar(t))))
	twisted := docker(t, three...)
	twisted["manifest.json"] = []byte(`[{"Config": "../../../../etc/passwd", "Layers": []}]`)
	for name, path := range map[string]string{
		"folder": empty, "text": text, "nothing": empty + "/none", "device": "/dev/null",
		"a layer is missing": lost.tar(t, ""), "index of nothing": archive{}.index(t).tar(t, ""), "outside": twisted.dir(t),
	} {
		if _, err := image.Open(path); err == nil {
			t.Errorf("%s was taken for an image", name)
		}
	}
}

func TestTemporaryFilesGoWithTheImage(t *testing.T) {
	dir := t.TempDir()
	open(t, oci(t, three...).tar(t, "gzip"), image.Options{TempDir: dir})
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("a name is left for others to find: %v, %v", left, err)
	}
}

// Packages of an image say which layer brought them.
func TestInventoryOfAnImage(t *testing.T) {
	img := open(t, oci(t,
		layer{entries: []entry{reg("etc/os-release", "ID=debian\nVERSION_ID=12\n"), reg("var/lib/dpkg/status", "Package: bash\nStatus: install ok installed\nVersion: 5\n")}},
		layer{entries: []entry{reg("app/package-lock.json", `{"lockfileVersion": 3, "packages": {"node_modules/x": {"version": "1.0.0"}}}`)}, how: "gzip"},
	).tar(t, ""), image.Options{})
	packages, gaps, err := inventory.FS(context.Background(), img.FS(), inventory.Options{})
	if err != nil || len(gaps) > 0 || len(packages) != 2 {
		t.Fatalf("%v %v %v", packages, gaps, err)
	}
	where := map[string]string{}
	for _, p := range packages {
		where[p.Name] = p.Layer
	}
	if where["bash"] != img.Layers()[0].Digest || where["x"] != img.Layers()[1].Digest {
		t.Errorf("layers %v", where)
	}
}
