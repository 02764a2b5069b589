package source

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
)

// listing is the entries of a folder in little memory, since one folder may hold a
// million: all names in one slice of bytes.
type listing struct {
	names   []byte
	entries []entry
}

type entry struct {
	at   uint32
	n    uint16
	kind kind
}

// kind is what an entry is.
type kind uint8

const (
	kindFile kind = iota
	kindFolder
	kindLink
	kindBlock
	kindSpecial // character device, pipe, socket: they hold nothing
)

func kindOf(m fs.FileMode) kind {
	switch {
	case m.IsRegular():
		return kindFile
	case m.IsDir():
		return kindFolder
	case m&fs.ModeSymlink != 0:
		return kindLink
	case m&fs.ModeDevice != 0 && m&fs.ModeCharDevice == 0:
		return kindBlock
	}
	return kindSpecial
}

func (l *listing) add(e fs.DirEntry) {
	name := e.Name()
	l.entries = append(l.entries, entry{uint32(len(l.names)), uint16(len(name)), kindOf(e.Type())})
	l.names = append(l.names, name...)
}

func (l *listing) name(e entry) []byte { return l.names[e.at : e.at+uint32(e.n)] }

func (l *listing) sort() {
	slices.SortFunc(l.entries, func(a, b entry) int { return bytes.Compare(l.name(a), l.name(b)) })
}

// has reports whether the folder has an entry of that name and kind.
func (l *listing) has(name string, k kind) bool {
	i, found := slices.BinarySearchFunc(l.entries, name, func(e entry, name string) int { return bytes.Compare(l.name(e), []byte(name)) })
	return found && l.entries[i].kind == k
}

// mostNames bounds what the names of one folder take.
const mostNames = 1 << 30

var errTooManyNames = errors.New("the names of its entries take over 1 GiB")

// listAll reads a folder in pieces. What was read before an error is returned too.
func listAll(d *os.File) (*listing, error) {
	l := new(listing)
	defer l.sort()
	for {
		entries, err := d.ReadDir(1024)
		for _, e := range entries {
			l.add(e)
		}
		switch {
		case errors.Is(err, io.EOF):
			return l, nil
		case err != nil:
			return l, err
		case len(l.names) > mostNames:
			return l, errTooManyNames
		}
	}
}
