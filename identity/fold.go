package identity

import (
	"encoding/json"
	"fmt"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
)

// grants are the permits that authority over people stands on.
var grants = []core.Action{
	policy.PersonInvite, policy.PersonRoles, policy.PersonName, policy.PersonLink, policy.PersonLinkOwn,
	policy.PersonRevoke, policy.PersonRestore, policy.PasskeyAdd, policy.PasskeyRemove,
	policy.SessionCreate, policy.SessionEnd,
	policy.ApprovalRequest, policy.ApprovalDecide, policy.ApprovalWithdraw, policy.ApprovalUse,
}

// testimony is what the log says of people, entry by entry.
type testimony struct {
	origin  string
	next    uint64 // of origin
	objects map[string]record
	// top is the highest revision that was heard of an object, believed or not.
	top     map[string]uint64
	permits *audit.Permits
	// wrong is why an object's person is in doubt.
	wrong map[string]finding
	// counters are the highest that passkeys were seen with.
	counters map[string]uint32
	// approving and joined are all who ever had a role that approves, and a
	// passkey.
	approving, joined map[core.PersonID]bool
}

// finding is something wrong about a person.
type finding struct {
	person core.PersonID
	why    string
}

func newTestimony() *testimony {
	return &testimony{
		objects: map[string]record{}, top: map[string]uint64{}, permits: audit.NewPermits(grants...), wrong: map[string]finding{},
		counters: map[string]uint32{}, approving: map[core.PersonID]bool{}, joined: map[core.PersonID]bool{},
	}
}

// add takes the next entry of the log.
func (t *testimony) add(rec audit.Record) {
	t.origin, t.next = rec.Position.Origin, rec.Position.Index+1
	switch {
	case rec.Header.Type == audit.TypeIntent:
		t.permits.Add(rec)
	case rec.Header.Type == audit.TypeAuthority && isOurs(rec.Object):
		t.hear(rec)
	}
}

func isOurs(object string) bool {
	kind := kindOf(object)
	return stateOrder[kind] != nil || kind == kindApproval
}

// hear takes an authority entry.
func (t *testimony) hear(rec audit.Record) {
	var c claim
	if rec.Body == nil { // the person was erased: nobody is left to believe
		delete(t.objects, rec.Object)
		return
	}
	before, known := t.objects[rec.Object]
	fail := func(person core.PersonID, why string) {
		if known {
			person = before.Person
		}
		t.wrong[rec.Object] = finding{person, why}
	}
	if err := json.Unmarshal(rec.Body, &c); err != nil {
		fail(core.PersonID{}, "an entry in the log can't be read: "+err.Error())
		return
	}
	p, permitted := t.permits.TakeFor(rec, params(rec.Object, c))
	switch {
	case rec.Header.Revision <= t.top[rec.Object]:
		fail(c.Person, fmt.Sprintf("revision %d stands in the log twice", rec.Header.Revision))
		return
	case known && before.Person != c.Person:
		fail(c.Person, "an entry in the log gives it to somebody else")
		return
	case !permitted && !known && over(rec.Object, c): // the end of what never came to the log
		t.top[rec.Object] = rec.Header.Revision
		return
	case !permitted && !(known && lessens(rec.Object, before.claim, c)):
		t.top[rec.Object] = rec.Header.Revision
		fail(c.Person, fmt.Sprintf("revision %d in the log has no permit of its own", rec.Header.Revision))
		return
	}
	t.believe(rec, c, permitted && p.Action == policy.PersonRestore)
}

func (t *testimony) believe(rec audit.Record, c claim, mended bool) {
	t.top[rec.Object] = rec.Header.Revision
	if c.Passkey != "" {
		t.counters[c.Passkey] = max(t.counters[c.Passkey], c.Counter)
	}
	if mended {
		for object, f := range t.wrong {
			if f.person == c.Person {
				delete(t.wrong, object)
			}
		}
	}
	if kindOf(rec.Object) == kindSession && c.State == stateEnded {
		delete(t.objects, rec.Object)
		return
	}
	t.objects[rec.Object] = record{c, rec.Header.Revision, rec.Position}
	t.note(rec.Object, c)
}

// note remembers who ever was a person that could approve.
func (t *testimony) note(object string, c claim) {
	switch {
	case kindOf(object) == kindPerson && canApprove(c.Roles):
		t.approving[c.Person] = true
	case kindOf(object) == kindPasskey:
		t.joined[c.Person] = true
	}
}

// approvedOnce reports whether anybody else ever could have approved. Somebody
// who was let in and never came could not.
func (t *testimony) approvedOnce(but core.PersonID) bool {
	for id := range t.approving {
		if id != but && t.joined[id] {
			return true
		}
	}
	return false
}
