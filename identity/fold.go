package identity

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
)

// grants are the permits that authority over people stands on.
var grants = map[core.Action]bool{
	policy.PersonInvite: true, policy.PersonRoles: true, policy.PersonName: true, policy.PersonLink: true, policy.PersonLinkOwn: true,
	policy.PersonRevoke: true, policy.PersonRestore: true, policy.PasskeyAdd: true, policy.PasskeyRemove: true,
	policy.SessionCreate: true, policy.SessionEnd: true,
	policy.ApprovalRequest: true, policy.ApprovalDecide: true, policy.ApprovalWithdraw: true, policy.ApprovalUse: true,
}

// permitLife is how long after the permit a change may come to the log.
const permitLife = 7 * 24 * time.Hour

// permission is what the Guard permitted before it was done.
type permission struct {
	action core.Action
	actor  string
	object string
	params string
	at     time.Time
}

// testimony is what the log says of people, entry by entry.
type testimony struct {
	origin  string
	next    uint64 // of origin
	objects map[string]record
	// top is the highest revision that was heard of an object, believed or not.
	top     map[string]uint64
	permits map[string]permission
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
		objects: map[string]record{}, top: map[string]uint64{}, permits: map[string]permission{}, wrong: map[string]finding{},
		counters: map[string]uint32{}, approving: map[core.PersonID]bool{}, joined: map[core.PersonID]bool{},
	}
}

// add takes the next entry of the log.
func (t *testimony) add(rec audit.Record) {
	t.origin, t.next = rec.Position.Origin, rec.Position.Index+1
	switch {
	case rec.Header.Type == audit.TypeIntent && grants[rec.Header.Action] && rec.Header.Outcome == "permitted":
		t.permit(rec)
	case rec.Header.Type == audit.TypeAuthority && isOurs(rec.Object):
		t.hear(rec)
	}
}

func isOurs(object string) bool {
	kind := kindOf(object)
	return stateOrder[kind] != nil || kind == kindApproval
}

func (t *testimony) permit(rec audit.Record) {
	var body struct {
		Resource struct {
			Params string `json:"params"`
		} `json:"resource"`
	}
	_ = json.Unmarshal(rec.Body, &body) // without parameters it permits nothing
	now := time.UnixMicro(rec.Header.Time)
	for at, p := range t.permits {
		if now.Sub(p.at) > permitLife {
			delete(t.permits, at)
		}
	}
	t.permits[position(rec.Position)] = permission{rec.Header.Action, rec.Actor, rec.Object, body.Resource.Params, now}
}

// position is written as in the header of an entry that names its intent.
func position(p core.Position) string { return fmt.Sprintf("%s#%d", p.Origin, p.Index) }

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
	p, permitted := t.spend(rec, c)
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
	t.believe(rec, c, permitted && p.action == policy.PersonRestore)
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

// spend takes the permit that an entry names: each is good for one change, of
// exactly this object to exactly this claim, by who was permitted it.
func (t *testimony) spend(rec audit.Record, c claim) (permission, bool) {
	p, found := t.permits[rec.Header.Intent]
	if !found || p.object != rec.Object || p.actor != rec.Actor || p.params != params(rec.Object, c) {
		return permission{}, false
	}
	delete(t.permits, rec.Header.Intent)
	return p, true
}
