package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/interlock-security/interlock/scanning"
)

// node is a file, folder or symlink of a layer or of the image.
type node struct {
	name  string
	mode  fs.FileMode
	mtime time.Time
	size  int64
	// layer is where the path comes from, data and at where its bytes are.
	layer, data int
	at          int64
	link        string
	kids        map[string]*node
	// implied is a folder that no entry names, only what is in it.
	implied bool
}

func newDir(name string, layer int) *node {
	return &node{name: name, mode: fs.ModeDir | 0o755, layer: layer, kids: map[string]*node{}, implied: true}
}

// changes are what a layer does to those below it.
type changes struct {
	deleted []string // paths
	opaque  []string // folders that hide what they held
	hard    []hardlink
}

type hardlink struct{ name, target string }

// Marks of deleted files, by the image specification.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
	aufs     = ".wh..wh."
)

// maxName is the longest path that Linux has, maxDepth deeper than any in use.
const (
	maxName  = 4096
	maxDepth = 400
)

// entries reads a layer's archive into its own tree.
func (img *Image) entries(l *Layer) error {
	l.root = newDir("", l.at)
	r := l.data.reader()
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("not an archive: %w", err)
		}
		if err := img.budget.entry(); err != nil {
			return err
		}
		at, _ := r.Seek(0, io.SeekCurrent)
		if err := img.entry(l, h, at); err != nil {
			return err
		}
	}
	return img.hardlinks(l, l.root, true)
}

// entry takes one member of the archive in.
func (img *Image) entry(l *Layer, h *tar.Header, at int64) error {
	name, ok := tame(h.Name)
	if !ok {
		img.gap(scanning.ReasonMalformed, fmt.Sprintf("%s: %.200q", l.Digest, h.Name), "a name that leads out of the image, or is longer or deeper than one can be")
		return nil
	}
	if name == "." {
		return nil
	}
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	switch {
	case base == opaque:
		l.changes.opaque = append(l.changes.opaque, dir)
		return nil
	case strings.HasPrefix(base, aufs):
		return nil // bookkeeping of an older engine
	case strings.HasPrefix(base, whiteout):
		if gone := strings.TrimPrefix(base, whiteout); gone != "" && gone != "." && gone != ".." {
			l.changes.deleted = append(l.changes.deleted, path.Join(dir, gone))
		}
		return nil
	}
	n := &node{name: base, mode: h.FileInfo().Mode(), mtime: h.ModTime, layer: l.at, data: l.at, at: at}
	switch h.Typeflag {
	case tar.TypeReg:
		return img.regular(l, h, n, name)
	case tar.TypeDir:
		n.kids = map[string]*node{}
	case tar.TypeSymlink:
		n.link = h.Linkname
	case tar.TypeLink:
		target, ok := tame(h.Linkname)
		if !ok {
			img.gap(scanning.ReasonMalformed, l.Digest+": "+name, "a hard link that leads out of the image")
			return nil
		}
		l.changes.hard = append(l.changes.hard, hardlink{name, target})
		return nil
	default:
		return nil // devices and pipes hold nothing
	}
	return img.put(l, name, n)
}

func (img *Image) regular(l *Layer, h *tar.Header, n *node, name string) error {
	if isSparse(h) {
		img.gap(scanning.ReasonUnsupported, l.Digest+": "+name, "a sparse file in a layer's archive is not read")
		return nil
	}
	if n.size = h.Size; n.at+n.size > l.data.size {
		return fmt.Errorf("%.200q ends after its layer", name)
	}
	return img.put(l, name, n)
}

// tame turns a member's name into a path below the root. Bytes that are no text
// are written as %XX, because a path of a tree is text.
func tame(name string) (string, bool) {
	if len(name) > maxName || strings.IndexByte(name, 0) >= 0 || strings.Count(name, "/") > maxDepth {
		return "", false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", false
		}
	}
	if !utf8.ValidString(name) {
		name = escaped(name)
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		name = "."
	}
	return name, true
}

func escaped(name string) string {
	var b strings.Builder
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, "%%%02X", name[0])
		} else {
			b.WriteString(name[:n])
		}
		name = name[n:]
	}
	return b.String()
}

// put sets a node in a layer's own tree, making the folders above it. A symlink
// of the same layer on the way is followed, as an engine would.
func (img *Image) put(l *Layer, name string, n *node) error {
	dir, base := path.Split(name)
	parent, err := img.folder(l.root, strings.TrimSuffix(dir, "/"), l.at, 0)
	if err != nil || parent == nil {
		return err
	}
	n.name = base
	if old := parent.kids[base]; old != nil && old.kids != nil && n.kids != nil {
		n.kids = old.kids // the same folder again
	}
	parent.kids[base] = n
	return nil
}

// folder finds or makes a folder in a tree.
func (img *Image) folder(root *node, name string, layer, hops int) (*node, error) {
	at, done := root, ""
	for part, rest := cutPath(name); part != ""; part, rest = cutPath(rest) {
		next := at.kids[part]
		if next != nil && next.mode&fs.ModeSymlink != 0 && hops < maxHops {
			return img.folder(root, path.Join(target(done, next.link), rest), layer, hops+1)
		}
		if next == nil || next.kids == nil {
			if err := img.budget.entry(); err != nil {
				return nil, err
			}
			next = newDir(part, layer)
			at.kids[part] = next
		}
		at, done = next, path.Join(done, part)
	}
	return at, nil
}

// cutPath parts the first name of a path off.
func cutPath(name string) (part, rest string) {
	part, rest, _ = strings.Cut(name, "/")
	return part, rest
}

// target is where a symlink in the folder dir leads, never above the root.
func target(dir, link string) string {
	if !path.IsAbs(link) {
		link = dir + "/" + link
	}
	return strings.TrimPrefix(path.Clean("/"+link), "/")
}
