package lifecycle

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// Move takes a finding over one edge of the machine, in a person's name.
func (s *Store) Move(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID, c Change) (Finding, error) {
	return s.act(ctx, tx, tenant, id, func(f Finding) (Finding, Event, error) {
		c.Who = WhoPerson
		if !c.Of.IsZero() {
			of, err := s.Get(ctx, tx, tenant, c.Of)
			if err != nil {
				return f, Event{}, err
			}
			c.OfState, c.OfSubject, c.Refs = of.State, of.Subject, append(c.Refs, of.Object())
		}
		return s.rules.Apply(f, c)
	})
}

// Ask asks for a finding's risk to be accepted until a day.
func (s *Store) Ask(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID, c Change, until time.Time) (Finding, error) {
	return s.act(ctx, tx, tenant, id, func(f Finding) (Finding, Event, error) {
		return s.rules.Ask(f, c, until.UTC().Truncate(time.Microsecond))
	})
}

// Approve accepts a finding's risk, as somebody else asked.
func (s *Store) Approve(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID, c Change) (Finding, error) {
	return s.act(ctx, tx, tenant, id, func(f Finding) (Finding, Event, error) {
		c.Who, c.To = WhoPerson, StateAccepted
		f, e, err := s.rules.Apply(f, c)
		if err == nil && e.Text == "" {
			e.Text = fmt.Sprintf("asked by %s: %s; until %s", f.Acceptance.Requester, f.Acceptance.Reason, f.Acceptance.Until.Format(time.DateOnly))
		}
		return f, e, err
	})
}

// Assign gives a finding an owner, "" for nobody.
func (s *Store) Assign(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID, owner string, c Change) (Finding, error) {
	if owner != "" && !name(owner) {
		return Finding{}, core.E(core.KindInvalid, "lifecycle.Assign", "an owner is a short name on one line")
	}
	return s.act(ctx, tx, tenant, id, func(f Finding) (Finding, Event, error) {
		f.Owner = owner
		text := "to " + owner
		if owner == "" {
			text = "to nobody"
		}
		return f.tell(Event{At: c.At, By: c.By.String(), Kind: EventAssigned, Text: text, Intent: c.Intent})
	})
}

// Note adds a remark.
func (s *Store) Note(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID, c Change) (Finding, error) {
	if strings.TrimSpace(c.Reason) == "" {
		return Finding{}, core.E(core.KindInvalid, "lifecycle.Note", "the remark is empty")
	}
	return s.act(ctx, tx, tenant, id, func(f Finding) (Finding, Event, error) {
		return f.tell(Event{At: c.At, By: c.By.String(), Kind: EventNote, Text: c.Reason, Refs: c.Refs, Intent: c.Intent})
	})
}

// act changes one finding in a person's name.
func (s *Store) act(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID, do func(Finding) (Finding, Event, error)) (Finding, error) {
	f, err := s.Get(ctx, tx, tenant, id)
	if err != nil {
		return f, err
	}
	before := f.Revision
	f, e, err := do(f)
	if err != nil {
		return f, err
	}
	b := s.begin(ctx, tx, tenant)
	if f, err = b.put(f, before, e); err != nil {
		return f, err
	}
	if err := b.fact(f, e, core.Action("finding."+string(e.Kind))); err != nil {
		return f, err
	}
	return f, b.end()
}

// Sweep does what time asks for: clocks escalate, acceptances end. It returns how
// many findings it looked at, none if all of them are due as before: as many as most
// means that there may be more.
func (s *Store) Sweep(ctx context.Context, tx *store.Tx, tenant core.TenantID, now time.Time, most int) (int, error) {
	now = now.UTC().Truncate(time.Microsecond)
	list, err := bodies[Finding](ctx, tx, `SELECT body FROM scanning_findings WHERE tenant = $1 AND wakes > 0 AND wakes <= $2 ORDER BY wakes, id LIMIT $3`,
		tenant, store.Micros(now), most)
	if err != nil {
		return 0, err
	}
	b := s.begin(ctx, tx, tenant)
	looked := 0
	for _, f := range list {
		moved, err := b.wake(f, now)
		if err != nil {
			return 0, err
		}
		if moved { // else the caller would be given the same ones for ever
			looked = len(list)
		}
	}
	return looked, b.end()
}

