package lifecycle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
)

// MaxPackages is how many packages one inventory has at most.
const MaxPackages = 100_000

// Look is what somebody found that a scope of a subject has.
type Look struct {
	Subject string
	// Scope is what of the subject was looked at, as [ScopeOf] names it; "" where
	// there is one inventory of it all.
	Scope    string
	Packages []scanning.Package
	// At is when it was looked, not when that became known.
	At time.Time
	// Partial is set where there were gaps: what the scope had and the look does
	// not speak of stays.
	Partial bool
	// Matched names the advisories that the packages are held against in the same
	// transaction, "" for none.
	Matched string
}

// Inventory is what a scope of a subject has, as it was taken in.
type Inventory struct {
	Subject string `json:"subject"`
	Scope   string `json:"scope,omitempty"`
	// Document is the hash of the components: the same for all that have the
	// same.
	Document   string    `json:"document"`
	Components int       `json:"components"`
	Since      time.Time `json:"since"` // when it was first seen as it is
	Seen       time.Time `json:"seen"`
	// Changed is false where it is as it was.
	Changed bool `json:"changed"`
}

// component is a package in one version, without what differs between builds of
// the same thing.
type component struct {
	hash [16]byte
	pkg  *scanning.Package
}

// hashOfPackage names a component by what is kept of it.
func hashOfPackage(p *scanning.Package, scratch []byte) ([16]byte, []byte) {
	scratch = scratch[:0]
	for _, part := range [...]string{p.Ecosystem, p.Name, p.Version, p.Source, p.SourceVersion, p.PURL, p.File} {
		scratch = binary.AppendUvarint(scratch, uint64(len(part)))
		scratch = append(scratch, part...)
	}
	scratch = append(scratch, byte(flag(p.Direct)), byte(flag(p.Dev)))
	sum := sha256.Sum256(scratch)
	return [16]byte(sum[:16]), scratch
}

// components are the different ones of a list, by their hash.
func components(packages []scanning.Package) ([]component, error) {
	if len(packages) > MaxPackages {
		return nil, core.E(core.KindTooLarge, "lifecycle.TakeInventory", fmt.Sprintf("an inventory has at most %d packages", MaxPackages))
	}
	list := make([]component, 0, len(packages))
	var scratch []byte
	for i := range packages {
		p := &packages[i]
		if !name(p.Name) || len(p.Version) > maxName || len(p.Ecosystem) > maxName {
			return nil, core.E(core.KindInvalid, "lifecycle.TakeInventory", fmt.Sprintf("%.60q is no name of a package", p.Name))
		}
		c := component{pkg: p}
		c.hash, scratch = hashOfPackage(p, scratch)
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b component) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	return slices.CompactFunc(list, func(a, b component) bool { return a.hash == b.hash }), nil
}

// ScopeOf names the inventory of a scope: two scopes of one subject have an
// inventory each.
func ScopeOf(subject string, s scanning.Scope) string {
	if s.Kind == scanning.ScopeSBOM && s.Name == subject {
		return ""
	}
	return string(s.Kind) + "/" + s.Name
}

// TakeInventory keeps what a scope of a subject has. Components and documents that
// several share are kept once.
func (s *Store) TakeInventory(ctx context.Context, tx *store.Tx, tenant core.TenantID, l Look) (Inventory, error) {
	if err := CheckSubject(l.Subject); err != nil {
		return Inventory{}, err
	}
	if l.Scope != "" && !name(l.Scope) {
		return Inventory{}, core.E(core.KindInvalid, "lifecycle.TakeInventory", "a scope is a short name on one line")
	}
	b := s.begin(ctx, tx, tenant)
	if l.Partial {
		kept, err := b.keeping(l)
		if err != nil {
			return Inventory{}, err
		}
		if len(kept) > len(l.Packages) {
			l.Packages, l.Matched = kept, "" // what was kept is held against the advisories by itself
		}
	}
	list, err := components(l.Packages)
	if err != nil {
		return Inventory{}, err
	}
	l.At = l.At.UTC().Truncate(time.Microsecond)
	h := sha256.New()
	for _, c := range list {
		_, _ = h.Write(c.hash[:])
	}
	hash := hex.EncodeToString(h.Sum(nil))
	number, err := b.document(hash, list)
	if err != nil {
		return Inventory{}, err
	}
	inv := Inventory{Subject: l.Subject, Scope: l.Scope, Document: hash, Components: len(list), Since: l.At, Seen: l.At, Changed: true}
	return b.hold(inv, l, number)
}

