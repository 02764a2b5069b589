package advisory

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/interlock-security/interlock/core"
)

// The limits of a source.
const (
	maxFiles     = 5_000_000
	maxExpanded  = 64 << 30 // bytes of an archive's files together
	maxRatio     = 300      // of one file in an archive, beyond a megabyte
	maxFeedBytes = 1 << 30
)

// read takes a source by what it is.
func (im *importer) read(source string) error {
	info, err := os.Stat(source)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return im.folder(source)
	case !info.Mode().IsRegular():
		return core.E(core.KindInvalid, "advisory.Import", "is no regular file")
	}
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	return errors.Join(im.stream(f, info.Size(), strings.ToLower(path.Base(source))), f.Close())
}

// stream takes a file by its name.
func (im *importer) stream(f *os.File, size int64, name string) error {
	switch {
	case strings.HasSuffix(name, bundleSuffix):
		return im.bundle(f, size)
	case strings.HasSuffix(name, ".zip"):
		return im.zip(f, size)
	case strings.HasSuffix(name, ".tar.gz"), strings.HasSuffix(name, ".tgz"):
		return im.tar(f)
	case strings.HasSuffix(name, ".csv.gz"):
		z, err := gzip.NewReader(f)
		if err != nil {
			return err
		}
		return im.scores(z)
	case strings.HasSuffix(name, ".csv"):
		return im.scores(f)
	case strings.HasSuffix(name, ".ndjson"), strings.HasSuffix(name, ".jsonl"):
		return im.lines(f)
	case kindOfFile(name) == "":
		return core.E(core.KindInvalid, "advisory.Import", "is nothing that advisories come in").
			WithHint("name a zip, tar.gz, json, ndjson, yaml or md file, or a folder of them")
	}
	return im.single(f, size, name)
}

// kindOfFile is what a file in a folder or an archive is by its name, "" for
// what has nothing to do with advisories.
func kindOfFile(name string) string {
	switch ext := strings.ToLower(path.Ext(name)); ext {
	case ".json", ".md", ".yaml", ".yml":
		return ext
	}
	return ""
}

func (im *importer) single(f *os.File, size int64, name string) error {
	r := bufio.NewReader(f)
	if first, err := firstByte(r); err == nil && first == '[' {
		return im.array(r)
	}
	if size > maxAdvisory {
		return core.E(core.KindTooLarge, "advisory.Import", fmt.Sprintf("is %d bytes long, and the limit of one advisory is %d", size, maxAdvisory))
	}
	data, err := io.ReadAll(io.LimitReader(r, maxAdvisory+1))
	if err != nil {
		return err
	}
	return im.file(name, data)
}

func firstByte(r *bufio.Reader) (byte, error) {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		if b != ' ' && b != '\n' && b != '\r' && b != '\t' {
			return b, r.UnreadByte()
		}
	}
}

// file takes the bytes of one file. What it can't read it names, and goes on.
func (im *importer) file(name string, data []byte) error {
	if err := im.ctx.Err(); err != nil {
		return err
	}
	entry := path.Base(name)
	switch kindOfFile(name) {
	case ".yaml", ".yml":
		return im.take(entry, data, parsePyPA)
	case ".md":
		if !bytes.Contains(data[:min(len(data), 200)], []byte("```toml")) {
			return nil // a readme
		}
		return im.take(entry, data, parseRustSec)
	}
	if bytes.Contains(data, []byte(`"catalogVersion"`)) && bytes.Contains(data, []byte(`"cveID"`)) {
		return im.catalogue(entry, data)
	}
	return im.take(entry, data, ParseOSV)
}

func (im *importer) take(entry string, data []byte, parse func([]byte) (*Advisory, error)) error {
	a, err := parse(data)
	if err != nil {
		im.problem(entry, reason(err))
		return nil
	}
	return im.advisory(a, entry)
}

// reason is an error's message without the operation.
func reason(err error) string {
	var e *core.Error
	if errors.As(err, &e) && e.Msg != "" {
		return e.Msg
	}
	return err.Error()
}

func (im *importer) catalogue(entry string, data []byte) error {
	rows, state, problems, err := parseKEV(data)
	if err != nil {
		return err
	}
	for _, p := range problems {
		im.problem(entry, p)
	}
	if !state.AsOf.Before(im.kev.state.AsOf) {
		im.kev = feedRows{rows, state}
	}
	return nil
}

func (im *importer) scores(r io.Reader) error {
	limited := &io.LimitedReader{R: r, N: maxFeedBytes}
	rows, state, problems, err := parseEPSS(limited)
	if err != nil {
		return err
	}
	if limited.N <= 0 {
		return core.E(core.KindTooLarge, "advisory.Import", fmt.Sprintf("is longer than %d bytes", maxFeedBytes))
	}
	for _, p := range problems {
		im.problem("epss", p)
	}
	if !state.AsOf.Before(im.epss.state.AsOf) {
		im.epss = feedRows{rows, state}
	}
	return nil
}

