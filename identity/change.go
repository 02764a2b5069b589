package identity

import (
	"context"
	"fmt"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/store"
)

// change is one object's new claim, on its way into row and log.
type change struct {
	object string
	claim  claim
	// actor does it; action and outcome are the entry's words.
	actor   string
	action  core.Action
	outcome string
	// intent is the permit; nil where the change only takes away.
	intent *core.Position
	// more stands in the entry beside the claim.
	more any
	// vital marks what is taken while the log is damaged: signing in.
	vital audit.Vital
}

// permit asks the Guard for one change and returns it with its permit.
func (p *People) permit(ctx context.Context, who core.Principal, action core.Action, c change) (change, error) {
	on := core.Resource{Type: kindOf(c.object), ID: nameOf(c.object), Tenant: p.parts.Tenant, Params: params(c.object, c.claim)}
	d, err := p.parts.Guard.Permit(ctx, who, action, on)
	if err != nil {
		return c, fmt.Errorf("identity: asking for %s on %s: %w", action, on, err)
	}
	if err := httpd.Refusal(d, who, action, on); err != nil {
		return c, err
	}
	c.actor, c.action, c.intent = who.String(), action, &d.Intent
	return c, nil
}

// commit makes the changes durable, rows and entries in one transaction, and
// then believes them. The caller holds editing.
func (p *People) commit(ctx context.Context, alarms []Alarm, changes ...change) error {
	records := make([]record, len(changes))
	p.mu.RLock()
	for i, c := range changes {
		records[i] = record{claim: c.claim, revision: max(p.objects[c.object].revision, p.said.top[c.object]) + 1}
	}
	p.mu.RUnlock()
	err := p.parts.State.Tx(ctx, func(tx *store.Tx) error {
		for i, c := range changes {
			if err := p.write(ctx, tx, c, records[i].revision); err != nil {
				return err
			}
		}
		return p.raise(ctx, tx, alarms)
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	for i, c := range changes {
		p.believe(c.object, records[i])
		p.ahead[c.object] = p.parts.Clock.Now()
	}
	p.mu.Unlock()
	p.stoppers()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return nil
}

func (p *People) raise(ctx context.Context, tx *store.Tx, alarms []Alarm) error {
	if p.parts.Alarm == nil {
		return nil
	}
	for _, a := range alarms {
		if err := p.parts.Alarm(ctx, tx, a); err != nil {
			return err
		}
	}
	return nil
}

// write puts one change into its row and the outbox.
func (p *People) write(ctx context.Context, tx *store.Tx, c change, revision uint64) error {
	var err error
	if gone(c.object, c.claim) {
		_, err = tx.Exec(ctx, `DELETE FROM identity_records WHERE tenant = $1 AND object = $2`, p.parts.Tenant, c.object)
		if err == nil {
			_, err = tx.Exec(ctx, `DELETE FROM identity_seen WHERE tenant = $1 AND session = $2`, p.parts.Tenant, nameOf(c.object))
		}
	} else {
		_, err = tx.Exec(ctx, `INSERT INTO identity_records (tenant, object, revision, claim) VALUES ($1, $2, $3, $4)
			ON CONFLICT (tenant, object) DO UPDATE SET revision = excluded.revision, claim = excluded.claim`,
			p.parts.Tenant, c.object, int64(revision), c.claim.bytes())
	}
	if err != nil {
		return fmt.Errorf("identity: writing %s: %w", c.object, err)
	}
	body := struct {
		claim
		More any `json:"more,omitempty"`
	}{c.claim, c.more}
	err = p.parts.Facts(ctx, tx, audit.Entry{
		Type: audit.TypeAuthority, Time: p.parts.Clock.Now(), Actor: c.actor, Action: c.action, Object: c.object, Revision: revision,
		Outcome: c.outcome, Class: audit.ClassSecurity, Subject: kindPerson + "/" + c.claim.Person.String(), Intent: c.intent, Body: body, Vital: c.vital,
	})
	if err != nil {
		return fmt.Errorf("identity: audit of %s: %w", c.object, err)
	}
	return nil
}

// gone reports whether an object has no row any more.
func gone(object string, c claim) bool { return kindOf(object) == kindSession && c.State == stateEnded }

// believe puts a record into memory. The caller holds the lock.
func (p *People) believe(object string, r record) {
	before, known := p.objects[object]
	if gone(object, r.claim) {
		delete(p.objects, object)
	} else {
		p.objects[object] = r
	}
	if kindOf(object) == kindSession {
		p.believeSession(object, r, before, known)
	}
	p.said.note(object, r.claim)
}

// fact leaves an entry that changes no authority: a refusal, a misuse.
func (p *People) fact(ctx context.Context, alarms []Alarm, e audit.Entry) error {
	e.Type, e.Time, e.Class = audit.TypeFact, p.parts.Clock.Now(), audit.ClassSecurity
	return p.parts.State.Tx(ctx, func(tx *store.Tx) error {
		if err := p.parts.Facts(ctx, tx, e); err != nil {
			return fmt.Errorf("identity: audit of %s: %w", e.Object, err)
		}
		return p.raise(ctx, tx, alarms)
	})
}
