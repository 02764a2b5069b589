package image

import (
	"io/fs"
	"path"
	"strings"

	"github.com/interlock-security/interlock/scanning"
)

// lay puts a layer over those below it. Its deletions are of what is below,
// whatever their order in its archive, so they come first.
func (img *Image) lay(l *Layer) error {
	for _, dir := range l.changes.opaque {
		if n := img.find(dir); n != nil && n.kids != nil {
			clear(n.kids)
		}
	}
	for _, name := range l.changes.deleted {
		dir, base := path.Split(name)
		if n := img.find(strings.TrimSuffix(dir, "/")); n != nil && n.kids != nil {
			delete(n.kids, base)
		}
	}
	if err := img.over(img.root, l.root, "", 0); err != nil {
		return err
	}
	return img.hardlinks(l, img.root, false)
}

func (img *Image) find(name string) *node {
	n, _ := lookup(img.root, name, true)
	return n
}

// over merges a layer's folder into the image's.
func (img *Image) over(into, from *node, at string, hops int) error {
	for name, n := range from.kids {
		old := into.kids[name]
		if n.kids == nil {
			into.kids[name] = n
			continue
		}
		if old != nil && n.implied && old.mode&fs.ModeSymlink != 0 && hops < maxHops {
			// What is put behind a symlink of a lower layer goes where it leads.
			there := target(at, old.link)
			to, err := img.folder(img.root, there, n.layer, 0)
			if err != nil {
				return err
			}
			if err := img.over(to, n, there, hops+1); err != nil {
				return err
			}
			continue
		}
		if old == nil || old.kids == nil {
			old = newDir(name, n.layer)
			into.kids[name] = old
		}
		if !n.implied {
			old.mode, old.mtime, old.layer, old.implied = n.mode, n.mtime, n.layer, false
		}
		if err := img.over(old, n, path.Join(at, name), hops); err != nil {
			return err
		}
	}
	return nil
}

// hardlinks gives each second name of a file the file itself. In the image the
// first name may be in a lower layer; in the layer's own tree such a link is left
// out, because its bytes are not the layer's.
func (img *Image) hardlinks(l *Layer, root *node, own bool) error {
	left := l.changes.hard
	for range maxHops { // a link may be to a link that comes later
		var again []hardlink
		for _, h := range left {
			n, _ := lookup(root, h.target, false)
			if n == nil || n.kids != nil {
				again = append(again, h)
				continue
			}
			dir, base := path.Split(h.name)
			parent, err := img.folder(root, strings.TrimSuffix(dir, "/"), l.at, 0)
			if err != nil {
				return err
			}
			twin := *n
			twin.name, twin.layer = base, l.at
			parent.kids[base] = &twin
		}
		if len(again) == 0 || len(again) == len(left) {
			left = again
			break
		}
		left = again
	}
	if own {
		return nil
	}
	for _, h := range left {
		img.gap(scanning.ReasonMalformed, l.Digest+": "+h.name, "a hard link to "+h.target+", which is not in the image")
	}
	return nil
}
