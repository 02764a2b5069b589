package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
)

// maxSessions is how many sessions a person has at a time; one more ends the
// oldest.
const maxSessions = 16

// bound is what a session is bound to. The machine itself is one client by
// whichever of its loopback addresses it comes: browsers change between them.
func (c Client) bound() string {
	if ip := net.ParseIP(c.Address); ip != nil && ip.IsLoopback() {
		c.Address = "loopback"
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(c.Address), c.Address, c.UserAgent))
	return hex.EncodeToString(sum[:])
}

// String is the client for people.
func (c Client) String() string {
	return strings.ToValidUTF8(fmt.Sprintf("%.64s, %.160s", c.Address, c.UserAgent), "�")
}

func cookieHash(cookie string) ([32]byte, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(cookie)
	if err != nil || len(b) != 32 {
		return [32]byte{}, false
	}
	return sha256.Sum256(b), true
}

// csrf is the token of a cookie: whoever has only the token can't make the
// cookie from it.
func csrf(cookie string) string {
	sum := sha256.Sum256([]byte("interlock csrf v1\x00" + cookie))
	return encode64(sum[:])
}

// sessionClaim makes a session and its cookie, the only copy.
func (p *People) sessionClaim(person record, passkey string, counter uint32, client Client) (change, string) {
	var id [10]byte
	var secret [32]byte
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	_, _ = rand.Read(secret[:])
	sum := sha256.Sum256(secret[:])
	now := p.parts.Clock.Now()
	return change{
		object: kindSession + "/" + hex.EncodeToString(id[:]), outcome: "began", vital: audit.VitalRepair,
		claim: claim{
			State: stateLive, Person: person.Person, Roles: person.Roles, Sites: person.Sites, Hash: hex.EncodeToString(sum[:]), Created: now.UnixMicro(), Expires: now.Add(Shift).UnixMicro(),
			Bound: client.bound(), Client: client.String(), Passkey: passkey, Counter: counter,
		},
	}, encode64(secret[:])
}

// believeSession keeps the index by cookie as the records are. The caller holds
// the lock.
func (p *People) believeSession(object string, r, before record, known bool) {
	if known {
		if hash, ok := hashOf(before.Hash); ok && p.sessions[hash] != nil && p.sessions[hash].id == nameOf(object) {
			p.sessions[hash].ended.Store(true)
			delete(p.sessions, hash)
		}
	}
	hash, ok := hashOf(r.Hash)
	if r.State != stateLive || !ok {
		return
	}
	s := &live{
		id: nameOf(object), person: r.Person, bound: r.Bound, kept: true, roles: r.Roles, sites: r.Sites,
		began: time.UnixMicro(r.Created).UTC(), ends: time.UnixMicro(r.Expires).UTC(),
	}
	s.fresh.Store(r.Created)
	s.seen.Store(r.Created)
	p.sessions[hash] = s
	p.counters[r.Passkey] = max(p.counters[r.Passkey], r.Counter)
}

func hashOf(text string) (hash [32]byte, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(hash) {
		return hash, false
	}
	return [32]byte(b), true
}

// Lookup returns the session of a cookie, from memory: it asks no database and
// waits for no disk. A cookie that comes from another client than the one that
// signed in ends its session.
func (p *People) Lookup(cookie string, c Client) (Session, error) {
	const op = "identity.Lookup"
	unknown := core.E(core.KindUnauthenticated, op, "you are not signed in").WithHint("sign in with your passkey")
	hash, ok := cookieHash(cookie)
	if !ok {
		return Session{}, unknown
	}
	now := p.parts.Clock.Now()
	p.mu.RLock()
	defer p.mu.RUnlock()
	s := p.sessions[hash]
	switch {
	case s == nil || s.ended.Load():
		return Session{}, unknown
	case subtle.ConstantTimeCompare([]byte(s.bound), []byte(c.bound())) != 1:
		p.endLater(s, ending{why: "stolen", client: c, alarm: true})
		return Session{}, core.E(core.KindUnauthenticated, op, "the session began on another client; it is over").WithHint("sign in with your passkey")
	case !now.Before(s.ends):
		p.endLater(s, ending{why: "expired"})
		return Session{}, core.E(core.KindUnauthenticated, op, "the shift of your session is over").WithHint("sign in with your passkey")
	}
	return p.session(s, cookie, now, c.ByItself)
}

