package tuning

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/policy"
)

// testimony is what the log says of the rules, entry by entry.
type testimony struct {
	origin  string
	next    uint64 // of origin
	objects map[string]record
	// top is the highest revision that was heard of an object, believed or not.
	top     map[string]uint64
	permits *audit.Permits
	wrong   map[string]string
}

func newTestimony() *testimony {
	return &testimony{objects: map[string]record{}, top: map[string]uint64{}, permits: audit.NewPermits(policy.RuleDisable, policy.RuleExclude, policy.RuleRestore), wrong: map[string]string{}}
}

// add takes the next entry of the log.
func (t *testimony) add(rec audit.Record) {
	t.origin, t.next = rec.Position.Origin, rec.Position.Index+1
	switch {
	case rec.Header.Type == audit.TypeIntent:
		t.permits.Add(rec)
	case rec.Header.Type == audit.TypeAuthority && strings.HasPrefix(rec.Object, objectKind+"/"):
		t.hear(rec)
	}
}

// hear takes an authority entry. One that is not to be believed leaves what was,
// and the object in doubt; one that lets a rule speak again is always believed.
func (t *testimony) hear(rec audit.Record) {
	var c claim
	if err := json.Unmarshal(rec.Body, &c); rec.Body == nil || err != nil {
		t.wrong[rec.Object] = "an entry in the log can't be read"
		return
	}
	_, permitted := t.permits.TakeFor(rec, params(rec.Object, c))
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