// keeping adds to the packages of a partial look what its scope had and it does
// not speak of: what could not be read is not gone.
func (b *batch) keeping(l Look) ([]scanning.Package, error) {
	held, err := b.held(" AND ended = 0 AND subject = $2 AND scope = $3", l.Subject, l.Scope)
	if err != nil || len(held) == 0 {
		return l.Packages, err
	}
	before, err := b.s.Packages(b.ctx, b.tx, b.tenant, held[0].document)
	if err != nil {
		return nil, err
	}
	named := map[[3]string]bool{}
	for _, p := range l.Packages {
		named[[3]string{p.Ecosystem, p.Name, p.File}] = true
	}
	packages := slices.Clone(l.Packages)
	for _, p := range before {
		if !named[[3]string{p.Ecosystem, p.Name, p.File}] {
			packages = append(packages, p)
		}
	}
	return packages, nil
}

// document returns the number of a document, which it writes where it is new.
func (b *batch) document(hash string, list []component) (number int64, err error) {
	err = b.tx.QueryRow(b.ctx, `SELECT number FROM scanning_documents WHERE tenant = $1 AND hash = $2`, b.tenant, hash).Scan(&number)
	if !errors.Is(err, sql.ErrNoRows) {
		return number, err
	}
	numbers := make([]int64, len(list))
	for i, c := range list {
		if numbers[i], err = b.component(c); err != nil {
			return 0, err
		}
	}
	slices.Sort(numbers)
	err = b.tx.QueryRow(b.ctx, `INSERT INTO scanning_documents (tenant, number, hash, components) VALUES ($1,
		(SELECT COALESCE(MAX(number), 0) + 1 FROM scanning_documents WHERE tenant = $1), $2, $3) RETURNING number`, b.tenant, hash, packed(numbers)).Scan(&number)
	if err != nil {
		return 0, fmt.Errorf("inventory %.12s: writing it: %w", hash, err)
	}
	return number, nil
}

