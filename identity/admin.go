package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
)

// List lists everybody, operators of the configuration and others as one, by id.
// The caller asks the Guard.
func (p *People) List(context.Context) []Person {
	p.mu.RLock()
	defer p.mu.RUnlock()
	list := []Person{}
	for _, id := range p.persons() {
		list = append(list, p.show(id))
	}
	return list
}

// Get shows one person. The caller asks the Guard.
func (p *People) Get(_ context.Context, id core.PersonID) (Person, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if _, known := p.person(id); !known {
		return Person{}, core.E(core.KindNotFound, "identity.Get", "there is no person "+id.String())
	}
	return p.show(id), nil
}

// show is a person for lists. The caller holds the lock.
func (p *People) show(id core.PersonID) Person {
	r, _ := p.person(id)
	out := Person{
		ID: id, Name: r.Name, Roles: slices.Clone(r.Roles), Sites: slices.Clone(r.Sites), State: PersonInvited, Configured: r.Configured,
		Passkeys: []Passkey{}, Doubt: p.doubt[id], Log: r.at,
	}
	for _, o := range p.parts.Operators {
		if o.Person == id {
			out.UIDs = append(out.UIDs, o.UID)
		}
	}
	for _, object := range p.passkeys(id) {
		k := p.objects[object]
		out.Passkeys = append(out.Passkeys, Passkey{ID: nameOf(object), Created: time.UnixMicro(k.Created).UTC(), Synced: k.Synced, State: k.State})
	}
	slices.SortFunc(out.Passkeys, func(a, b Passkey) int { return a.Created.Compare(b.Created) })
	switch {
	case r.State == stateRevoked:
		out.State = PersonRevoked
	case p.joined(id):
		out.State = PersonActive
	}
	for _, s := range p.sessions {
		if s.person == id && !s.ended.Load() {
			out.Sessions++
		}
	}
	return out
}

// Doubts returns who is in stop-only, and why.
func (p *People) Doubts() map[core.PersonID]string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	out := make(map[core.PersonID]string, len(p.doubt))
	for id, why := range p.doubt {
		out[id] = why
	}
	return out
}

// Revoke takes a person's passkeys, links and sessions away, for good. It takes
// one person: away from rights is never held up by a second. An operator of the
// configuration keeps the socket until the configuration changes, and can make a
// new link there.
func (p *People) Revoke(ctx context.Context, who core.Principal, person core.PersonID) error {
	p.editing.Lock()
	defer p.editing.Unlock()
	r, err := p.there("identity.Revoke", person)
	if err != nil {
		return err
	}
	var changes []change
	if !r.Configured {
		c := p.stored(r)
		if c.State == stateRevoked {
			return core.E(core.KindConflict, "identity.Revoke", person.String()+" was revoked before")
		}
		c.State = stateRevoked
		ch, err := p.permit(ctx, who, policy.PersonRevoke, change{object: kindPerson + "/" + person.String(), outcome: "revoked", claim: c})
		if err != nil {
			return err
		}
		changes = append(changes, ch)
	}
	held, err := p.takeAway(ctx, who, person, len(changes) == 0)
	if err != nil {
		return err
	}
	return p.commit(ctx, nil, append(append(changes, held...), p.endAll(person, "", "revoked", who.String())...)...)
}

// takeAway are the changes that end a person's passkeys and links; ask says
// whether the Guard is to be asked for each.
func (p *People) takeAway(ctx context.Context, who core.Principal, person core.PersonID, ask bool) ([]change, error) {
	p.mu.RLock()
	list := map[string]claim{}
	for object, r := range p.objects {
		kind := kindOf(object)
		if r.Person == person && (kind == kindPasskey && r.State != stateRevoked || kind == kindLink && r.State == stateFresh) {
			list[object] = r.claim
		}
	}
	p.mu.RUnlock()
	var changes []change
	for object, c := range list {
		c.State = stateRevoked
		ch := change{object: object, outcome: "revoked", claim: c, actor: who.String(), action: policy.PasskeyRemove}
		if ask {
			var err error
			if ch, err = p.permit(ctx, who, policy.PasskeyRemove, ch); err != nil {
				return nil, err
			}
		}
		changes = append(changes, ch)
	}
	slices.SortFunc(changes, func(a, b change) int { return strings.Compare(a.object, b.object) })
	return changes, nil
}

