// Package cargo reads what Rust is made of: Cargo.lock, and the list that
// cargo-auditable leaves in programs.
package cargo

import (
	"bytes"
	"compress/zlib"
	"context"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

const ecosystem = "crates.io"

// Extractors are those of Rust.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{
		{
			Name: "cargo/lock", Ecosystem: ecosystem, Names: []string{"Cargo.lock"}, Read: readLock,
			Reads: "versions 1 to 4 with edges and checksums; direct and dev from the Cargo.toml beside it",
		},
		{
			Name: "cargo/manifest", Ecosystem: ecosystem, Names: []string{"Cargo.toml"}, Read: readManifest,
			Reads: "nothing but that a lockfile is missing beside or above it: a gap",
		},
		{
			Name: "cargo/auditable", Ecosystem: ecosystem, Wants: extract.Program, Read: readBinary, Installed: true,
			Shown: []string{"programs (ELF, PE, Mach-O) built by cargo auditable"},
			Reads: "the list in section .dep-v0; a program built without it tells nothing",
		},
	}
}

type lockfile struct {
	Version  int               `toml:"version"`
	Packages []crate           `toml:"package"`
	Root     *crate            `toml:"root"` // the oldest form
	Metadata map[string]string `toml:"metadata"`
}

type crate struct {
	Name         string   `toml:"name"`
	Version      string   `toml:"version"`
	Source       string   `toml:"source"`
	Checksum     string   `toml:"checksum"`
	Dependencies []string `toml:"dependencies"`
}

func readLock(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var lock lockfile
	if err := in.TOML(&lock); err != nil {
		return err
	}
	if lock.Version > 4 {
		return extract.Unsupported("lockfile version %d; versions 1 to 4 are read", lock.Version)
	}
	if lock.Packages == nil && lock.Root == nil && lock.Version == 0 {
		return extract.Malformed(0, "no packages and no version: not a Cargo.lock")
	}
	tell(&lock, in, out)
	return nil
}

func tell(lock *lockfile, in *extract.Input, out *extract.Sink) {
	byName := index{}
	for i := range lock.Packages {
		c := &lock.Packages[i]
		for _, wish := range []string{c.Name, c.Name + " " + c.Version, c.Name + " " + c.Version + " (" + c.Source + ")"} {
			if byName[wish] == nil {
				byName[wish] = c
			}
		}
	}
	direct := directs(lock, byName)
	devOnly := developed(byName, in)
	for i := range lock.Packages {
		c := &lock.Packages[i]
		if c.Source == "" {
			continue // a crate of this workspace
		}
		p := pkg(c)
		p.Direct, p.Dev = direct[c], devOnly[c]
		p.Hashes = c.sum(lock.Metadata)
		for _, d := range c.Dependencies {
			if to := byName[d]; to != nil {
				p.Requires = append(p.Requires, pkg(to).PURL)
			}
		}
		out.Add(p)
	}
}

func pkg(c *crate) scanning.Package {
	vcs := ""
	if git, ok := strings.CutPrefix(c.Source, "git+"); ok {
		vcs = "git+" + git
	}
	return scanning.Package{
		Ecosystem: ecosystem, Name: c.Name, Version: c.Version,
		PURL: extract.PURL("cargo", c.Name, c.Version, "vcs_url", vcs),
	}
}

// sum is the checksum: in the package, or in the older forms in a table of its
// own.
func (c *crate) sum(metadata map[string]string) map[string]string {
	if c.Checksum != "" {
		return extract.Hex("sha256", c.Checksum)
	}
	return extract.Hex("sha256", metadata["checksum "+c.Name+" "+c.Version+" ("+c.Source+")"])
}

// index finds a crate by what others call it: "name", "name version" or "name
// version (source)".
type index map[string]*crate

// directs are what the workspace's own crates ask for.
func directs(lock *lockfile, byName index) map[*crate]bool {
	direct := map[*crate]bool{}
	own := slices.Clone(lock.Packages)
	if lock.Root != nil {
		own = append(own, *lock.Root)
	}
	for i := range own {
		if own[i].Source != "" {
			continue
		}
		for _, d := range own[i].Dependencies {
			direct[byName[d]] = true
		}
	}
	return direct
}

type manifest struct {
	Package      struct{ Name string }     `toml:"package"`
	Dependencies map[string]any            `toml:"dependencies"`
	Build        map[string]any            `toml:"build-dependencies"`
	Dev          map[string]any            `toml:"dev-dependencies"`
	Target       map[string]map[string]any `toml:"target"`
	Workspace    *struct {
		Members []string
	} `toml:"workspace"`
}

