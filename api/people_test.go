package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/platform/httpd"
)

func init() { callers["cara"] = person("cara", core.RoleViewer, core.RoleSecurityOfficer) }

// openPeople knows anna and cara by the socket.
func (r *rig) openPeople(dir string) {
	r.t.Helper()
	ring, err := crypt.OpenHost(filepath.Join(dir, "people-host"))
	r.must(err)
	uids := map[string]uint32{"anna": 1000, "cara": 1001}
	var operators []identity.Operator
	for name, uid := range uids {
		operators = append(operators, identity.Operator{UID: uid, Person: named(name), Roles: callers[name].Roles, Sites: []core.SiteID{site}})
	}
	r.people, err = identity.NewPeople(identity.Parts{
		State: r.state, Log: r.log, Facts: audit.Put, Guard: r.guard, Sealer: ring, Clock: core.SystemClock{}, Warn: slog.New(slog.DiscardHandler),
		Tenant: tenant, Operators: operators, Console: "http://localhost:7400", Name: "test", Caps: r.guard.Caps(),
		SingleOperator: func() bool { return false },
		Socket: func(ctx context.Context) (uint32, bool) {
			uid, known := uids[httpd.PrincipalOf(ctx).ID]
			return uid, known
		},
	})
	r.must(err)
	r.must(r.people.Load(r.t.Context()))
}

// TestPeopleByTheSocket walks through what people are asked for at the socket: a
// link of one's own, a viewer, a person with rights by two, and their end.
func TestPeopleByTheSocket(t *testing.T) {
	r := newRig(t)
	list := pageOf[api.Person](r, "/v1/people")
	if len(list) != 2 || list[0].ID != named("anna") || !list[0].Configured || len(list[0].UIDs) != 1 || list[0].State != "active" {
		t.Fatalf("%+v", list)
	}
	link := send[api.SignInLink](r, "POST", "/v1/people/link", `{}`)
	if link.Person != named("anna") || !strings.Contains(link.URL, "/link#") {
		t.Errorf("%+v", link)
	}
	viewer := send[api.SignInLink](r, "POST", "/v1/people", `{"person":"walt","name":"Walt","sites":["hall-a"]}`)
	if viewer.Person != named("walt") {
		t.Errorf("%+v", viewer)
	}
	if p := get[api.Person](r, "/v1/people/walt"); p.State != "invited" || p.Name != "Walt" || len(p.Roles) != 1 {
		t.Errorf("%+v", p)
	}
	ask := `{"kind":"person.roles","person":"walt","name":"","roles":["operator"],"sites":["hall-a"],"actor":"","extra":0,"hours":0,"reason":"knows the line"}`
	a := send[api.Agreement](r, "POST", "/v1/agreements", ask)
	if a.State != "open" || a.Need != 1 || a.Requester != named("anna") || a.Deed.Reason != "knows the line" {
		t.Fatalf("%+v", a)
	}
	path := "/v1/agreements/" + a.ID.String()
	r.refused("anna", "POST", path+"/agree", `{}`, core.KindDenied, "cannot decide it")
	r.refused("vera", "POST", path+"/agree", `{}`, core.KindDenied)
	if code, b := r.ask("cara", "POST", path+"/agree", `{}`); code != http.StatusOK || !strings.Contains(string(b), `"used"`) {
		t.Fatalf("%d %s", code, b)
	}
	if p := get[api.Person](r, "/v1/people/walt"); len(p.Roles) != 1 || p.Roles[0] != "operator" {
		t.Errorf("%+v", p)
	}
	if open := pageOf[api.Agreement](r, "/v1/agreements"); len(open) != 0 {
		t.Errorf("%+v", open)
	}
	if all := pageOf[api.Agreement](r, "/v1/agreements?all=true&limit=1"); len(all) != 1 || len(all[0].Agreed) != 1 || all[0].Agreed[0].Evidence != "uid 1001" {
		t.Errorf("%+v", all)
	}
	invite := `{"kind":"person.invite","person":"ines","name":"Ines","roles":["operator"],"sites":["hall-a"],"actor":"","extra":0,"hours":0,"reason":"new"}`
	b := send[api.Agreement](r, "POST", "/v1/agreements", invite)
	path = "/v1/agreements/" + b.ID.String()
	r.refused("anna", "POST", path+"/carry-out", `{}`, core.KindConflict)
	if code, body := r.ask("cara", "POST", path+"/agree", `{}`); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	if done := send[api.Carried](r, "POST", path+"/carry-out", `{}`); done.Link == nil || done.Agreement.State != "used" || done.Link.Person != named("ines") {
		t.Errorf("%+v", done)
	}
	c := send[api.Agreement](r, "POST", "/v1/agreements", strings.ReplaceAll(invite, "ines", "otto"))
	if code, body := r.ask("cara", "POST", "/v1/agreements/"+c.ID.String()+"/reject", `{"reason":"who?"}`); code != http.StatusOK || !strings.Contains(string(body), `"rejected"`) {
		t.Errorf("%d %s", code, body)
	}
	d := send[api.Agreement](r, "POST", "/v1/agreements", strings.ReplaceAll(invite, "ines", "otto"))
	if w := send[api.Agreement](r, "POST", "/v1/agreements/"+d.ID.String()+"/withdraw", `{"reason":"a typo"}`); w.State != "withdrawn" {
		t.Errorf("%+v", w)
	}
	if p := send[api.Person](r, "POST", "/v1/people/walt/revoke", `{}`); p.State != "revoked" {
		t.Errorf("%+v", p)
	}
	r.refused("anna", "POST", "/v1/people/walt/restore", `{}`, core.KindConflict, "no doubt")
	r.refused("anna", "POST", "/v1/people/nobody/revoke", `{}`, core.KindNotFound)
	r.refused("anna", "POST", "/v1/sessions/none/end", `{}`, core.KindNotFound)
	r.refused("anna", "POST", "/v1/passkeys/none/revoke", `{}`, core.KindNotFound)
	if s := pageOf[api.PersonSession](r, "/v1/sessions?person=anna"); len(s) != 0 {
		t.Errorf("%+v", s)
	}
	for _, path := range []string{"/v1/people", "/v1/people/anna", "/v1/sessions"} {
		r.refused("vera", "GET", path, "", core.KindDenied)
	}
	for path, body := range map[string]string{
		"/v1/people": `{"person":"x","name":"","sites":["hall-a"]}`, "/v1/people/anna/revoke": `{}`, "/v1/people/anna/restore": `{}`, "/v1/agreements": ask,
	} {
		r.refused("vera", "POST", path, body, core.KindDenied)
	}
	r.refused("vera", "POST", "/v1/people/link", `{}`, core.KindUnauthenticated)
}
