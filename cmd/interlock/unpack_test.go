package main

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
)

func archived(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		h.Mode = 0o777
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// zeros is an archive whose file ends as an archive does, cut behind it.
func zeros(t *testing.T) []byte {
	t.Helper()
	whole := archived(t, tar.Header{Typeflag: tar.TypeReg, Name: "zeros", Size: 4096})
	return bytes.ReplaceAll(whole, []byte("xxxx"), make([]byte, 4))[:512+4096]
}

func file(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 4} }

func TestUnpackWritesFilesForTheOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	n, err := unpack(bytes.NewReader(archived(t, tar.Header{Typeflag: tar.TypeDir, Name: "tile/"}, file("checkpoint"), file("tile/0/000"))), dir)
	if err != nil || n != 2 {
		t.Fatalf("%d files, %v", n, err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "tile", "0", "000"))
	if err != nil || string(b) != "xxxx" {
		t.Errorf("%q, %v", b, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "checkpoint")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	whole := archived(t, file("checkpoint"), file("tile/0/000"))
	for name, row := range map[string]struct {
		archive []byte
		kind    core.Kind
	}{
		"a way out":        {archived(t, file("../evil")), core.KindDenied},
		"an absolute name": {archived(t, file("/tmp/evil")), core.KindDenied},
		"a way around":     {archived(t, file("tile/../../evil")), core.KindDenied},
		"an unclean name":  {archived(t, file("tile//0")), core.KindDenied},
		"a symlink":        {archived(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "tile", Linkname: "/tmp"}), core.KindDenied},
		"a hard link":      {archived(t, tar.Header{Typeflag: tar.TypeLink, Name: "tile", Linkname: "/etc/passwd"}), core.KindDenied},
		"a device":         {archived(t, tar.Header{Typeflag: tar.TypeChar, Name: "null"}), core.KindDenied},
		"a large file":     {archived(t, tar.Header{Typeflag: tar.TypeReg, Name: "big", Size: maxArchived + 1}), core.KindTooLarge},
		"a long name":      {archived(t, file(strings.Repeat("a", maxArchivePath+1))), core.KindDenied},
		"a file twice":     {archived(t, file("checkpoint"), file("checkpoint")), core.KindUnavailable},
		"cut in a file":    {whole[:len(whole)-1300], core.KindUnavailable},
		"cut after a file": {whole[:len(whole)-1024], core.KindUnavailable},
		"cut at its end":   {whole[:len(whole)-512], core.KindUnavailable},
		"zeros at the end": {zeros(t), core.KindUnavailable},
		"more behind it":   {append(bytes.Clone(whole), "junk"...), core.KindUnavailable},
		"no archive":       {bytes.Repeat([]byte("junk"), 300), core.KindUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			_, err := unpack(bytes.NewReader(row.archive), filepath.Join(parent, "out"))
			if err == nil || core.KindOf(err) != row.kind {
				t.Errorf("%v, of kind %s", err, core.KindOf(err))
			}
			if left, _ := os.ReadDir(parent); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestUnpackLeavesAFolderThatIsInUse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := unpack(bytes.NewReader(archived(t, file("checkpoint"))), dir); core.KindOf(err) != core.KindConflict {
		t.Errorf("%v", err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
}
