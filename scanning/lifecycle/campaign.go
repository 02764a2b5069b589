package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
)

// Target is what a campaign asks stored inventories for: packages that have one of
// the keys of [advisory.Keys], and of those the ones that match.
type Target struct {
	Keys []string
	// Matches says whether a package is meant; an error that nobody can tell.
	Matches func(p *scanning.Package) (bool, error)
}

// TargetsOf are the packages that advisories speak of.
func TargetsOf(list []advisory.Affected) []Target {
	targets := make([]Target, 0, len(list))
	for i := range list {
		if list[i].Change == advisory.Withdrawn {
			continue
		}
		targets = append(targets, Target{Keys: []string{list[i].Key}, Matches: list[i].Matches})
	}
	return targets
}

// Hit is one subject that has, or had, what is asked for.
type Hit struct {
	Subject string    `json:"subject"`
	Since   time.Time `json:"since"`
	Seen    time.Time `json:"seen"` // when its inventory was last taken
	// Ended is when it was rid of it, as far as its inventories say; zero while
	// it has it.
	Ended    time.Time          `json:"ended,omitzero"`
	Packages []scanning.Package `json:"packages"`
	// Doubt is set where nobody can tell from the versions.
	Doubt bool `json:"doubt,omitempty"`
}

// Who finds the subjects that have or had what is asked for, those that have it
// first, by name. It reads stored inventories and scans nothing.
func (s *Store) Who(ctx context.Context, tx *store.Tx, tenant core.TenantID, targets []Target) ([]Hit, error) {
	b := s.begin(ctx, tx, tenant)
	docs, found, err := b.documentsWith(targets)
	if err != nil || len(docs) == 0 {
		return []Hit{}, err
	}
	times, err := b.held("")
	if err != nil {
		return nil, fmt.Errorf("lifecycle: reading inventories: %w", err)
	}
	hits := []Hit{}
	for times := range scopes(times) {
		h, is := hitOf(times, docs, found)
		switch last := len(hits) - 1; {
		case is && last >= 0 && hits[last].Subject == h.Subject:
			hits[last] = hits[last].and(h)
		case is:
			hits = append(hits, h)
		}
	}
	slices.SortStableFunc(hits, func(a, b Hit) int {
		if a.Ended.IsZero() != b.Ended.IsZero() {
			if a.Ended.IsZero() {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Subject, b.Subject)
	})
	return hits, nil
}

// and is a hit of two scopes of one subject: it is rid of it when both are.
func (h Hit) and(o Hit) Hit {
	switch {
	case h.Ended.IsZero() && !o.Ended.IsZero():
		return h
	case o.Ended.IsZero() && !h.Ended.IsZero():
		return o
	}
	if o.Since.Before(h.Since) {
		h.Since = o.Since
	}
	if o.Seen.Before(h.Seen) {
		h.Seen = o.Seen
	}
	if o.Ended.After(h.Ended) {
		h.Ended = o.Ended
	}
	h.Packages, h.Doubt = append(h.Packages, o.Packages...), h.Doubt && o.Doubt
	return h
}

// match is a component that is asked for.
type match struct {
	pkg   scanning.Package
	doubt bool
}

// documentsWith finds the documents that have what is asked for, with the places
// of that in the second result.
func (b *batch) documentsWith(targets []Target) (docs map[int64][]int, found []match, err error) {
	numbers := map[int64]int{}
	for _, t := range targets {
		for _, k := range t.Keys {
			if found, err = b.matching(k, t, numbers, found); err != nil {
				return nil, nil, err
			}
		}
	}
	if len(numbers) == 0 {
		return nil, nil, nil
	}
	docs = map[int64][]int{}
	rows, err := b.tx.Query(b.ctx, `SELECT number, components FROM scanning_documents WHERE tenant = $1`, b.tenant)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var number int64
		var body []byte
		if err := rows.Scan(&number, &body); err != nil {
			return nil, nil, err
		}
		if err := among(body, numbers, func(i int) { docs[number] = append(docs[number], i) }); err != nil {
			return nil, nil, err
		}
	}
	return docs, found, rows.Err()
}

// matching adds the components of a key that a target means.
func (b *batch) matching(key string, t Target, numbers map[int64]int, found []match) ([]match, error) {
	rows, err := b.tx.Query(b.ctx, `SELECT c.number, c.body FROM scanning_component_keys k JOIN scanning_components c ON c.tenant = k.tenant AND c.number = k.number
		WHERE k.tenant = $1 AND k.key = $2 ORDER BY k.number`, b.tenant, columnKey(key))
	if err != nil {
		return found, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var number int64
		var body []byte
		if err := rows.Scan(&number, &body); err != nil {
			return found, err
		}
		var p scanning.Package
		if err := json.Unmarshal(body, &p); err != nil {
			return found, core.Wrap(core.KindDamaged, "lifecycle.campaign", err)
		}
		is, doubt := t.Matches(&p)
		i, known := numbers[number]
		switch {
		case !is && doubt == nil:
		case known:
			found[i].doubt = found[i].doubt && doubt != nil
		default:
			numbers[number] = len(found)
			found = append(found, match{p, doubt != nil})
		}
	}
	return found, rows.Err()
}

