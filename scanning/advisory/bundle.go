package advisory

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/interlock-security/interlock/core"
)

// bundleSuffix is how a database in one file is named. It is a container whose
// sections are the database's files.
const bundleSuffix = ".ilkdb"

// Export writes a folder's database into one file, for a machine without
// network: Import it there under a name that ends in .ilkdb. It carries the
// dates of its sources, so that it is as old there as it is here.
func Export(dir, path string) error {
	if filepath.Ext(path) != bundleSuffix {
		return core.E(core.KindInvalid, "advisory.Export", path+" must end in "+bundleSuffix)
	}
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	db, err := Open(dir) // a damaged one must not travel
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	p, err := newPacker(path)
	if err != nil {
		return core.Wrap(core.KindUnavailable, "advisory.Export", err)
	}
	for _, name := range []string{fileAdvisories, fileKEV, fileEPSS} {
		if err := p.whole(name, filepath.Join(dir, name)); err != nil {
			return core.Wrap(core.KindUnavailable, "advisory.Export", p.abort(err))
		}
	}
	return core.Wrap(core.KindUnavailable, "advisory.Export", p.commit(manifest{Format: 1, Built: db.Built(), Content: db.Content()}))
}

// whole puts a file into a section; one that is not there is left out.
func (p *packer) whole(name, path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	p.begin(name)
	_, err = io.Copy(p, f)
	return errors.Join(err, f.Close())
}

// bundle takes what Export wrote.
func (im *importer) bundle(f *os.File, size int64) error {
	outer := &container{name: f.Name(), from: f, size: size}
	if err := outer.read([]string{fileAdvisories, fileKEV, fileEPSS}); err != nil {
		return err
	}
	for _, s := range outer.Sections {
		inner := &container{name: f.Name() + ": " + s.Name, from: io.NewSectionReader(f, s.offset, s.Length), size: s.Length}
		if err := im.part(s.Name, inner); err != nil {
			return err
		}
	}
	return nil
}

func (im *importer) part(name string, c *container) error {
	switch name {
	case fileAdvisories:
		if err := c.read([]string{partText}); err != nil {
			return err
		}
		return im.advisories(&DB{c: c})
	case fileKEV:
		return im.feed(c, name, &im.kev)
	case fileEPSS:
		return im.feed(c, name, &im.epss)
	}
	return damaged(c.name, "is no part of a bundle")
}

// advisories takes over a whole database with its dates and its problems.
func (im *importer) advisories(db *DB) error {
	if err := db.attach(); err != nil {
		return err
	}
	defer db.zstd.Close()
	for name, e := range db.c.Manifest.Ecosystems {
		im.whole[name] = im.whole[name] || e.Whole
		if e.AsOf.After(im.asOf[name]) {
			im.asOf[name] = e.AsOf
		}
	}
	for _, p := range db.c.Manifest.Problems {
		im.problem(p.Entry, p.Source+": "+p.What)
	}
	im.summary.Unnamed += db.c.Manifest.Unnamed
	return db.each(func(raw []byte) error {
		a, ok := decodeAdvisory(raw)
		if !ok {
			return damaged(db.c.name, "an advisory can't be read")
		}
		if err := im.ctx.Err(); err != nil {
			return err
		}
		return im.advisory(a, a.ID)
	})
}

func (im *importer) feed(c *container, name string, into *feedRows) error {
	if err := c.read(nil); err != nil {
		return err
	}
	state := c.Manifest.Feeds[name]
	if state == nil {
		return damaged(c.name, "says nothing of its list")
	}
	if state.AsOf.Before(into.state.AsOf) {
		return nil
	}
	into.rows, into.state = map[string][]byte{}, *state
	rows := directory{c.loaded[partRows], c.loaded[partRowAt]}
	for i := range rows.len() {
		s := &slit{b: rows.at(i)}
		cve := s.str()
		into.rows[cve] = s.b
	}
	return nil
}
