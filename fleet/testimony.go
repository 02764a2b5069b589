package fleet

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
)

// claim is what an authority entry, or a row, says of a device or a token. Each
// entry says it in full, so the newest is the state.
type claim struct {
	Revision uint64 `json:"-"`

	// Of both.
	State string      `json:"state"` // identity of a device, state of a token
	Site  core.SiteID `json:"site"`

	// Of a device. What stands here but the protection is for as long as the
	// enrolment.
	Key        string `json:"key,omitempty"`
	ShortCode  string `json:"short_code,omitempty"`
	Token      string `json:"token,omitempty"`
	FirstUse   bool   `json:"first_use,omitempty"`
	Protection string `json:"protection,omitempty"`

	// Of a token. All but the last two are for good.
	Hash    string        `json:"hash,omitempty"`
	Device  core.DeviceID `json:"device,omitzero"`
	Fact    string        `json:"fact,omitempty"`
	Expires int64         `json:"expires,omitempty"` // microseconds
	Life    string        `json:"life,omitempty"`    // as it was asked for
	UsedBy  core.DeviceID `json:"used_by,omitzero"`
	UsedKey string        `json:"used_key,omitempty"`
}

// differs names the first thing in which a row is not as the log says.
func (c claim) differs(log claim) string {
	row, said := reflect.ValueOf(c), reflect.ValueOf(log)
	for i := range row.NumField() {
		f := row.Type().Field(i)
		if f.Name == "Life" { // a row does not keep it
			continue
		}
		if have, want := row.Field(i).Interface(), said.Field(i).Interface(); have != want {
			return fmt.Sprintf("%s is %.80q in its row, %.80q in the log", strings.ToLower(f.Name), fmt.Sprint(have), fmt.Sprint(want))
		}
	}
	return ""
}

// fixed is the part of a claim that no later entry may change.
func (c claim) fixed() claim {
	return claim{Site: c.Site, Key: c.Key, ShortCode: c.ShortCode, Token: c.Token, FirstUse: c.FirstUse, Hash: c.Hash, Device: c.Device, Fact: c.Fact, Expires: c.Expires}
}

// testimony is what the log says, entry by entry.
type testimony struct {
	origin  string
	next    uint64 // of origin
	fold    *audit.Fold
	objects map[string]claim
	// gap is that the log was damaged once: what it does not know may have
	// stood in the part that is lost.
	gap bool
	// permits are intents that nothing was granted on yet.
	permits *audit.Permits
	// first is the hash of trust root 1, offered when each version came to the
	// log, taken the highest version that the server took.
	first   string
	offered map[string]time.Time
	taken   uint64
}

func newTestimony() *testimony {
	return &testimony{fold: audit.NewFold(), objects: map[string]claim{}, permits: audit.NewPermits(policy.DeviceEnrol, policy.DeviceApprove, policy.TokenCreate), offered: map[string]time.Time{}}
}

// heard is what an entry did to an object.
type heard struct {
	object string
	wrong  string // why the entry is not believed
	mended bool   // a person has looked and approved
}

func (h heard) into(doubt map[string]string) {
	switch {
	case h.wrong != "":
		doubt[h.object] = h.wrong
	case h.mended:
		delete(doubt, h.object)
	}
}

func (t *testimony) add(rec audit.Record) heard {
	if _, number := link.Generation(rec.Position.Origin); number > 1 {
		t.gap = true
	}
	kind, _, _ := strings.Cut(rec.Object, "/")
	switch {
	case rec.Header.Type == audit.TypeIntent:
		t.permits.Add(rec)
	case kind == "trust-root":
		return t.root(rec)
	case rec.Header.Type == audit.TypeAuthority && (kind == "device" || kind == "token"):
		return t.object(rec)
	}
	return heard{}
}

// object takes an authority entry of a device or token.
func (t *testimony) object(rec audit.Record) heard {
	h := heard{object: rec.Object}
	if o := t.fold.Add(rec); o.At != rec.Position {
		h.wrong = fmt.Sprintf("revision %d stands in the log twice", rec.Header.Revision)
		return h
	}
	c := claim{}
	if err := json.Unmarshal(rec.Body, &c); err != nil {
		h.wrong = "its entry in the log can't be read: " + err.Error()
		return h
	}
	c.Revision = rec.Header.Revision
	before, known := t.objects[rec.Object]
	if h.wrong = t.mayFollow(rec, before, known, c); h.wrong == "" {
		h.mended = rec.Header.Action == "device."+core.Action(IdentityActive)
		t.objects[rec.Object] = c
	}
	return h
}

// mayFollow says why an entry can't be true, "" if it can. Entries reach the log
// through a table that somebody may have written; permits do not.
func (t *testimony) mayFollow(rec audit.Record, before claim, known bool, c claim) string {
	if known && before.fixed() != c.fixed() {
		return "an entry in the log changes what is for good: " + c.fixed().differs(before.fixed())
	}
	switch {
	case strings.HasPrefix(rec.Object, "token/"):
		return t.tokenMayFollow(rec, before, known, c)
	case known && before.State == string(IdentityRetired):
		return "an entry in the log brings it back from retirement"
	case c.State != string(IdentityActive):
		return ""
	}
	p, found := t.permits.Take(rec)
	if !found || p.Object != rec.Object || p.Action != policy.DeviceEnrol && p.Action != policy.DeviceApprove {
		return fmt.Sprintf("revision %d makes it active without a permit of its own", c.Revision)
	}
	return ""
}

// tokenOrder is the way of a token; it never goes back.
var tokenOrder = map[string]int{tokenFresh: 1, tokenUsed: 2, tokenRevoked: 2, tokenMisused: 3}

func (t *testimony) tokenMayFollow(rec audit.Record, before claim, known bool, c claim) string {
	if known {
		if tokenOrder[c.State] <= tokenOrder[before.State] {
			return fmt.Sprintf("an entry in the log makes a %s token %s", before.State, c.State)
		}
		return ""
	}
	p, found := t.permits.Take(rec)
	if !found || p.Action != policy.TokenCreate || p.Params != tokenParams(c.Site, c.Device, c.Fact, c.Life) || c.State != tokenFresh {
		return "the log has no permit to make it"
	}
	return ""
}

// rootsObject stands for a tenant's trust roots together.
const rootsObject = "trust-root"

// root takes what the log says of a trust root. That one is offered proves
// nothing; its signatures do, to everybody.
func (t *testimony) root(rec audit.Record) heard {
	hash := strings.TrimPrefix(rec.Object, link.RootObject(""))
	var body struct {
		Version uint64 `json:"version"`
	}
	if json.Unmarshal(rec.Body, &body) != nil {
		return heard{}
	}
	switch {
	case rec.Header.Outcome == rootTaken:
		t.taken = max(t.taken, body.Version)
	case rec.Header.Type != audit.TypeAuthority:
	case rec.Header.Outcome == rootInstalled && t.first == "":
		t.first = hash
	case rec.Header.Outcome == rootInstalled && t.first != hash:
		return heard{object: rootsObject, wrong: fmt.Sprintf("the log has a second trust root 1, %.16s beside %.16s", hash, t.first)}
	case rec.Header.Outcome == rootOffered && t.offered[hash].IsZero():
		t.offered[hash] = time.UnixMicro(rec.Header.Time)
	}
	return heard{}
}
