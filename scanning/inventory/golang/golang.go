// Package golang reads what Go code is made of: go.mod, go.work, a vendor folder
// and the build information in programs. The standard library is a package, too,
// named stdlib as in OSV.
package golang

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

const ecosystem = "Go"

// Extractors are those of Go.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{
		{
			Name: "go/mod", Ecosystem: ecosystem, Names: []string{"go.mod"}, Read: readMod,
			Reads: "requirements after replace; the toolchain (or go) line as stdlib. Before go 1.17 indirect modules are not listed: a gap",
		},
		{
			Name: "go/work", Ecosystem: ecosystem, Names: []string{"go.work"}, Read: readWork,
			Reads: "replacements, and folders that are used but are not in the scope; the modules' own go.mod are read by themselves",
		},
		{
			Name: "go/vendor", Ecosystem: ecosystem, Names: []string{"modules.txt"}, Read: readVendor, Installed: true,
			Wants: inVendor, Shown: []string{"vendor/modules.txt"},
			Reads: "modules with what replaces them",
		},
		{
			Name: "go/binary", Ecosystem: ecosystem, Wants: extract.Program, Read: readBinary, Installed: true,
			Shown: []string{"programs (ELF, PE, Mach-O)"},
			Reads: "modules of the build information (its own also where the linker was given a version; one without a version is a gap where an advisory speaks of it), the compiler's version as stdlib; stripped programs have it, packed ones (UPX) are a gap. Not files named by a hash, as caches name them",
		},
	}
}

func pkg(module, version string) scanning.Package {
	return scanning.Package{Ecosystem: ecosystem, Name: module, Version: version, PURL: extract.PURL("golang", module, version)}
}

// Stdlib is the standard library of a Go version; ok is false for one that is
// built from source and has no number.
func Stdlib(goVersion string) (p scanning.Package, ok bool) {
	m := goNumber.FindStringSubmatch(goVersion)
	if m == nil {
		return p, false
	}
	minor, pre := m[3], ""
	if minor == "" {
		minor = ".0"
	}
	if m[4] != "" {
		pre = "-" + m[4] + "." + m[5]
	}
	return pkg("stdlib", m[1]+"."+m[2]+minor+pre), true
}

var goNumber = regexp.MustCompile(`^(?:go)?(\d+)\.(\d+)(\.\d+)?(?:(rc|beta)(\d+))?(?:[ -].*)?$`)

// maxMod bounds go.mod and go.work: real ones are a hundredth of it, and their
// parser keeps an error for each line.
const maxMod = 2 << 20

func readMod(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.TextUpTo(maxMod)
	if err != nil {
		return err
	}
	mod, err := modfile.Parse(in.Path, data, nil)
	if err != nil {
		return modFault(err)
	}
	standard(mod.Go, mod.Toolchain, out)
	swap := replacements(mod.Replace)
	for _, r := range mod.Require {
		module, version, ok := swap(r.Mod.Path, r.Mod.Version)
		if !ok {
			local(in, out, r.Syntax.Start.Line, r.Mod.Path, module)
			continue
		}
		p := pkg(module, version)
		p.Direct = !r.Indirect
		out.Add(p)
	}
	if len(mod.Require) > 0 && lists(mod.Go) && !in.Exists("vendor/modules.txt") {
		out.Gap(scanning.ReasonUnsupported, out.At(0), "before go 1.17 indirect modules are not listed; write them with: go mod tidy -go=1.17")
	}
	return nil
}

// lists reports whether a go.mod of this version leaves indirect modules out.
func lists(g *modfile.Go) bool {
	if g == nil {
		return true
	}
	var major, minor int
	_, err := fmt.Sscanf(g.Version, "%d.%d", &major, &minor)
	return err != nil || major == 1 && minor < 17
}

func modFault(err error) error {
	var list modfile.ErrorList
	if errors.As(err, &list) && len(list) > 0 {
		return extract.Malformed(list[0].Pos.Line, "not a go.mod: %v", list[0].Err)
	}
	return extract.Malformed(0, "not a go.mod: %v", err)
}

func standard(g *modfile.Go, toolchain *modfile.Toolchain, out *extract.Sink) {
	version := ""
	if g != nil {
		version = g.Version
	}
	if toolchain != nil && strings.HasPrefix(toolchain.Name, "go") {
		version = toolchain.Name
	}
	if p, ok := Stdlib(version); ok {
		p.Direct = true
		out.Add(p)
	}
}

// replacements gives what stands in place of a module; ok is false for a folder,
// whose path is then the module.
func replacements(list []*modfile.Replace) func(module, version string) (string, string, bool) {
	type key struct{ module, version string }
	by := map[key]*modfile.Replace{}
	for _, r := range list {
		by[key{r.Old.Path, r.Old.Version}] = r
	}
	return func(module, version string) (string, string, bool) {
		r := by[key{module, version}]
		if r == nil {
			r = by[key{module, ""}]
		}
		if r == nil {
			return module, version, true
		}
		return r.New.Path, r.New.Version, r.New.Version != ""
	}
}

// local looks whether a folder that replaces a module is in the scope, where its
// own go.mod is read.
func local(in *extract.Input, out *extract.Sink, line int, module, folder string) {
	if !path.IsAbs(folder) && in.Exists(path.Join(folder, "go.mod")) {
		return
	}
	out.Gap(scanning.ReasonUnsupported, out.At(line), fmt.Sprintf("%s is replaced by %s, which is not in the scope; scan that folder too", module, folder))
}

func readWork(_ context.Context, in *extract.Input, out *extract.Sink) error {
	data, err := in.TextUpTo(maxMod)
	if err != nil {
		return err
	}
	work, err := modfile.ParseWork(in.Path, data, nil)
	if err != nil {
		return modFault(err)
	}
	standard(work.Go, work.Toolchain, out)
	for _, u := range work.Use {
		if path.IsAbs(u.Path) || !in.Exists(path.Join(u.Path, "go.mod")) {
			out.Gap(scanning.ReasonUnsupported, out.At(u.Syntax.Start.Line), fmt.Sprintf("%s is used, but is not in the scope; scan that folder too", u.Path))
		}
	}
	for _, r := range work.Replace {
		if r.New.Version == "" {
			local(in, out, r.Syntax.Start.Line, r.Old.Path, r.New.Path)
			continue
		}
		out.Add(pkg(r.New.Path, r.New.Version))
	}
	return nil
}