// developed are the crates that only testing needs. It is known where the
// lockfile is of one crate, whose manifest stands beside it.
func developed(byName index, in *extract.Input) map[*crate]bool {
	var m manifest
	data, err := in.Other("Cargo.toml")
	if err != nil || extract.TOML(in, data, &m) != nil || m.Workspace != nil || len(m.Dev) == 0 || len(m.Target) > 0 {
		return nil
	}
	var runtime, dev []*crate
	if own := byName[m.Package.Name]; own != nil {
		for _, d := range own.Dependencies {
			name, _, _ := strings.Cut(d, " ")
			if m.onlyDev(name) {
				dev = append(dev, byName[d])
			} else {
				runtime = append(runtime, byName[d])
			}
		}
	}
	only := reach(byName, dev)
	for c := range reach(byName, runtime) {
		delete(only, c)
	}
	return only
}

// onlyDev reports whether a crate is asked for by no name but a development one.
func (m *manifest) onlyDev(name string) bool {
	for alias, spec := range m.Dependencies {
		if crateName(alias, spec) == name {
			return false
		}
	}
	for alias, spec := range m.Build {
		if crateName(alias, spec) == name {
			return false
		}
	}
	return true
}

func crateName(alias string, spec any) string {
	if table, ok := spec.(map[string]any); ok {
		if name, ok := table["package"].(string); ok {
			return name
		}
	}
	return alias
}

func reach(byName index, roots []*crate) map[*crate]bool {
	seen := map[*crate]bool{}
	for todo := roots; len(todo) > 0; {
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if c == nil || seen[c] {
			continue
		}
		seen[c] = true
		for _, d := range c.Dependencies {
			todo = append(todo, byName[d])
		}
	}
	return seen
}

func readManifest(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var m manifest
	if err := in.TOML(&m); err != nil {
		return err
	}
	if len(m.Dependencies)+len(m.Build)+len(m.Dev) > 0 && !in.Above("Cargo.lock") {
		names := slices.Sorted(maps.Keys(m.Dependencies))
		out.Gap(scanning.ReasonUnsupported, out.At(0), "no lockfile: versions unknown of "+strings.Join(names, ", ")+"; make one with: cargo generate-lockfile")
	}
	return nil
}

// audit is what cargo-auditable writes.
type audit struct {
	Packages []struct {
		Name, Version, Source, Kind string
		Root                        bool
		Dependencies                []int
	}
}

func readBinary(_ context.Context, in *extract.Input, out *extract.Sink) error {
	r, _, done, err := in.ReaderAt()
	if err != nil {
		return err
	}
	defer done()
	if is, err := extract.Executable(r); err != nil || !is {
		return nil // a packed one is told by the reader of Go programs
	}
	raw, err := section(r, in.Limits.Text)
	if err != nil || raw == nil {
		return err
	}
	return audited(in, raw, out)
}

// section finds .dep-v0. Programs that cannot be parsed are told by the reader
// of Go programs.
func section(r io.ReaderAt, limit int64) ([]byte, error) {
	var size uint64
	var data func() ([]byte, error)
	if f, err := elf.NewFile(r); err == nil {
		if s := f.Section(".dep-v0"); s != nil && s.Type != elf.SHT_NOBITS {
			size, data = s.FileSize, s.Data
		}
	} else if f, err := pe.NewFile(r); err == nil {
		if s := f.Section(".dep-v0"); s != nil {
			size, data = uint64(s.Size), s.Data
		}
	} else if f, err := macho.NewFile(r); err == nil {
		if s := f.Section(".dep-v0"); s != nil {
			size, data = s.Size, s.Data
		}
	}
	if data == nil {
		return nil, nil
	}
	if size > uint64(limit) {
		return nil, extract.TooLarge(int64(min(size, 1<<62)), limit)
	}
	raw, err := data()
	if err != nil {
		return nil, extract.Malformed(0, "its list of crates cannot be read: %v", err)
	}
	return raw, nil
}

func audited(in *extract.Input, raw []byte, out *extract.Sink) error {
	z, err := zlib.NewReader(bytes.NewReader(raw))
	if err != nil {
		return extract.Malformed(0, "its list of crates is not compressed as it should be: %v", err)
	}
	text, err := io.ReadAll(io.LimitReader(z, in.Limits.Text+1))
	if err != nil && !errors.Is(err, io.EOF) {
		return extract.Malformed(0, "its list of crates is not compressed as it should be: %v", err)
	}
	if int64(len(text)) > in.Limits.Text {
		return extract.TooLarge(int64(len(text)), in.Limits.Text)
	}
	var list audit
	if err := extract.JSON(in, text, &list); err != nil {
		return err
	}
	for _, c := range list.Packages {
		if c.Source == "local" || c.Kind == "build" {
			continue // its own code, or what only built it
		}
		p := pkg(&crate{Name: c.Name, Version: c.Version})
		for _, d := range c.Dependencies {
			if d >= 0 && d < len(list.Packages) {
				p.Requires = append(p.Requires, pkg(&crate{Name: list.Packages[d].Name, Version: list.Packages[d].Version}).PURL)
			}
		}
		out.Add(p)
	}
	return nil
}
