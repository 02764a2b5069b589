package lifecycle

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// MaxList is the most findings that one List returns.
const MaxList = 1000

// sorts are the orders of a list: the column, whether it rises, and a finding's
// place in it.
var sorts = map[Sort]struct {
	column string
	rises  bool
	key    func(*Finding) int64
}{
	SortPriority: {"priority", false, func(f *Finding) int64 { return f.Priority }},
	SortDue:      {"due", true, func(f *Finding) int64 { return due(*f) }},
	SortNewest:   {"discovered", false, func(f *Finding) int64 { return store.Micros(f.Discovered) }},
}

// Sorts lists the orders.
var Sorts = []Sort{SortPriority, SortDue, SortNewest}

// PlaceOf is a finding's place in a list.
func PlaceOf(f *Finding, s Sort) Place {
	by, known := sorts[s]
	if !known {
		by = sorts[SortPriority]
	}
	return Place{Key: by.key(f), ID: f.ID}
}

// condition is a WHERE that grows.
type condition struct {
	parts []string
	args  []any
}

// and adds a condition whose ? is the value.
func (c *condition) and(text string, value any) {
	c.args = append(c.args, value)
	c.parts = append(c.parts, strings.ReplaceAll(text, "?", "$"+strconv.Itoa(len(c.args))))
}

func (c *condition) String() string { return strings.Join(c.parts, " AND ") }

// where is the condition of a filter, wherever its list begins.
func (q Filter) where(tenant core.TenantID) *condition {
	c := new(condition)
	c.and("tenant = ?", tenant)
	if q.OpenOnly {
		c.and("is_open = ?", 1)
	}
	for column, value := range map[string]string{
		"state": string(q.State), "class": string(q.Class), "subject": q.Subject, "owner": q.Owner, "package": text(q.Package),
	} {
		if value != "" {
			c.and(column+" = ?", value)
		}
	}
	if q.Severity != "" {
		c.and("severity >= ?", q.Severity.Rank())
	}
	if q.Advisory != "" {
		c.and("id IN (SELECT finding FROM scanning_names WHERE tenant = $1 AND name = ?)", text(q.Advisory))
	}
	if !q.Overdue.IsZero() {
		c.and("due < ?", store.Micros(q.Overdue))
	}
	if q.Text != "" {
		c.and(`words LIKE ? ESCAPE '\'`, "%"+strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(text(strings.ToLower(q.Text)))+"%")
	}
	return c
}

// List reads findings in the filter's order.
func (s *Store) List(ctx context.Context, tx *store.Tx, tenant core.TenantID, q Filter) ([]Finding, error) {
	if q.Limit <= 0 || q.Limit > MaxList {
		q.Limit = MaxList
	}
	by, known := sorts[q.Sort]
	if !known {
		by = sorts[SortPriority]
	}
	order, beyond := "DESC", "<"
	if by.rises {
		order, beyond = "ASC", ">"
	}
	c := q.where(tenant)
	if q.After != nil {
		c.args = append(c.args, q.After.Key, q.After.ID)
		c.parts = append(c.parts, fmt.Sprintf("(%s, id) %s ($%d, $%d)", by.column, beyond, len(c.args)-1, len(c.args)))
	}
	return bodies[Finding](ctx, tx, `SELECT body FROM scanning_findings WHERE `+c.String()+` ORDER BY `+by.column+` `+order+`, id `+order+` LIMIT `+strconv.Itoa(q.Limit), c.args...)
}

