package tuning

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
)

// grants are the permits that a change stands on.
var grants = map[core.Action]bool{policy.RuleDisable: true, policy.RuleExclude: true, policy.RuleRestore: true}

// permitLife is how long after the permit a change may come to the log.
const permitLife = 7 * 24 * time.Hour

// permission is what the Guard permitted before it was done.
type permission struct {
	actor, object, params string
	at                    time.Time
}

// testimony is what the log says of the rules, entry by entry.
type testimony struct {
	origin  string
	next    uint64 // of origin
	objects map[string]record
	// top is the highest revision that was heard of an object, believed or not.
	top     map[string]uint64
	permits map[string]permission
	wrong   map[string]string
}

func newTestimony() *testimony {
	return &testimony{objects: map[string]record{}, top: map[string]uint64{}, permits: map[string]permission{}, wrong: map[string]string{}}
}

// add takes the next entry of the log.
func (t *testimony) add(rec audit.Record) {
	t.origin, t.next = rec.Position.Origin, rec.Position.Index+1
	switch {
	case rec.Header.Type == audit.TypeIntent && grants[rec.Header.Action] && rec.Header.Outcome == "permitted":
		t.permit(rec)
	case rec.Header.Type == audit.TypeAuthority && strings.HasPrefix(rec.Object, objectKind+"/"):
		t.hear(rec)
	}
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
	t.permits[position(rec.Position)] = permission{rec.Actor, rec.Object, body.Resource.Params, now}
}

// position is written as in the header of an entry that names its intent.
func position(p core.Position) string { return fmt.Sprintf("%s#%d", p.Origin, p.Index) }

// hear takes an authority entry. One that is not to be believed leaves what was,
// and the object in doubt; one that lets a rule speak again is always believed.
func (t *testimony) hear(rec audit.Record) {
	var c claim
	if err := json.Unmarshal(rec.Body, &c); rec.Body == nil || err != nil {
		t.wrong[rec.Object] = "an entry in the log can't be read"
		return
	}
	permitted := t.spend(rec, c)
	switch {
	case rec.Header.Revision <= t.top[rec.Object]:
		t.wrong[rec.Object] = fmt.Sprintf("revision %d stands in the log twice", rec.Header.Revision)
		return
	case !permitted && c.State == StateActive:
		t.top[rec.Object] = rec.Header.Revision
		t.wrong[rec.Object] = fmt.Sprintf("revision %d in the log has no permit of its own", rec.Header.Revision)
		return
	}
	t.top[rec.Object] = rec.Header.Revision
	if permitted {
		delete(t.wrong, rec.Object) // a person has looked
	}
	t.objects[rec.Object] = record{c, rec.Header.Revision, rec.Position}
}

// spend takes the permit that an entry names: each is good for one change, of
// exactly this object to exactly this claim, by who was permitted it.
func (t *testimony) spend(rec audit.Record, c claim) bool {
	p, found := t.permits[rec.Header.Intent]
	if !found || p.object != rec.Object || p.actor != rec.Actor || p.params != params(rec.Object, c) {
		return false
	}
	delete(t.permits, rec.Header.Intent)
	return true
}
