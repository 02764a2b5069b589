package advisory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/scanning/priority"
)

// Options of an import.
type Options struct {
	// Clock stamps the database; nil is the machine's.
	Clock core.Clock
	// AsOf says of which moment the sources are, where the caller knows. The
	// zero value lets the data say: an import that brings most of an ecosystem
	// is as new as its newest advisory, and one that brings a few does not make
	// the others any newer.
	AsOf time.Time
	// Progress, if set, is called now and then with how many advisories were read.
	Progress func(advisories int, source string)
}

func (o Options) now() time.Time {
	if o.Clock == nil {
		return core.SystemClock{}.Now()
	}
	return o.Clock.Now()
}

// Summary is what an import did.
type Summary struct {
	// Read counts the advisories of the sources: Added were not there before,
	// Updated were modified since, Unchanged are the same, and Older ones left
	// what is there in place.
	Read      int `json:"read"`
	Added     int `json:"added"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	Older     int `json:"older"`
	// KEV and EPSS are set if the sources had such a list.
	KEV  *FeedState `json:"kev,omitempty"`
	EPSS *FeedState `json:"epss,omitempty"`
	// Problems are advisories that could not be read, and Unnamed how many more
	// there are.
	Problems []Problem `json:"problems,omitempty"`
	Unnamed  int       `json:"unnamed_problems,omitempty"`
	// Failed are sources that could not be fetched; what was fetched is in.
	Failed []Problem `json:"failed,omitempty"`
	// Warnings are parts of advisories that could not be read and that matching
	// does not need, such as a CVSS vector.
	Warnings []Problem `json:"warnings,omitempty"`
}

// Incomplete says that not everything could be read.
func (s *Summary) Incomplete() bool { return len(s.Problems)+s.Unnamed+len(s.Failed) > 0 }

// Import adds the advisories of files and folders to a folder's database, and
// makes it if there is none. It reads what OSV publishes (all.zip of an
// ecosystem, single records, NDJSON), folders and tar.gz of them, advisories of
// PyPA in YAML and of RustSec in Markdown, CISA's KEV catalogue and EPSS scores.
//
// Of two records with one id the one that was modified later stays. The old
// database serves until the new one is on disk; when Import returns an error,
// nothing has changed.
func Import(ctx context.Context, dir string, opt Options, sources ...string) (Summary, error) {
	if len(sources) == 0 {
		return Summary{}, core.E(core.KindInvalid, "advisory.Import", "names no file or folder to import")
	}
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return Summary{}, core.Wrap(core.KindUnavailable, "advisory.Import", err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return Summary{}, err
	}
	defer unlock()
	im, err := newImporter(ctx, dir, opt)
	if err != nil {
		return Summary{}, core.Wrap(core.KindUnavailable, "advisory.Import", err)
	}
	var files []origin
	for _, s := range sources {
		files = append(files, origin{path: s, label: label(s)})
	}
	err = im.run(files)
	if err = errors.Join(err, im.spool.close()); err != nil {
		return Summary{}, core.Wrap(kindOf(err), "advisory.Import", err)
	}
	return im.summary, nil
}

// lock keeps a second import out; it goes with the process.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, fileLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "advisory.Import", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, core.E(core.KindConflict, "advisory.Import", "another import into "+dir+" is running").WithHint("wait until it is done")
	}
	return func() { _ = f.Close() }, nil
}

// importer is one import.
type importer struct {
	ctx     context.Context
	dir     string
	opt     Options
	spool   *spool
	summary Summary
	source  string
	covered map[string]int       // advisories of each ecosystem in the sources
	whole   map[string]bool      // ecosystems that the sources are about
	newest  time.Time            // of all of them
	sources map[string]bool      // labels that were read
	good    map[string]bool      // entries that were read and had a problem before
	pending map[string]bool      // entries that had a problem before
	asOf    map[string]time.Time // what the caller knows of ecosystems
	kev     feedRows
	epss    feedRows
}

type feedRows struct {
	rows  map[string][]byte
	state FeedState
}

func newImporter(ctx context.Context, dir string, opt Options) (*importer, error) {
	s, err := newSpool(dir)
	if err != nil {
		return nil, err
	}
	return &importer{
		ctx: ctx, dir: dir, opt: opt, spool: s, covered: map[string]int{}, whole: map[string]bool{}, sources: map[string]bool{},
		good: map[string]bool{}, pending: map[string]bool{}, asOf: map[string]time.Time{},
	}, nil
}

// origin is a source with what is known of it.
type origin struct {
	path, label string
	// ecosystem and asOf are set where it was fetched.
	ecosystem string
	asOf      time.Time
}

func (im *importer) run(sources []origin) error {
	old, err := Open(im.dir)
	if err != nil && kindOf(err) != core.KindNotFound {
		return err
	}
	if old != nil {
		defer func() { _ = old.Close() }()
		for _, p := range old.c.Manifest.Problems {
			im.pending[p.Entry] = true
		}
	}
	for _, s := range sources {
		im.source = s.label
		if s.ecosystem != "" {
			im.asOf[s.ecosystem], im.whole[s.ecosystem] = s.asOf, true
		}
		if s.path == "" {
			continue // it has not changed since it was fetched last
		}
		im.sources[s.label] = true
		if err := im.read(s.path); err != nil {
			return fmt.Errorf("%s: %w", s.label, err)
		}
	}
	return im.finish(old)
}

// finish writes what has changed.
func (im *importer) finish(old *DB) error {
	switch {
	case len(im.spool.items) > 0 || im.summary.Incomplete() || old == nil:
		if err := im.merge(old); err != nil {
			return err
		}
		if err := im.pack(old); err != nil {
			return err
		}
	case len(im.asOf) > 0:
		if err := im.restamp(old); err != nil {
			return err
		}
	}
	if err := im.writeFeed(fileKEV, &im.kev, &im.summary.KEV); err != nil {
		return err
	}
	return im.writeFeed(fileEPSS, &im.epss, &im.summary.EPSS)
}

func (im *importer) writeFeed(name string, f *feedRows, told **FeedState) error {
	if f.rows == nil {
		return nil
	}
	f.state.Entries = len(f.rows)
	*told = &f.state
	return writeFeed(im.dir, name, f.rows, f.state, im.opt.now())
}

// restamp writes the same advisories with what is new about their age.
func (im *importer) restamp(old *DB) error {
	p, err := newPacker(filepath.Join(im.dir, fileAdvisories))
	if err != nil {
		return err
	}
	if err := old.c.copyTo(p); err != nil {
		return p.abort(err)
	}
	m := old.c.Manifest
	m.Built, m.Ecosystems, m.Problems = im.opt.now(), map[string]*Ecology{}, nil
	im.inherit(&m, &old.c.Manifest)
	for name, before := range old.c.Manifest.Ecosystems {
		e := *before
		im.date(name, &e, before)
		m.Ecosystems[name] = &e
	}
	return p.commit(m)
}

// merge takes over what the old database has and the sources have not, and
// counts what is new.
func (im *importer) merge(old *DB) error {
	s := im.spool
	im.summary.Added = len(s.items)
	if old == nil {
		return nil
	}
	return old.each(func(raw []byte) error {
		if err := im.ctx.Err(); err != nil {
			return err
		}
		incoming := s.items[string(recordID(raw))]
		if incoming != nil {
			im.summary.Added--
		}
		before := s.tally
		if incoming != nil && incoming.modified == heading(raw).modified && !s.same(incoming, raw) {
			im.summary.Updated++ // read again and better, or corrected without a new date
			return nil
		}
		if err := s.addRaw(raw); err != nil || incoming == nil {
			return err
		}
		switch {
		case s.tally.again > before.again:
			im.summary.Unchanged++
		case s.tally.older > before.older:
			im.summary.Updated++
		default:
			im.summary.Older++
		}
		return nil
	})
}

func (im *importer) pack(old *DB) error {
	m := manifest{Built: im.opt.now(), Problems: im.summary.Problems, Unnamed: im.summary.Unnamed}
	before := map[string]*Ecology{}
	if old != nil {
		before = old.c.Manifest.Ecosystems
		im.inherit(&m, &old.c.Manifest)
	}
	return im.spool.pack(filepath.Join(im.dir, fileAdvisories), m, func(name string, e *Ecology) { im.date(name, e, before[name]) })
}

// inherit keeps the problems of earlier imports that this one has not solved.
func (im *importer) inherit(m *manifest, old *manifest) {
	for _, p := range old.Problems {
		if !im.sources[p.Source] && !im.good[p.Entry] {
			m.Problems = append(m.Problems, p)
		}
	}
	if len(old.Problems) > 0 && len(m.Problems) > 0 && old != m {
		m.Unnamed += old.Unnamed
	}
	if extra := len(m.Problems) - maxProblems; extra > 0 {
		m.Problems, m.Unnamed = m.Problems[:maxProblems], m.Unnamed+extra
	}
}

// date says of which moment an ecosystem's advisories are. A source from the
// future is of now: a wrong clock must not keep a database fresh forever.
func (im *importer) date(name string, e *Ecology, old *Ecology) {
	e.Whole = im.whole[name] || old != nil && old.Whole
	now := im.opt.now()
	switch covered := im.covered[name]; {
	case !im.asOf[name].IsZero():
		e.AsOf = im.asOf[name]
	case im.whole[name] && !im.opt.AsOf.IsZero():
		e.AsOf = im.opt.AsOf
	case im.whole[name] && covered*10 >= e.Advisories*9:
		e.AsOf = im.newest
	case old == nil:
		e.AsOf = e.Newest
	}
	if e.AsOf.After(now) {
		e.AsOf = now
	}
	if old != nil && old.AsOf.After(e.AsOf) {
		e.AsOf = old.AsOf
	}
}

// advisory takes one record of the sources.
func (im *importer) advisory(a *Advisory, entry string) error {
	im.summary.Read++
	if im.opt.Progress != nil && im.summary.Read%512 == 0 {
		im.opt.Progress(im.summary.Read, im.source)
	}
	if im.pending[entry] {
		im.good[entry] = true
	}
	im.warn(a, entry)
	if im.spool.items[a.ID] == nil {
		names := a.ecosystems()
		for name := range names {
			im.covered[name]++
			// A source of one ecosystem has advisories that it shares with others,
			// and none that are of the others alone.
			im.whole[name] = im.whole[name] || len(names) == 1
		}
	}
	if a.Modified.After(im.newest) {
		im.newest = a.Modified
	}
	return im.spool.add(a)
}

func (a *Advisory) ecosystems() map[string]bool {
	names := map[string]bool{}
	for i := range a.Affected {
		base, _ := split(a.Affected[i].Ecosystem)
		names[cmp.Or(base, gitEcosystem)] = true
	}
	return names
}

// warn names vectors that can't be read.
func (im *importer) warn(a *Advisory, entry string) {
	check := func(all []Severity) {
		for _, s := range all {
			if s.Type == "Ubuntu" || len(im.summary.Warnings) >= maxProblems {
				continue
			}
			if _, err := priority.ParseCVSS(s.Score); err != nil {
				im.summary.Warnings = append(im.summary.Warnings, Problem{im.source, cmp.Or(entry, a.ID), a.ID + ": " + err.Error()})
			}
		}
	}
	check(a.Severity)
	for i := range a.Affected {
		check(a.Affected[i].Severity)
	}
}

// problem names what could not be read.
func (im *importer) problem(entry, what string) {
	if len(im.summary.Problems) >= maxProblems {
		im.summary.Unnamed++
		return
	}
	im.summary.Problems = append(im.summary.Problems, Problem{im.source, entry, what})
}

// label names a source the same from every folder it is read from: "npm/all.zip".
func label(path string) string {
	clean, err := filepath.Abs(path)
	if err != nil {
		clean = filepath.Clean(path)
	}
	return filepath.ToSlash(filepath.Join(filepath.Base(filepath.Dir(clean)), filepath.Base(clean)))
}
