package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"
)

// mkimage writes an OCI image as a tarball: its first layer holds the first
// file and the others, its second deletes all but the first: "mkimage FILE KEPT
// DELETED...".
func mkimage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: mkimage FILE KEPT DELETED...")
	}
	first, second := map[string][]byte{}, map[string][]byte{}
	for i, name := range args[1:] {
		body, err := os.ReadFile(ts.MkAbs(name))
		ts.Check(err)
		base := filepath.Base(name)
		first["srv/"+base] = body
		if i > 0 {
			second["srv/.wh."+base] = nil
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), ociImage(ts, tarOf(ts, first), tarOf(ts, second)), 0o600))
}

func ociImage(ts *testscript.TestScript, layers ...[]byte) []byte {
	files := map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)}
	put := func(mediaType string, body []byte) map[string]any {
		sum := fmt.Sprintf("%x", sha256.Sum256(body))
		files["blobs/sha256/"+sum] = body
		return map[string]any{"mediaType": mediaType, "digest": "sha256:" + sum, "size": len(body)}
	}
	var blobs []any
	var ids []string
	for _, l := range layers {
		blobs = append(blobs, put("application/vnd.oci.image.layer.v1.tar", l))
		ids = append(ids, fmt.Sprintf("sha256:%x", sha256.Sum256(l)))
	}
	encode := func(v any) []byte {
		b, err := json.Marshal(v)
		ts.Check(err)
		return b
	}
	config := put("application/vnd.oci.image.config.v1+json", encode(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{}, "rootfs": map[string]any{"type": "layers", "diff_ids": ids},
	}))
	manifest := put("application/vnd.oci.image.manifest.v1+json", encode(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": blobs,
	}))
	files["index.json"] = encode(map[string]any{"schemaVersion": 2, "manifests": []any{manifest}})
	return tarOf(ts, files)
}

func tarOf(ts *testscript.TestScript, files map[string][]byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		body := files[name]
		ts.Check(w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(body)), Typeflag: tar.TypeReg}))
		_, err := w.Write(body)
		ts.Check(err)
	}
	ts.Check(w.Close())
	return b.Bytes()
}
