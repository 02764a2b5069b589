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

// Inventory is what a subject has, as it was taken in.
type Inventory struct {
	Subject string `json:"subject"`
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

// TakeInventory keeps what a subject has from at on. Components and documents that
// several subjects share are kept once.
func (s *Store) TakeInventory(ctx context.Context, tx *store.Tx, tenant core.TenantID, subject string, packages []scanning.Package, at time.Time) (Inventory, error) {
	if err := CheckSubject(subject); err != nil {
		return Inventory{}, err
	}
	list, err := components(packages)
	if err != nil {
		return Inventory{}, err
	}
	at = at.UTC().Truncate(time.Microsecond)
	h := sha256.New()
	for _, c := range list {
		_, _ = h.Write(c.hash[:])
	}
	b := s.begin(ctx, tx, tenant)
	hash := hex.EncodeToString(h.Sum(nil))
	number, err := b.document(hash, list)
	if err != nil {
		return Inventory{}, err
	}
	inv := Inventory{Subject: subject, Document: hash, Components: len(list), Since: at, Seen: at, Changed: true}
	return b.hold(inv, number)
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

// hold notes which document a subject has. One that is older than what is known
// changes nothing.
func (b *batch) hold(inv Inventory, number int64) (Inventory, error) {
	var since, document, seen int64
	err := b.tx.QueryRow(b.ctx, `SELECT since, document, seen FROM scanning_held WHERE tenant = $1 AND subject = $2 AND ended = 0`, b.tenant, inv.Subject).Scan(&since, &document, &seen)
	at := store.Micros(inv.Seen)
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return inv, err
	case err == nil && document == number:
		inv.Since, inv.Changed, inv.Seen = store.FromMicros(since), false, store.FromMicros(max(at, seen))
		_, err = b.tx.Exec(b.ctx, `UPDATE scanning_held SET seen = $3 WHERE tenant = $1 AND subject = $2 AND ended = 0`, b.tenant, inv.Subject, max(at, seen))
		return inv, err
	case err == nil && at <= seen:
		return inv, core.E(core.KindConflict, "lifecycle.TakeInventory", fmt.Sprintf("%s: a later inventory is known already, of %s", inv.Subject, store.FromMicros(seen).Format(time.RFC3339)))
	case err == nil:
		if _, err := b.tx.Exec(b.ctx, `UPDATE scanning_held SET ended = $3 WHERE tenant = $1 AND subject = $2 AND ended = 0`, b.tenant, inv.Subject, at); err != nil {
			return inv, err
		}
	}
	_, err = b.tx.Exec(b.ctx, `INSERT INTO scanning_held (tenant, subject, since, document, seen, ended) VALUES ($1, $2, $3, $4, $3, 0)`, b.tenant, inv.Subject, at, number)
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

// held is a time during which a subject had a document.
type held struct {
	subject            string
	since, seen, ended int64
	document           int64
}

func (b *batch) held(where string, args ...any) (list []held, err error) {
	rows, err := b.tx.Query(b.ctx, `SELECT subject, since, seen, ended, document FROM scanning_held WHERE tenant = $1`+where+` ORDER BY subject, since`, append([]any{b.tenant}, args...)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var h held
		if err := rows.Scan(&h.subject, &h.since, &h.seen, &h.ended, &h.document); err != nil {
			return nil, err
		}
		list = append(list, h)
	}
	return list, rows.Err()
}

// firstHeld is since when a subject has a package in this version without a
// break, as far as its inventories say. That the first inventory of all, taken
// now, has it says nothing of since when.
func (b *batch) firstHeld(subject string, p scanning.Package, now time.Time) (Introduction, error) {
	times, err := b.held(` AND subject = $2`, subject)
	if err != nil || len(times) == 0 {
		return Introduction{}, err
	}
	target := Target{Keys: advisory.Keys(&p), Matches: func(q *scanning.Package) (bool, error) { return q.Version == p.Version, nil }}
	docs, _, err := b.documentsWith([]Target{target})
	if err != nil {
		return Introduction{}, err
	}
	from := Introduction{}
	for _, h := range slices.Backward(times) {
		if _, has := docs[h.document]; !has {
			break
		}
		from = Introduction{At: store.FromMicros(h.since), By: ByInventory}
	}
	if from.At.IsZero() || !from.At.Before(now) && from.At.Equal(store.FromMicros(times[0].since)) {
		return Introduction{}, nil
	}
	err = b.tx.QueryRow(b.ctx, `SELECT d.hash FROM scanning_held h JOIN scanning_documents d ON d.tenant = h.tenant AND d.number = h.document
		WHERE h.tenant = $1 AND h.subject = $2 AND h.since = $3`, b.tenant, subject, store.Micros(from.At)).Scan(&from.Document)
	from.Document = from.Document[:min(16, len(from.Document))]
	return from, err
}