// component returns the number of a component, which it writes where it is new.
func (b *batch) component(c component) (number int64, err error) {
	if number, is := b.s.numbers.get(b.tenant, c.hash); is {
		return number, nil
	}
	defer func() {
		if err == nil {
			b.tx.OnCommit(func() { b.s.numbers.put(b.tenant, c.hash, number) })
		}
	}()
	hash := hex.EncodeToString(c.hash[:])
	err = b.tx.QueryRow(b.ctx, `SELECT number FROM scanning_components WHERE tenant = $1 AND hash = $2`, b.tenant, hash).Scan(&number)
	if !errors.Is(err, sql.ErrNoRows) {
		return number, err
	}
	kept := *c.pkg
	kept.Hashes, kept.Requires, kept.Licenses, kept.Layer = nil, nil, nil, ""
	body, err := json.Marshal(kept)
	if err != nil {
		return 0, core.Wrap(core.KindInvalid, "lifecycle.TakeInventory", err)
	}
	err = b.tx.QueryRow(b.ctx, `INSERT INTO scanning_components (tenant, number, hash, body) VALUES ($1,
		(SELECT COALESCE(MAX(number), 0) + 1 FROM scanning_components WHERE tenant = $1), $2, $3) RETURNING number`, b.tenant, hash, body).Scan(&number)
	if err != nil {
		return 0, fmt.Errorf("component %s: writing it: %w", c.pkg.Name, err)
	}
	for _, k := range advisory.Keys(c.pkg) {
		_, err := b.tx.Exec(b.ctx, `INSERT INTO scanning_component_keys (tenant, key, number) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, b.tenant, columnKey(k), number)
		if err != nil {
			return 0, fmt.Errorf("component %s: writing its keys: %w", c.pkg.Name, err)
		}
	}
	return number, nil
}

// numbers remembers components that are in the database for good.
type numbers struct {
	mu sync.Mutex
	of map[numbered]int64
}

type numbered struct {
	tenant core.TenantID
	hash   [16]byte
}

// maxNumbers bounds what is remembered; at the bound all is forgotten.
const maxNumbers = 100_000

func (n *numbers) get(tenant core.TenantID, hash [16]byte) (int64, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	number, is := n.of[numbered{tenant, hash}]
	return number, is
}

func (n *numbers) put(tenant core.TenantID, hash [16]byte, number int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil || len(n.of) >= maxNumbers {
		n.of = map[numbered]int64{}
	}
	n.of[numbered{tenant, hash}] = number
}

// columnKey is an advisory's key as a column holds it.
func columnKey(key string) string { return strings.ReplaceAll(key, "\x00", "\n") }

// hold notes which document a scope has. One that is older than what is known
// changes nothing.
func (b *batch) hold(inv Inventory, l Look, number int64) (Inventory, error) {
	const current = ` WHERE tenant = $1 AND subject = $2 AND scope = $3 AND ended = 0`
	var had held
	err := b.tx.QueryRow(b.ctx, `SELECT since, document, seen, whole, matched FROM scanning_inventories`+current, b.tenant, inv.Subject, inv.Scope).
		Scan(&had.since, &had.document, &had.seen, &had.whole, &had.matched)
	at := store.Micros(inv.Seen)
	whole := at
	if l.Partial && err == nil {
		whole = had.whole
	}
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return inv, err
	case err == nil && at <= had.seen && had.document != number:
		return inv, core.E(core.KindConflict, "lifecycle.TakeInventory", fmt.Sprintf("%s: a later inventory is known already, of %s", inv.Subject, store.FromMicros(had.seen).Format(time.RFC3339)))
	case err == nil && had.document == number:
		inv.Since, inv.Changed, inv.Seen = store.FromMicros(had.since), false, store.FromMicros(max(at, had.seen))
		if at < had.seen {
			return inv, nil
		}
		if whole = max(whole, had.whole); l.Matched == "" && whole == had.whole {
			l.Matched = had.matched // nothing that the advisories have to be asked about again
		}
		_, err = b.tx.Exec(b.ctx, `UPDATE scanning_inventories SET seen = $4, whole = $5, matched = $6`+current, b.tenant, inv.Subject, inv.Scope, at, whole, l.Matched)
		return inv, err
	case err == nil:
		if _, err := b.tx.Exec(b.ctx, `UPDATE scanning_inventories SET ended = $4`+current, b.tenant, inv.Subject, inv.Scope, at); err != nil {
			return inv, err
		}
	}
	_, err = b.tx.Exec(b.ctx, `INSERT INTO scanning_inventories (tenant, subject, scope, since, document, seen, whole, ended, matched) VALUES ($1, $2, $3, $4, $5, $4, $6, 0, $7)`,
		b.tenant, inv.Subject, inv.Scope, at, number, whole, l.Matched)
	return inv, err
}

// packed are ascending numbers as their differences.
func packed(numbers []int64) []byte {
	out := make([]byte, 0, 2*len(numbers))
	last := int64(0)
	for _, n := range numbers {
		out = binary.AppendUvarint(out, uint64(n-last))
		last = n
	}
	return out
}

// unpacked is what packed made a row of.
func unpacked(body []byte) (numbers []int64, err error) {
	at := int64(0)
	for len(body) > 0 {
		d, n := binary.Uvarint(body)
		if n <= 0 {
			return nil, core.E(core.KindDamaged, "lifecycle.inventory", "a document's components are damaged")
		}
		at, body = at+int64(d), body[n:]
		numbers = append(numbers, at)
	}
	return numbers, nil
}

// among calls fn for each of the packed numbers that a set has.
func among(body []byte, set map[int64]int, fn func(int)) error {
	numbers, err := unpacked(body)
	for _, n := range numbers {
		if i, is := set[n]; is {
			fn(i)
		}
	}
	return err
}