// folder walks a folder. Links are not followed: what they point to may be
// anything.
func (im *importer) folder(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	fsys := root.FS()
	files := 0
	return fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			im.problem(name, reason(err))
			return nil
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || kindOfFile(name) == "":
			return nil
		case !d.Type().IsRegular():
			im.problem(name, "is no regular file, and links are not followed")
			return nil
		}
		if files++; files > maxFiles {
			return core.E(core.KindTooLarge, "advisory.Import", fmt.Sprintf("has more than %d files", maxFiles))
		}
		return im.member(name, func() (io.ReadCloser, error) { return fsys.Open(name) })
	})
}

// member reads one file of a folder or an archive within the limit.
func (im *importer) member(name string, open func() (io.ReadCloser, error)) error {
	f, err := open()
	if err != nil {
		im.problem(path.Base(name), reason(err))
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(f, maxAdvisory+1))
	if err = errors.Join(err, f.Close()); err != nil {
		im.problem(path.Base(name), reason(err))
		return nil
	}
	if len(data) > maxAdvisory {
		im.problem(path.Base(name), fmt.Sprintf("is longer than %d bytes, the limit of one advisory", maxAdvisory))
		return nil
	}
	return im.file(name, data)
}

// zip reads an archive. Its directory must be whole, or nothing of it counts.
func (im *importer) zip(f io.ReaderAt, size int64) error {
	z, err := zip.NewReader(f, size)
	if err != nil {
		return core.E(core.KindInvalid, "advisory.Import", "is no whole zip: "+err.Error())
	}
	if len(z.File) > maxFiles {
		return core.E(core.KindTooLarge, "advisory.Import", fmt.Sprintf("has more than %d files", maxFiles))
	}
	var expanded uint64
	for _, m := range z.File {
		if kindOfFile(m.Name) == "" || m.FileInfo().IsDir() {
			continue
		}
		if m.UncompressedSize64 > maxAdvisory || m.UncompressedSize64 > 1<<20 && m.UncompressedSize64/maxRatio > m.CompressedSize64 {
			im.problem(path.Base(m.Name), fmt.Sprintf("would expand from %d to %d bytes", m.CompressedSize64, m.UncompressedSize64))
			continue
		}
		if expanded += m.UncompressedSize64; expanded > maxExpanded {
			return core.E(core.KindTooLarge, "advisory.Import", fmt.Sprintf("expands to more than %d bytes", uint64(maxExpanded)))
		}
		if err := im.member(m.Name, m.Open); err != nil {
			return err
		}
	}
	return nil
}

func (im *importer) tar(f io.Reader) error {
	z, err := gzip.NewReader(f)
	if err != nil {
		return core.E(core.KindInvalid, "advisory.Import", "is no gzip: "+err.Error())
	}
	expanded := &io.LimitedReader{R: z, N: maxExpanded}
	t := tar.NewReader(expanded)
	for files := 0; ; files++ {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case expanded.N <= 0 || files > maxFiles:
			return core.E(core.KindTooLarge, "advisory.Import", "expands to more than is allowed")
		case err != nil:
			return core.E(core.KindInvalid, "advisory.Import", "is no whole tar: "+err.Error())
		case h.Typeflag != tar.TypeReg || kindOfFile(h.Name) == "":
			continue
		}
		if err := im.member(h.Name, func() (io.ReadCloser, error) { return io.NopCloser(t), nil }); err != nil {
			return err
		}
	}
}

// lines reads one record a line.
func (im *importer) lines(f io.Reader) error {
	s := bufio.NewScanner(f)
	s.Buffer(make([]byte, 1<<16), maxAdvisory)
	for n := 1; s.Scan(); n++ {
		if err := im.ctx.Err(); err != nil {
			return err
		}
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		if err := im.take(fmt.Sprintf("line %d", n), s.Bytes(), ParseOSV); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return core.E(core.KindInvalid, "advisory.Import", "has a line that can't be read: "+err.Error())
	}
	return nil
}

// array reads a JSON array of records one after the other.
func (im *importer) array(r io.Reader) error {
	d := json.NewDecoder(io.LimitReader(r, maxExpanded))
	if _, err := d.Token(); err != nil {
		return core.E(core.KindInvalid, "advisory.Import", "is no JSON: "+err.Error())
	}
	for n := 0; d.More(); n++ {
		if err := im.ctx.Err(); err != nil {
			return err
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return core.E(core.KindInvalid, "advisory.Import", fmt.Sprintf("element %d: %v", n, err))
		}
		if err := im.take(fmt.Sprintf("element %d", n), raw, ParseOSV); err != nil {
			return err
		}
	}
	return nil
}
