package lifecycle

import (
	"slices"
	"time"

	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
)

// held is a time during which a scope of a subject had a document.
type held struct {
	subject, scope     string
	since, seen, ended int64
	whole              int64
	document           int64
	matched            string
}

func (b *batch) held(where string, args ...any) (list []held, err error) {
	rows, err := b.tx.Query(b.ctx, `SELECT subject, scope, since, seen, whole, ended, document, matched FROM scanning_inventories WHERE tenant = $1`+where+` ORDER BY subject, scope, since`,
		append([]any{b.tenant}, args...)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var h held
		if err := rows.Scan(&h.subject, &h.scope, &h.since, &h.seen, &h.whole, &h.ended, &h.document, &h.matched); err != nil {
			return nil, err
		}
		list = append(list, h)
	}
	return list, rows.Err()
}

// past is what a subject had so far, read once for all findings of a report.
type past struct {
	subject string
	times   []held
	docs    map[int64][]byte // the components of its documents, packed
	numbers map[int64]bool   // and of all of them
}

// pastOf reads what a subject had.
func (b *batch) pastOf(subject string) (*past, error) {
	if b.past != nil && b.past.subject == subject {
		return b.past, nil
	}
	p := &past{subject: subject, docs: map[int64][]byte{}, numbers: map[int64]bool{}}
	var err error
	if p.times, err = b.held(` AND subject = $2`, subject); err != nil {
		return nil, err
	}
	for _, h := range p.times {
		if _, is := p.docs[h.document]; is {
			continue
		}
		var body []byte
		if err := b.tx.QueryRow(b.ctx, `SELECT components FROM scanning_documents WHERE tenant = $1 AND number = $2`, b.tenant, h.document).Scan(&body); err != nil {
			return nil, err
		}
		numbers, err := unpacked(body)
		if err != nil {
			return nil, err
		}
		for _, n := range numbers {
			p.numbers[n] = true
		}
		p.docs[h.document] = body
	}
	b.past = p
	return p, nil
}

// firstHeld is since when a subject has a package in this version without a
// break, as far as its inventories say. That the first inventory of all, taken
// now, has it says nothing of since when.
func (b *batch) firstHeld(subject string, p scanning.Package, now time.Time) (Introduction, error) {
	past, err := b.pastOf(subject)
	if err != nil || len(past.times) == 0 {
		return Introduction{}, err
	}
	numbers, err := b.numbersOf(past, p)
	if err != nil || len(numbers) == 0 {
		return Introduction{}, err
	}
	var first held
	for times := range scopes(past.times) {
		h, is, err := past.unbroken(times, numbers)
		if err != nil {
			return Introduction{}, err
		}
		if is && (first.since == 0 || h.since < first.since) && (store.FromMicros(h.since).Before(now) || h.since != times[0].since) {
			first = h
		}
	}
	if first.since == 0 {
		return Introduction{}, nil
	}
	from := Introduction{At: store.FromMicros(first.since), By: ByInventory}
	err = b.tx.QueryRow(b.ctx, `SELECT hash FROM scanning_documents WHERE tenant = $1 AND number = $2`, b.tenant, first.document).Scan(&from.Document)
	from.Document = from.Document[:min(16, len(from.Document))]
	return from, err
}

// numbersOf are the components of a subject's documents that are a package in its
// version. What a fleet has under one name may be thousands of versions, so only
// those are read that the subject has.
func (b *batch) numbersOf(past *past, p scanning.Package) (map[int64]int, error) {
	found := map[int64]int{}
	for _, k := range advisory.Keys(&p) {
		numbers, err := column[int64](b.ctx, b.tx, `SELECT number FROM scanning_component_keys WHERE tenant = $1 AND key = $2`, b.tenant, columnKey(k))
		if err != nil {
			return nil, err
		}
		for _, n := range numbers {
			if !past.numbers[n] {
				continue
			}
			q, err := b.packageOf(n)
			if err != nil {
				return nil, err
			}
			if q.Version == p.Version {
				found[n] = 0
			}
		}
	}
	return found, nil
}

// unbroken is the first of the times, counted from the last, all of which have one
// of the components.
func (p *past) unbroken(times []held, numbers map[int64]int) (first held, is bool, err error) {
	for _, h := range slices.Backward(times) {
		has := false
		if err := among(p.docs[h.document], numbers, func(int) { has = true }); err != nil {
			return held{}, false, err
		}
		if !has {
			break
		}
		first, is = h, true
	}
	return first, is, nil
}

// scopes are times of several scopes, those of one at a time.
func scopes(times []held) func(yield func([]held) bool) {
	return func(yield func([]held) bool) {
		for len(times) > 0 {
			n := slices.IndexFunc(times, func(h held) bool { return h.subject != times[0].subject || h.scope != times[0].scope })
			if n < 0 {
				n = len(times)
			}
			if !yield(times[:n]) {
				return
			}
			times = times[n:]
		}
	}
}