// Count returns how many findings a filter selects, wherever its list begins.
func (s *Store) Count(ctx context.Context, tx *store.Tx, tenant core.TenantID, q Filter) (n int, err error) {
	c := q.where(tenant)
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM scanning_findings WHERE `+c.String(), c.args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("lifecycle: counting: %w", err)
	}
	return n, nil
}

// Reports reads the newest report of each detector and scope, the oldest first:
// what has not been scanned for long stands at the top.
func (s *Store) Reports(ctx context.Context, tx *store.Tx, tenant core.TenantID, limit int) ([]ReportRow, error) {
	return bodies[ReportRow](ctx, tx, `SELECT r.body FROM scanning_reports r JOIN (SELECT subject, tool, kind, scope, MAX(started) AS started FROM scanning_reports
		WHERE tenant = $1 GROUP BY subject, tool, kind, scope) n ON n.subject = r.subject AND n.tool = r.tool AND n.kind = r.kind AND n.scope = r.scope AND n.started = r.started
		WHERE r.tenant = $1 ORDER BY r.started, r.hash LIMIT $2`, tenant, limit)
}

// maxSubjects is how many subjects a board names.
const maxSubjects = 50

// Stats are the figures of the last days, up to now.
func (s *Store) Stats(ctx context.Context, tx *store.Tx, tenant core.TenantID, now time.Time, days int) (Stats, error) {
	st := Stats{
		Open: map[core.Severity]int{}, States: map[State]int{}, Owners: map[string]int{}, Subjects: map[string]int{}, Days: []Day{},
	}
	for _, fill := range []func() error{
		func() error {
			return groups(ctx, tx, `SELECT state, COUNT(*) FROM scanning_findings WHERE tenant = $1 GROUP BY state`, func(k string, n int) { st.States[State(k)] = n }, tenant)
		},
		func() error {
			return groups(ctx, tx, `SELECT owner, COUNT(*) FROM scanning_findings WHERE tenant = $1 AND is_open = 1 GROUP BY owner`, func(k string, n int) { st.Owners[k] = n }, tenant)
		},
		func() error {
			return groups(ctx, tx, `SELECT subject, COUNT(*) FROM scanning_findings WHERE tenant = $1 AND is_open = 1 GROUP BY subject ORDER BY COUNT(*) DESC, subject LIMIT `+
				strconv.Itoa(maxSubjects), func(k string, n int) { st.Subjects[k] = n }, tenant)
		},
		func() error {
			return groups(ctx, tx, `SELECT CAST(severity AS TEXT), COUNT(*) FROM scanning_findings WHERE tenant = $1 AND is_open = 1 GROUP BY severity`,
				func(k string, n int) { st.Open[severityOf(k)] = n }, tenant)
		},
		func() error { return st.clocks(ctx, tx, tenant, now) },
		func() error { return st.fixes(ctx, tx, tenant, now.AddDate(0, 0, -days)) },
		func() error { return st.burn(ctx, tx, tenant, now, days) },
	} {
		if err := fill(); err != nil {
			return st, fmt.Errorf("lifecycle: figures: %w", err)
		}
	}
	st.Accepted = st.States[StateAccepted]
	return st, nil
}

// Board is what one look at all findings shows: how many are open, which are late,
// and what to fix first.
type Board struct {
	Total int `json:"total"` // open ones
	// Open counts them by severity, States by state, By by state and severity.
	Open   map[core.Severity]int           `json:"open"`
	States map[State]int                   `json:"states"`
	By     map[State]map[core.Severity]int `json:"by"`
	// Overdue are those whose time is over, Breaches the same by severity.
	Overdue   int                   `json:"overdue"`
	Breaches  map[core.Severity]int `json:"breaches"`
	DueSoon   int                   `json:"due_soon"`
	Exploited int                   `json:"exploited"`
	First     []Finding             `json:"-"`
}

// Board reads the figures of open findings, and the first of them.
func (s *Store) Board(ctx context.Context, tx *store.Tx, tenant core.TenantID, now time.Time, first int) (Board, error) {
	b := Board{Open: map[core.Severity]int{}, States: map[State]int{}, By: map[State]map[core.Severity]int{}, Breaches: map[core.Severity]int{}}
	if err := b.count(ctx, tx, tenant, now); err != nil {
		return b, fmt.Errorf("lifecycle: figures: %w", err)
	}
	var st Stats
	if err := st.clocks(ctx, tx, tenant, now); err != nil {
		return b, fmt.Errorf("lifecycle: figures: %w", err)
	}
	b.DueSoon, b.Exploited = st.DueSoon, st.Exploited
	var err error
	b.First, err = s.List(ctx, tx, tenant, Filter{OpenOnly: true, Limit: first})
	return b, err
}

func (b *Board) count(ctx context.Context, tx *store.Tx, tenant core.TenantID, now time.Time) error {
	rows, err := tx.Query(ctx, `SELECT state, severity, COUNT(*), SUM(CASE WHEN due <= $2 THEN 1 ELSE 0 END) FROM scanning_findings
		WHERE tenant = $1 AND is_open = 1 GROUP BY state, severity`, tenant, store.Micros(now))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var state State
		var rank, n, late int
		if err := rows.Scan((*string)(&state), &rank, &n, &late); err != nil {
			return err
		}
		severity := severityOf(strconv.Itoa(rank))
		if b.By[state] == nil {
			b.By[state] = map[core.Severity]int{}
		}
		b.By[state][severity] += n
		b.Open[severity], b.States[state] = b.Open[severity]+n, b.States[state]+n
		b.Total, b.Overdue = b.Total+n, b.Overdue+late
		if late > 0 {
			b.Breaches[severity] += late
		}
	}
	return rows.Err()
}

func severityOf(rank string) core.Severity {
	if n, err := strconv.Atoi(rank); err == nil && n >= 0 && n < len(core.Severities) {
		return core.Severities[n]
	}
	return core.SeverityInfo
}

func groups(ctx context.Context, tx *store.Tx, query string, each func(string, int), args ...any) error {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var key string
		var n int
		if err := rows.Scan(&key, &n); err != nil {
			return err
		}
		each(key, n)
	}
	return rows.Err()
}

// clocks counts what is late, what soon will be and what is exploited.
func (st *Stats) clocks(ctx context.Context, tx *store.Tx, tenant core.TenantID, now time.Time) error {
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM scanning_findings WHERE tenant = $1 AND is_open = 1 AND exploited = 1`, tenant).Scan(&st.Exploited); err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM scanning_findings WHERE tenant = $1 AND is_open = 1 AND due <= $2`, tenant, store.Micros(now)).Scan(&st.Overdue); err != nil {
		return err
	}
	return tx.QueryRow(ctx, `SELECT COUNT(*) FROM scanning_findings WHERE tenant = $1 AND is_open = 1 AND due > $2 AND due - (due - discovered) / 4 <= $2 AND due < $3`,
		tenant, store.Micros(now), int64(never)).Scan(&st.DueSoon)
}

// fixes are the verified ones since a day: how many, how fast, how many in time.
func (st *Stats) fixes(ctx context.Context, tx *store.Tx, tenant core.TenantID, since time.Time) error {
	var sum float64
	err := tx.QueryRow(ctx, `SELECT COUNT(*), CAST(COALESCE(SUM(verified - discovered), 0) AS DOUBLE PRECISION), COALESCE(SUM(CASE WHEN verified <= due THEN 1 ELSE 0 END), 0)
		FROM scanning_findings WHERE tenant = $1 AND verified >= $2 AND verified > 0 AND state = $3`, tenant, store.Micros(since), string(StateVerified)).Scan(&st.Fixed, &sum, &st.OnTime)
	if err == nil && st.Fixed > 0 {
		st.ToFix = sum / float64(st.Fixed) / 1e6
	}
	return err
}

// burn counts what was open at the end of each day, from what is open now and what
// was opened and closed since.
func (st *Stats) burn(ctx context.Context, tx *store.Tx, tenant core.TenantID, now time.Time, days int) error {
	type moved struct{ opened, closed map[core.Severity]int }
	by := map[int64]moved{}
	today := now.UTC().Truncate(day)
	first := today.AddDate(0, 0, 1-days)
	rows, err := tx.Query(ctx, `SELECT e.at / 86400000000, f.severity, SUM(CASE WHEN e.opens > 0 THEN 1 ELSE 0 END), SUM(CASE WHEN e.opens < 0 THEN 1 ELSE 0 END)
		FROM scanning_events e JOIN scanning_findings f ON f.tenant = e.tenant AND f.id = e.finding WHERE e.tenant = $1 AND e.opens <> 0 AND e.at >= $2
		GROUP BY e.at / 86400000000, f.severity`, tenant, store.Micros(first))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var at int64
		var rank, opened, closed int
		if err := rows.Scan(&at, &rank, &opened, &closed); err != nil {
			return err
		}
		m, is := by[at]
		if !is {
			m = moved{map[core.Severity]int{}, map[core.Severity]int{}}
			by[at] = m
		}
		m.opened[core.Severities[rank]], m.closed[core.Severities[rank]] = opened, closed
	}
	if err := rows.Err(); err != nil {
		return err
	}
	open := maps.Clone(st.Open)
	st.Days = make([]Day, days)
	for i := days - 1; i >= 0; i-- {
		at := first.AddDate(0, 0, i)
		m := by[at.Unix()/86400]
		d := Day{Day: at.Format(time.DateOnly), Open: maps.Clone(open)}
		for _, s := range core.Severities {
			d.Opened, d.Closed = d.Opened+m.opened[s], d.Closed+m.closed[s]
			if open[s] += m.closed[s] - m.opened[s]; open[s] == 0 {
				delete(open, s)
			}
		}
		st.Days[i] = d
	}
	return nil
}