// session copies a live session out. The caller holds the lock.
func (p *People) session(s *live, cookie string, now time.Time, byItself bool) (Session, error) {
	r, known := p.person(s.person)
	switch {
	case !known || r.State != stateActive:
		return Session{}, core.E(core.KindUnauthenticated, "identity.Lookup", "you are not known here any more")
	case !slices.Equal(s.roles, r.Roles) || !slices.Equal(s.sites, r.Sites):
		p.endLater(s, ending{why: "role-change"})
		return Session{}, core.E(core.KindUnauthenticated, "identity.Lookup", "your roles or sites changed").WithHint("sign in with your passkey")
	}
	out := Session{
		ID: s.id, Person: s.person, Name: r.Name, Roles: slices.Clone(r.Roles), Principal: p.principal(r),
		Began: s.began, Fresh: time.UnixMicro(s.fresh.Load()).UTC(), Ends: s.ends, CSRF: csrf(cookie),
	}
	switch idle := now.Sub(time.UnixMicro(s.seen.Load())); {
	case !p.ready:
		out.Why = "the audit log has not been read yet"
	case p.doubt[s.person] != "":
		out.Why = "somebody wrote the database: " + p.doubt[s.person]
	case idle >= IdleLimit:
		out.Why = "nothing was asked for in " + IdleLimit.String()
	default:
		if !byItself {
			s.seen.Store(now.UnixMicro())
		}
		return out, nil
	}
	out.StopOnly, out.Roles, out.Principal.Roles = true, nil, nil
	return out, nil
}

// ending is a session that is over in memory and not yet in the log.
type ending struct {
	session string
	why     string
	client  Client
	alarm   bool
}

// endLater ends a session at once and has it recorded soon: whoever looks one up
// waits for no disk.
func (p *People) endLater(s *live, e ending) {
	if s.ended.Swap(true) {
		return
	}
	e.session = s.id
	go p.queue(e) // the caller holds the lock for reading
}

func (p *People) queue(e ending) {
	p.mu.Lock()
	p.endings = append(p.endings, e)
	p.mu.Unlock()
	select {
	case p.ended <- struct{}{}:
	default:
	}
}

// recordEndings writes what [People.endLater] left.
func (p *People) recordEndings(ctx context.Context) error {
	p.mu.Lock()
	list := p.endings
	p.endings = nil
	p.mu.Unlock()
	for i, e := range list {
		if err := p.recordEnding(ctx, e); err != nil {
			p.mu.Lock()
			p.endings = append(slices.Clone(list[i:]), p.endings...)
			p.mu.Unlock()
			return err
		}
	}
	return nil
}

func (p *People) recordEnding(ctx context.Context, e ending) error {
	p.editing.Lock()
	defer p.editing.Unlock()
	var more any
	var alarms []Alarm
	c, known := p.closing(e.session, e.why, "")
	if !known {
		return nil
	}
	if e.alarm {
		more = map[string]string{"client": e.client.String()}
		alarms = append(alarms, Alarm{AlarmStolen, core.SeverityHigh, map[string]any{
			"person": c.claim.Person.String(), "session": e.session, "began": c.claim.Client, "used": e.client.String(),
		}})
	}
	c.more = more
	return p.commit(ctx, alarms, c)
}

// closing is the change that ends a session; actor "" is the person.
func (p *People) closing(id, why, actor string) (change, bool) {
	p.mu.RLock()
	r, known := p.objects[kindSession+"/"+id]
	p.mu.RUnlock()
	r.State = stateEnded
	if actor == "" {
		actor = kindPerson + "/" + r.Person.String()
	}
	return change{object: kindSession + "/" + id, claim: r.claim, actor: actor, action: policy.SessionEnd, outcome: why}, known
}

