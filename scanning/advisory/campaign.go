package advisory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// Change is how an advisory of one database differs from the other's.
type Change string

// The changes.
const (
	Added     Change = "added"
	Changed   Change = "changed"
	Withdrawn Change = "withdrawn" // or gone
)

// Affected is one package that an advisory speaks of, and a predicate of its
// versions. Stored inventories that are indexed by [Key] (see [Keys]) find
// their packages by Key, and ask Matches.
type Affected struct {
	// ID is the advisory's, Aliases all other names of the same vulnerability.
	ID      string
	Aliases []string
	// Ecosystem is as the advisory writes it, with its release.
	Ecosystem string
	Name      string
	Key       string
	// Change is set by [Diff].
	Change Change
	ask    *asked
}

// asked is the packed page of one advisory and the answers that were given.
type asked struct {
	mu      sync.Mutex
	bytes   []byte
	answers map[string]error // nil: affected
}

var errClean = errors.New("not affected")

// Affects says whether a version is affected. An error means that nobody knows:
// the version, or the advisory's, can't be ordered.
func (a *Affected) Affects(version string) (bool, error) {
	a.ask.mu.Lock()
	defer a.ask.mu.Unlock()
	err, ok := a.ask.answers[version]
	if !ok {
		err = a.evaluate(version)
		a.ask.answers[version] = err
	}
	if errors.Is(err, errClean) {
		return false, nil
	}
	return err == nil, err
}

func (a *Affected) evaluate(version string) error {
	base, _, _ := strings.Cut(a.Key, "\x00")
	var g page
	g.read(a.ask.bytes, base)
	at := g.stand(version)
	worst := clean
	for g.next() {
		switch v := g.verdict(at); {
		case v == affected:
			return nil
		case v > worst:
			worst = v
		}
	}
	if worst == clean {
		return errClean
	}
	return core.E(core.KindUncertain, "advisory.Affects", fmt.Sprintf("whether %s affects %s %.100q can't be told from its versions", a.ID, a.Name, version))
}

// Matches says whether a package is affected: its name, its release and its
// version. An error is as in Affects.
func (a *Affected) Matches(p *scanning.Package) (bool, error) {
	base, release := split(p.Ecosystem)
	own, of := split(a.Ecosystem)
	if own != "" && (own != base || !sameRelease(base, of, release)) {
		return false, nil
	}
	for _, s := range subjects(p) {
		if s.key == a.Key {
			return a.Affects(s.version)
		}
	}
	return false, nil
}

// Affected lists the packages of an advisory by any of its names: those of every
// record that is an alias of it, and of the distributions' records that have it
// upstream. Withdrawn records have none.
func (db *DB) Affected(name string) ([]Affected, error) {
	ordinals := db.family(name)
	if len(ordinals) == 0 {
		return nil, core.E(core.KindNotFound, "advisory.Affected", fmt.Sprintf("the database has no advisory %.100q", name))
	}
	var all []Affected
	for _, i := range ordinals {
		list, err := db.affected(i)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// family are the records of a name, of its aliases, and of what is downstream of
// any of them.
func (db *DB) family(name string) []int {
	names := []string{name}
	if _, i := db.records.find(name); i >= 0 {
		names = append(names, db.namesOf(i)...)
	} else if aliases, _ := db.named(name); len(aliases) > 0 {
		names = append(names, db.namesOf(aliases[0])...)
	}
	var found []int
	for _, n := range names {
		if _, i := db.records.find(n); i >= 0 {
			found = append(found, i)
		}
		aliases, upstream := db.named(n)
		found = append(append(found, aliases...), upstream...)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func (db *DB) namesOf(i int) []string {
	r, _ := decodeRecord(db.records.at(i))
	return append([]string{r.id}, r.names...)
}

// affected lists the packages of one record.
func (db *DB) affected(i int) ([]Affected, error) {
	a, err := db.load(i)
	if err != nil || !a.Withdrawn.IsZero() {
		return nil, err
	}
	r, _ := decodeRecord(db.records.at(i))
	names := slices.DeleteFunc(slices.Clone(r.names), func(n string) bool { return n == a.ID })
	var all []Affected
	for _, one := range a.packages() {
		one.ID, one.Aliases = a.ID, names
		all = append(all, one)
	}
	return all, nil
}

// packages groups the entries of a record by package and release.
func (a *Advisory) packages() []Affected {
	var all []Affected
	var entries [][]posting
	index := map[string]int{}
	add := func(key string, e *Entry, ecosystem, name string) {
		id := key + "\x00" + ecosystem
		i, ok := index[id]
		if !ok {
			i = len(all)
			index[id] = i
			all = append(all, Affected{Ecosystem: ecosystem, Name: name, Key: key})
			entries = append(entries, nil)
		}
		entries[i] = append(entries[i], posting{0, e})
	}
	for i := range a.Affected {
		e := &a.Affected[i]
		if e.Name != "" {
			add(Key(e.Ecosystem, e.Name), e, e.Ecosystem, e.Name)
		}
		if repo := e.repo(); repo != "" && !strings.HasPrefix(e.Ecosystem, gitEcosystem) {
			add(Key(gitEcosystem, repo), e, gitEcosystem, repo)
		}
	}
	for i := range all {
		var w wire
		packPackage(&w, all[i].Key, entries[i])
		all[i].ask = &asked{bytes: w.b, answers: map[string]error{}}
	}
	return all
}

// Diff lists the packages of every advisory that newer has and older has not, or
// has otherwise; older may be nil. Of what was withdrawn or is gone it lists the
// packages that older named, so that findings can be closed.
func Diff(older, newer *DB) ([]Affected, error) {
	var all []Affected
	for i := range newer.records.len() {
		r, _ := decodeRecord(newer.records.at(i))
		change, source, at := Added, newer, i
		if older != nil {
			if b, j := older.records.find(r.id); j >= 0 {
				before, _ := decodeRecord(b)
				switch {
				case before.sum == r.sum:
					continue
				case r.withdrawn != 0 && before.withdrawn == 0:
					change, source, at = Withdrawn, older, j
				default:
					change = Changed
				}
			}
		}
		list, err := source.affected(at)
		if err != nil {
			return nil, err
		}
		all = mark(all, list, change)
	}
	return gone(all, older, newer)
}

func mark(all, list []Affected, change Change) []Affected {
	for _, a := range list {
		a.Change = change
		all = append(all, a)
	}
	return all
}

// gone adds what only the older one has: another database was put in its place.
func gone(all []Affected, older, newer *DB) ([]Affected, error) {
	if older == nil {
		return all, nil
	}
	for i := range older.records.len() {
		if _, j := newer.records.find(string(recordID(older.records.at(i)))); j >= 0 {
			continue
		}
		list, err := older.affected(i)
		if err != nil {
			return nil, err
		}
		all = mark(all, list, Withdrawn)
	}
	return all, nil
}