// hitOf looks at the times of one scope of a subject, in order.
func hitOf(times []held, docs map[int64][]int, found []match) (Hit, bool) {
	last := len(times) - 1
	for last >= 0 && docs[times[last].document] == nil {
		last--
	}
	if last < 0 {
		return Hit{}, false
	}
	first := last
	for first > 0 && docs[times[first-1].document] != nil {
		first--
	}
	h := Hit{Subject: times[0].subject, Since: store.FromMicros(times[first].since), Seen: store.FromMicros(times[len(times)-1].seen), Doubt: true}
	if at := times[last].ended; at != 0 {
		h.Ended = store.FromMicros(at)
	}
	for _, i := range docs[times[last].document] {
		h.Packages = append(h.Packages, found[i].pkg)
		h.Doubt = h.Doubt && found[i].doubt
	}
	return h, true
}

// Campaign follows an advisory or a package until nobody has it.
type Campaign struct {
	ID      core.UUID `json:"id"`
	Name    string    `json:"name"`
	By      string    `json:"by"`
	Created time.Time `json:"created"`
	// Advisory is any of its names; otherwise Package is asked for.
	Advisory string `json:"advisory,omitempty"`
	// Ecosystem and Package name a package; of it, these versions or all below
	// one, or all.
	Ecosystem string   `json:"ecosystem,omitempty"`
	Package   string   `json:"package,omitempty"`
	Versions  []string `json:"versions,omitempty"`
	Below     string   `json:"below,omitempty"`
	// First is how many had it when the campaign began.
	First int `json:"affected_at_start"`
}

// Check says what is wrong with a campaign.
func (c *Campaign) Check() error {
	bad := func(why string) error { return core.E(core.KindInvalid, "lifecycle.StartCampaign", why) }
	switch {
	case c.Name != "" && !name(c.Name):
		return bad("a campaign's name is a short line")
	case (c.Advisory == "") == (c.Package == ""):
		return bad("a campaign is about an advisory or about a package")
	case c.Advisory != "" && !name(c.Advisory):
		return bad("an advisory's name is a short line")
	case c.Package != "" && (!name(c.Package) || !name(c.Ecosystem)):
		return bad("a package has an ecosystem and a name, such as Maven and org.apache.logging.log4j:log4j-core")
	case len(c.Versions) > maxNames || c.Below != "" && len(c.Versions) > 0:
		return bad("a campaign names versions, or all below one")
	}
	return nil
}

// Targets are what a campaign about a package asks for.
func (c *Campaign) Targets() []Target {
	return []Target{{Keys: []string{advisory.Key(c.Ecosystem, c.Package)}, Matches: func(p *scanning.Package) (bool, error) {
		switch {
		case !advisory.SameRelease(c.Ecosystem, p.Ecosystem):
			return false, nil
		case len(c.Versions) > 0:
			return slices.Contains(c.Versions, p.Version), nil
		case c.Below == "":
			return true, nil
		}
		order, err := advisory.CompareVersions(p.Ecosystem, p.Version, c.Below)
		return order < 0 && err == nil, err
	}}}
}

// StartCampaign keeps a campaign; targets are what it asks for.
func (s *Store) StartCampaign(ctx context.Context, tx *store.Tx, tenant core.TenantID, c Campaign, targets []Target) (Campaign, error) {
	if err := c.Check(); err != nil {
		return c, err
	}
	hits, err := s.Who(ctx, tx, tenant, targets)
	if err != nil {
		return c, err
	}
	for _, h := range hits {
		if h.Ended.IsZero() {
			c.First++
		}
	}
	c.Created = c.Created.UTC().Truncate(time.Microsecond)
	c.ID = core.NewUUID(c.Created)
	if c.Name == "" {
		c.Name = strings.TrimSpace(c.Advisory + c.Package + " " + c.Below)
	}
	body, err := json.Marshal(c)
	if err != nil {
		return c, core.Wrap(core.KindInternal, "lifecycle.StartCampaign", err)
	}
	if _, err := tx.Exec(ctx, `INSERT INTO scanning_campaigns (tenant, id, created, body) VALUES ($1, $2, $3, $4)`, tenant, c.ID, store.Micros(c.Created), body); err != nil {
		return c, fmt.Errorf("campaign %s: writing it: %w", c.Name, err)
	}
	return c, nil
}

// Campaigns lists campaigns, the newest first.
func (s *Store) Campaigns(ctx context.Context, tx *store.Tx, tenant core.TenantID) ([]Campaign, error) {
	return bodies[Campaign](ctx, tx, `SELECT body FROM scanning_campaigns WHERE tenant = $1 ORDER BY created DESC, id DESC LIMIT 1000`, tenant)
}

// Campaign reads one campaign.
func (s *Store) Campaign(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID) (Campaign, error) {
	list, err := bodies[Campaign](ctx, tx, `SELECT body FROM scanning_campaigns WHERE tenant = $1 AND id = $2`, tenant, id)
	if err != nil {
		return Campaign{}, err
	}
	if len(list) == 0 {
		return Campaign{}, core.E(core.KindNotFound, "lifecycle.Campaign", "there is no campaign "+id.String())
	}
	return list[0], nil
}

// Inventories tells how many subjects have an inventory, and when the one was
// taken that is the oldest: what is newer than that, nobody has looked for there.
func (s *Store) Inventories(ctx context.Context, tx *store.Tx, tenant core.TenantID) (subjects int, oldest time.Time, err error) {
	var seen int64
	err = tx.QueryRow(ctx, `SELECT COUNT(DISTINCT subject), COALESCE(MIN(seen), 0) FROM scanning_inventories WHERE tenant = $1 AND ended = 0`, tenant).Scan(&subjects, &seen)
	if seen != 0 {
		oldest = store.FromMicros(seen)
	}
	return subjects, oldest, err
}
