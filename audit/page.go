package audit

import (
	"context"
	"fmt"
	"slices"

	"github.com/interlock-security/interlock/core"
)

// pageScan is how many entries one [Log.Page] looks at, so that a search for what
// there is not ends: about a tenth of a second. Tests make it smaller.
var pageScan = 20_000

// pageChunk is how many entries are read at once, backwards from the end.
const pageChunk = 500

// Page returns the newest entries that fit, newest first, and where to go on:
// with Before set to next it returns those before. The zero next is the log's
// beginning. A page looks at a bounded number of entries, so that it can hold
// fewer hits than asked for and have a next one. Unlike [Log.Search] it reads
// backwards and costs the same in a log of any length.
func (l *Log) Page(ctx context.Context, q Query) (hits []Record, next core.Position, err error) {
	p := &pager{log: l, match: l.matcher(q), limit: min(max(q.Limit, 0), maxHits), budget: pageScan}
	if p.limit == 0 {
		p.limit = 100
	}
	l.mu.RLock()
	chain := slices.Clone(l.chain)
	l.mu.RUnlock()
	at := len(chain) - 1
	if q.Before.Origin != "" {
		at = slices.IndexFunc(chain, func(g *generation) bool { return g.origin == q.Before.Origin })
		if at < 0 {
			return nil, next, core.E(core.KindNotFound, "audit.Page", fmt.Sprintf("there is no log %.80q", q.Before.Origin))
		}
	}
	for ; at >= 0; at-- {
		if err := chain[at].ready(); err != nil {
			return nil, next, err
		}
		end := chain[at].tree.size()
		if q.Before.Origin == chain[at].origin {
			end = min(end, q.Before.Index)
		}
		stopped, err := p.read(ctx, chain[at], end)
		if err != nil {
			return nil, next, err
		}
		if stopped > 0 {
			return p.hits, core.Position{Origin: chain[at].origin, Index: stopped}, nil
		}
		if p.full() && at > 0 { // the page ends exactly where this log begins
			return p.hits, core.Position{Origin: chain[at].origin}, nil
		}
	}
	return p.hits, next, nil
}

// pager gathers a page.
type pager struct {
	log    *Log
	match  func(*Header) bool
	limit  int
	budget int
	hits   []Record
}

func (p *pager) full() bool { return len(p.hits) >= p.limit || p.budget <= 0 }

// read takes the hits of a generation before end, newest first. It returns the
// entry before which the next page goes on, 0 where nothing is left.
func (p *pager) read(ctx context.Context, g *generation, end uint64) (uint64, error) {
	for end > 0 && !p.full() {
		from := end - min(end, pageChunk)
		found, err := p.chunk(ctx, g, from, end)
		if err != nil {
			return 0, err
		}
		for _, at := range found {
			if p.full() {
				break
			}
			r, err := p.log.subjects.open(core.Position{Origin: g.origin, Index: at.index}, at.leaf)
			if err != nil {
				return 0, err
			}
			p.hits, end = append(p.hits, r), at.index
		}
		if !p.full() {
			end = from
		}
		p.budget -= pageChunk
	}
	return end, nil
}

// leafAt is a leaf and its index.
type leafAt struct {
	index uint64
	leaf  []byte
}

// chunk returns the leaves from up to, not including, end that fit, newest first.
func (p *pager) chunk(ctx context.Context, g *generation, from, end uint64) ([]leafAt, error) {
	var found []leafAt
	err := g.scan(ctx, from, end, func(index uint64, leaf []byte) error {
		h, _, err := ParseLeaf(leaf)
		if err == nil && p.match(&h) {
			found = append(found, leafAt{index, slices.Clone(leaf)})
		}
		return err
	})
	slices.Reverse(found)
	return found, err
}
