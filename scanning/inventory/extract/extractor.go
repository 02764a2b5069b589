package extract

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Extractor reads one kind of file.
type Extractor struct {
	// Name is ecosystem and format: "npm/package-lock".
	Name string
	// Ecosystem is OSV's word for what it finds, without a release.
	Ecosystem string
	// Names are the base names it wants, Suffixes the ends of base names. With
	// neither, Wants is asked of every file.
	Names    []string
	Suffixes []string
	// Wants narrows what Names and Suffixes found; nil takes all. It must not
	// open anything: it is asked of every file in the tree.
	Wants func(file string, d fs.DirEntry) bool
	// Reads is one line for people: what is read of it, and what is not.
	Reads string
	// Shown are the files as the reference shows them, where Names and Suffixes
	// do not say it.
	Shown []string
	// Installed says that what stands there is there, and not only asked for.
	Installed bool
	// Database says that the file names what others installed, so that in an image
	// a package comes from the layer in which the file first named it.
	Database bool
	// Read tells out what stands in the file. What it told before an error
	// counts; the error becomes a gap.
	Read func(ctx context.Context, in *Input, out *Sink) error
}

// Matches reports whether the extractor wants the file.
func (x *Extractor) Matches(file string, d fs.DirEntry) bool {
	return x.named(path.Base(file)) && (x.Wants == nil || x.Wants(file, d))
}

func (x *Extractor) named(base string) bool {
	if len(x.Names) == 0 && len(x.Suffixes) == 0 {
		return true
	}
	return slices.Contains(x.Names, base) ||
		slices.ContainsFunc(x.Suffixes, func(s string) bool { return strings.HasSuffix(base, s) })
}

// Patterns is what the reference shows of the files it wants.
func (x *Extractor) Patterns() []string {
	if len(x.Shown) > 0 {
		return x.Shown
	}
	all := slices.Clone(x.Names)
	for _, s := range x.Suffixes {
		all = append(all, "*"+s)
	}
	return all
}

// Limits bound what an extractor may spend on one file.
type Limits struct {
	// Text is the largest lockfile or manifest in bytes, Binary the largest
	// executable or archive.
	Text, Binary int64
	// Objects is how many objects a lockfile may hold, Packages how many packages
	// one file may tell.
	Objects, Packages int
	// Nested is how many archives may be inside each other, Expanded how many
	// bytes may come out of one outermost archive, Ratio how many times larger
	// than itself an archive's member may be.
	Nested   int
	Expanded int64
	Ratio    int64
}

// Defaults fit the largest real files seen, with room.
var Defaults = Limits{
	Text: 64 << 20, Binary: 2 << 30,
	Objects: 1_000_000, Packages: 200_000,
	Nested: 4, Expanded: 4 << 30, Ratio: 500,
}

// Or fills what is zero from other.
func (l Limits) Or(other Limits) Limits {
	return Limits{
		Text: or(l.Text, other.Text), Binary: or(l.Binary, other.Binary),
		Objects: or(l.Objects, other.Objects), Packages: or(l.Packages, other.Packages),
		Nested: or(l.Nested, other.Nested), Expanded: or(l.Expanded, other.Expanded),
		Ratio: or(l.Ratio, other.Ratio),
	}
}

func or[T int | int64](a, b T) T {
	if a != 0 {
		return a
	}
	return b
}