// End ends the caller's own session.
func (p *People) End(ctx context.Context, s Session) error {
	p.editing.Lock()
	defer p.editing.Unlock()
	c, known := p.closing(s.ID, "signed-out", "")
	if !known || c.claim.Person != s.Person {
		return nil
	}
	p.mu.Lock()
	if hash, ok := hashOf(c.claim.Hash); ok && p.sessions[hash] != nil {
		p.sessions[hash].ended.Store(true) // over, whatever the database says
	}
	p.mu.Unlock()
	return p.commit(ctx, nil, c)
}

// EndSession ends somebody's session; the Guard is asked unless it is who's own.
func (p *People) EndSession(ctx context.Context, who core.Principal, id string) error {
	p.editing.Lock()
	defer p.editing.Unlock()
	c, known := p.closing(id, "ended", who.String())
	if !known {
		return core.E(core.KindNotFound, "identity.EndSession", fmt.Sprintf("there is no session %.40q", id))
	}
	if c.claim.Person.String() != who.ID || who.Kind != core.KindPerson {
		var err error
		if c, err = p.permit(ctx, who, policy.SessionEnd, c); err != nil {
			return err
		}
	}
	return p.commit(ctx, nil, c)
}

// Sessions lists the sessions of a person, of everybody for the zero id, newest
// first.
func (p *People) Sessions(_ context.Context, person core.PersonID) []SessionInfo {
	now := p.parts.Clock.Now()
	p.mu.RLock()
	defer p.mu.RUnlock()
	list := []SessionInfo{}
	for _, s := range p.sessions {
		if s.ended.Load() || !person.IsZero() && s.person != person || !now.Before(s.ends) {
			continue
		}
		r := p.objects[kindSession+"/"+s.id]
		seen := time.UnixMicro(s.seen.Load()).UTC()
		list = append(list, SessionInfo{
			ID: s.id, Person: s.person, Client: r.Client, Passkey: r.Passkey, Began: s.began, Seen: seen, Ends: s.ends,
			StopOnly: p.doubt[s.person] != "" || now.Sub(seen) >= IdleLimit,
		})
	}
	slices.SortFunc(list, func(a, b SessionInfo) int { return b.Began.Compare(a.Began) })
	return list
}

// endAll are the changes that end every session of a person but one. The caller
// holds editing.
func (p *People) endAll(person core.PersonID, but, why, actor string) []change {
	p.mu.RLock()
	var ids []string
	for _, s := range p.sessions {
		if s.person == person && s.id != but {
			ids = append(ids, s.id)
		}
	}
	p.mu.RUnlock()
	slices.Sort(ids)
	var list []change
	for _, id := range ids {
		if c, known := p.closing(id, why, actor); known {
			list = append(list, c)
		}
	}
	return list
}

// oldest are the changes that make room for one more session. The caller holds
// editing.
func (p *People) oldest(person core.PersonID) []change {
	var list []change
	sessions := p.Sessions(context.Background(), person)
	for i := len(sessions) - 1; i >= maxSessions-1; i-- {
		if c, known := p.closing(sessions[i].ID, "replaced", ""); known {
			list = append(list, c)
		}
	}
	return list
}

// sweep ends the sessions whose shift is over.
func (p *People) sweep() {
	now := p.parts.Clock.Now()
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, s := range p.sessions {
		if !now.Before(s.ends) {
			p.endLater(s, ending{why: "expired"})
		}
	}
}

// stranger counts somebody who did not prove who they are: one entry a minute
// and source.
func (p *People) stranger(ctx context.Context, c Client) {
	who := core.Principal{Kind: core.KindStranger, ID: c.Address}
	if who.ID == "" {
		who.ID = "console"
	}
	if _, err := p.parts.Guard.Permit(ctx, who, policy.SessionCreate, core.Resource{Type: "session", ID: "new", Tenant: p.parts.Tenant}); err != nil {
		p.parts.Warn.Warn("a refused sign-in was not counted", slog.Any("err", err))
	}
}