// wake reports whether anything came of it: an event, or a later day.
func (b *batch) wake(f Finding, now time.Time) (moved bool, err error) {
	before := f.Revision
	var events []Event
	if f.State == StateAccepted {
		var e Event
		f, e, err = b.s.rules.Apply(f, Change{To: StateAffected, Who: WhoTime, At: now, Reason: "the acceptance of the risk is over"})
		if err != nil {
			return false, err
		}
		if err := b.fact(f, e, "finding.ended"); err != nil {
			return false, err
		}
		events = append(events, e)
	}
	if f.State == StateNotAffected && f.Statement != nil {
		if f, events, err = b.said(f, now); err != nil {
			return false, err
		}
		if len(events) > 0 {
			if err := b.fact(f, events[len(events)-1], "finding.vex"); err != nil {
				return false, err
			}
		}
	}
	if next, e, due := b.s.rules.Escalate(f, now); due {
		f, events = next, append(events, e)
	}
	next := micros(f.wakes())
	_, err = b.put(f, before, events...)
	return len(events) > 0 || next == 0 || next > store.Micros(now), err
}

// Owners is who looks after what: a text like a CODEOWNERS file, of which the
// last line that fits decides. See [ParseOwners].
type Owners struct {
	Revision uint64    `json:"revision"`
	Text     string    `json:"text"`
	By       string    `json:"by,omitempty"`
	At       time.Time `json:"at,omitzero"`
}

// SetOwners puts another text in force. Findings that have an owner keep theirs;
// those that have none get one.
func (s *Store) SetOwners(ctx context.Context, tx *store.Tx, tenant core.TenantID, text string, c Change) (Owners, error) {
	rules, err := ParseOwners(text)
	if err != nil {
		return Owners{}, err
	}
	o, err := s.Owners(ctx, tx, tenant)
	if err != nil {
		return o, err
	}
	o = Owners{Revision: o.Revision + 1, Text: text, By: c.By.String(), At: c.At}
	body, err := json.Marshal(o)
	if err != nil {
		return o, core.Wrap(core.KindInternal, "lifecycle.SetOwners", err)
	}
	if _, err := tx.Exec(ctx, `INSERT INTO scanning_owners (tenant, revision, body) VALUES ($1, $2, $3)`, tenant, int64(o.Revision), body); err != nil {
		return o, fmt.Errorf("lifecycle: writing owners: %w", err)
	}
	b := s.begin(ctx, tx, tenant)
	list, err := bodies[Finding](ctx, tx, `SELECT body FROM scanning_findings WHERE tenant = $1 AND is_open = 1 AND owner = '' ORDER BY id`, tenant)
	if err != nil {
		return o, err
	}
	for _, f := range list {
		if err := b.adopt(f, rules, c); err != nil {
			return o, err
		}
	}
	return o, b.end()
}

func (b *batch) adopt(f Finding, rules []OwnerRule, c Change) error {
	owner := ownerOf(rules, &f)
	if owner == "" {
		return nil
	}
	before := f.Revision
	f.Owner = owner
	f, e, _ := f.tell(Event{At: c.At, By: c.By.String(), Kind: EventAssigned, Text: "to " + owner + ", by the rules of ownership", Intent: c.Intent})
	_, err := b.put(f, before, e)
	return err
}

// Owners reads the text in force.
func (s *Store) Owners(ctx context.Context, tx *store.Tx, tenant core.TenantID) (o Owners, err error) {
	var body []byte
	err = tx.QueryRow(ctx, `SELECT body FROM scanning_owners WHERE tenant = $1 ORDER BY revision DESC LIMIT 1`, tenant).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return Owners{}, nil
	}
	if err == nil {
		err = json.Unmarshal(body, &o)
	}
	return o, err
}

// ownerOf finds the owner of a new finding, "" for nobody.
func (b *batch) ownerOf(f *Finding) (string, error) {
	if !b.ownersRead {
		o, err := b.s.Owners(b.ctx, b.tx, b.tenant)
		if err != nil {
			return "", err
		}
		if b.owners, err = ParseOwners(o.Text); err != nil {
			return "", err
		}
		b.ownersRead = true
	}
	return ownerOf(b.owners, f), nil
}