// RevokePasskey ends one passkey and the sessions that began with it. The Guard
// is asked unless it is who's own.
func (p *People) RevokePasskey(ctx context.Context, who core.Principal, id string) error {
	p.editing.Lock()
	defer p.editing.Unlock()
	p.mu.RLock()
	r, known := p.objects[kindPasskey+"/"+id]
	p.mu.RUnlock()
	if !known || r.State == stateRevoked {
		return core.E(core.KindNotFound, "identity.RevokePasskey", fmt.Sprintf("there is no passkey %.40q", id))
	}
	r.State = stateRevoked
	c := change{object: kindPasskey + "/" + id, outcome: "revoked", claim: r.claim, actor: who.String(), action: policy.PasskeyRemove}
	if r.Person.String() != who.ID || who.Kind != core.KindPerson {
		var err error
		if c, err = p.permit(ctx, who, policy.PasskeyRemove, c); err != nil {
			return err
		}
	}
	changes := []change{c}
	for _, s := range p.endAll(r.Person, "", "revoked", who.String()) {
		if s.claim.Passkey == id {
			changes = append(changes, s)
		}
	}
	return p.commit(ctx, nil, changes...)
}

// there returns a person who is known, in whatever state.
func (p *People) there(op string, id core.PersonID) (record, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	r, known := p.person(id)
	if !known {
		return r, core.E(core.KindNotFound, op, "there is no person "+id.String())
	}
	return r, nil
}

// Restore ends a person's stop-only after somebody has looked: what the log says
// holds, and the rows are written from it. It gives nobody more than that.
func (p *People) Restore(ctx context.Context, who core.Principal, person core.PersonID) error {
	const op = "identity.Restore"
	p.editing.Lock()
	defer p.editing.Unlock()
	p.mu.RLock()
	why := p.doubt[person]
	r, known := p.objects[kindPerson+"/"+person.String()]
	p.mu.RUnlock()
	if why == "" {
		return core.E(core.KindConflict, op, person.String()+" is in no doubt")
	}
	c, err := p.permit(ctx, who, policy.PersonRestore, change{object: kindPerson + "/" + person.String(), outcome: "restored", claim: r.claim, more: map[string]string{"doubt": why}})
	if err != nil {
		return err
	}
	if err := p.rewrite(ctx, person); err != nil {
		return err
	}
	if known { // a person of rows alone is gone with them
		if err := p.commit(ctx, nil, c); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.doubt, person)
	delete(p.told, person)
	return nil
}

// rewrite makes a person's rows what is believed.
func (p *People) rewrite(ctx context.Context, person core.PersonID) error {
	rows, err := p.rows(ctx)
	if err != nil {
		return err
	}
	p.mu.RLock()
	want := map[string]record{}
	for object, r := range p.objects {
		if r.Person == person && p.keeps(object) {
			want[object] = r
		}
	}
	p.mu.RUnlock()
	return p.parts.State.Tx(ctx, func(tx *store.Tx) error {
		for object, row := range rows {
			if _, keep := want[object]; keep || row.Person != person {
				continue
			}
			if _, err := tx.Exec(ctx, `DELETE FROM identity_records WHERE tenant = $1 AND object = $2`, p.parts.Tenant, object); err != nil {
				return err
			}
		}
		for object, r := range want {
			_, err := tx.Exec(ctx, `INSERT INTO identity_records (tenant, object, revision, claim) VALUES ($1, $2, $3, $4)
				ON CONFLICT (tenant, object) DO UPDATE SET revision = excluded.revision, claim = excluded.claim`,
				p.parts.Tenant, object, int64(r.revision), r.claim.bytes())
			if err != nil {
				return err
			}
		}
		return nil
	})
}
