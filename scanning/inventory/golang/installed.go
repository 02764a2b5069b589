package golang

import (
	"bufio"
	"bytes"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

func inVendor(file string, _ fs.DirEntry) bool { return path.Base(path.Dir(file)) == "vendor" }

func readVendor(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	var last *scanning.Package
	flush := func() {
		if last != nil {
			out.Add(*last)
		}
		last = nil
	}
	for n := 1; lines.Scan(); n++ {
		text := lines.Text()
		if marks, ok := strings.CutPrefix(text, "## "); ok {
			if last != nil {
				last.Direct = strings.Contains(marks, "explicit")
			}
			continue
		}
		head, ok := strings.CutPrefix(text, "# ")
		if !ok {
			continue
		}
		flush()
		if p, ok := vendored(head); ok {
			last = &p
		}
	}
	flush()
	if err := lines.Err(); err != nil {
		return extract.Malformed(0, "not a list of vendored modules: %v", err)
	}
	if len(bytes.TrimSpace(data)) > 0 && !bytes.HasPrefix(data, []byte("#")) && !bytes.Contains(data, []byte("\n# ")) {
		return extract.Malformed(0, "no modules: not a list of vendored modules")
	}
	return nil
}

// vendored reads "module version" or "module version => module version". A
// module replaced by a folder, and the closing lines that only repeat
// replacements, are none.
func vendored(head string) (scanning.Package, bool) {
	left, right, replaced := strings.Cut(head, " => ")
	f := strings.Fields(left)
	if len(f) != 2 {
		return scanning.Package{}, false
	}
	if replaced {
		if f = strings.Fields(right); len(f) != 2 {
			return scanning.Package{}, false
		}
	}
	return pkg(f[0], f[1]), true
}

func readBinary(_ context.Context, in *extract.Input, out *extract.Sink) error {
	r, _, done, err := in.ReaderAt()
	if err != nil {
		return err
	}
	defer done()
	if is, err := extract.Executable(r); err != nil || !is {
		return err
	}
	info, err := buildinfo.Read(r)
	if err != nil {
		return notGo(r, err)
	}
	built(info, out)
	return nil
}

// notGo tells a program of another language, or of a system that Go has no words
// for, from a broken one.
func notGo(r io.ReaderAt, err error) error {
	switch {
	case strings.Contains(err.Error(), "not a Go executable"):
		return nil
	case strings.Contains(err.Error(), "unrecognized file format"):
		head := make([]byte, len(elf.ELFMAG))
		if _, e := r.ReadAt(head, 0); e != nil || string(head) != elf.ELFMAG {
			return nil
		}
		if _, err = elf.NewFile(r); err == nil {
			return nil
		}
	}
	return extract.Malformed(0, "a program that cannot be read: %v", err)
}

func built(info *debug.BuildInfo, out *extract.Sink) {
	if p, ok := Stdlib(info.GoVersion); ok {
		out.Add(p)
	} else {
		out.Unknown(0, "stdlib", fmt.Sprintf("built by %q, which is no released version", info.GoVersion))
	}
	for _, d := range info.Deps {
		m := d
		if d.Replace != nil {
			m = d.Replace
		}
		if m.Version == "" || m.Version == "(devel)" {
			m = &debug.Module{Path: d.Path} // built from a folder
		}
		out.Add(pkg(m.Path, m.Version))
	}
	main(info, out)
}

// main is the program itself. The toolchain's own programs are the standard
// library. One that was built locally has no version: it is told without, and
// whoever matches it says what that hides, which is nothing as long as no
// advisory speaks of it.
func main(info *debug.BuildInfo, out *extract.Sink) {
	m := info.Main
	if m.Path == "" || m.Path == "cmd" || m.Path == "std" {
		return
	}
	if m.Version == "" || m.Version == "(devel)" {
		m.Version = linked(info)
	}
	p := pkg(m.Path, m.Version)
	p.Direct = true
	out.Add(p)
}

// setVersion is how most release builds write a version into a program.
var setVersion = regexp.MustCompile(`(?i)-X[= ]['"]?[^ =]*version=v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)(?:\+[0-9A-Za-z.-]+)?['"]?(?:\s|$)`)

// linked is the version that the linker was told to write into the program, if it
// was told one and no other.
func linked(info *debug.BuildInfo) string {
	version := ""
	for _, s := range info.Settings {
		if s.Key != "-ldflags" {
			continue
		}
		for _, m := range setVersion.FindAllStringSubmatch(s.Value, -1) {
			if version != "" && version != "v"+m[1] {
				return ""
			}
			version = "v" + m[1]
		}
	}
	return version
}
