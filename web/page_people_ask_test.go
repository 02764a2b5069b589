package web

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
)

// requesters is identity to which somebody asks for something.
type requesters struct {
	deciders
	crowd   crowd
	asked   []identity.Act
	carried int
}

func (a *requesters) List(ctx context.Context) []identity.Person { return a.crowd.List(ctx) }

func (a *requesters) Request(_ context.Context, who core.Principal, act identity.Act) (identity.Approval, error) {
	a.asked = append(a.asked, act)
	a.request = identity.Approval{
		ID: core.NewUUID(time.Now()), Act: act, What: act.String(), Digest: act.Digest(), Requester: core.MustID[core.PersonID](who.ID), State: identity.RequestOpen, Need: 1,
	}
	return a.request, nil
}

func (a *requesters) CarryOut(_ context.Context, _ core.Principal, id core.UUID) (identity.Approval, identity.Link, error) {
	if id != a.request.ID || a.request.State != identity.RequestApproved {
		return a.request, identity.Link{}, core.E(core.KindConflict, "test", "nobody has agreed yet")
	}
	a.carried++
	return a.request, identity.Link{URL: "http://localhost:7400/link#abc.the-secret", Person: a.request.Act.Person, Expires: time.Now().Add(time.Hour)}, nil
}

// TestASecondPersonIsAskedFor: from the form to the link, each step by a passkey
// over exactly that step, and the link for the one who asked alone.
func TestASecondPersonIsAskedFor(t *testing.T) {
	p := newPlant(t)
	a := &requesters{}
	p.console.People = a
	const fields = "person=ben&name=Ben+B.&role=operator&role=security-officer&site=hall-a&reason=second+person"
	ask := `{"fields":"` + fields + `"}`
	if res, body := p.json("anna", "/people/ask/begin", ask); res.StatusCode != http.StatusOK || !strings.Contains(body, `"handle":"handle"`) {
		t.Fatalf("begin: %d %s", res.StatusCode, body)
	}
	want := identity.Act{
		Kind: identity.ActInvite, Person: core.MustID[core.PersonID]("ben"), Name: "Ben B.", Roles: []string{core.RoleViewer, core.RoleOperator, core.RoleSecurityOfficer},
		Sites: []core.SiteID{plantSite}, Reason: "second person",
	}
	if len(a.digests) != 1 || a.digests[0] != identity.ConfirmDigest(identity.VerbRequest, core.UUID{}, want.Digest()) {
		t.Fatalf("the passkey signs another thing than the form")
	}
	if len(a.asked) != 0 {
		t.Fatal("asked before the passkey's answer")
	}
	if res, body := p.json("anna", "/people/ask/finish", `{"handle":"handle","credential":{},"fields":"`+fields+`"}`); res.StatusCode != http.StatusOK {
		t.Fatalf("finish: %d %s", res.StatusCode, body)
	}
	if len(a.asked) != 1 || a.asked[0].Digest() != want.Digest() {
		t.Fatalf("asked for %+v", a.asked)
	}
	if body := p.page("anna", "/people"); !strings.Contains(body, "Asked: let ben in") || strings.Contains(body, "Carry it out") {
		t.Errorf("after asking: %s", visibleText(body))
	}
	path := "/people/requests/" + a.request.ID.String()
	if res, _ := p.json("anna", path+"/finish", `{"handle":"handle","credential":{}}`); res.StatusCode != http.StatusConflict {
		t.Errorf("carried out before anybody agreed: %d", res.StatusCode)
	}
	a.request.State = identity.RequestApproved
	if body := p.page("anna", "/people"); !strings.Contains(body, "Carry it out") {
		t.Errorf("agreed: %s", visibleText(body))
	}
	for _, end := range []string{"/begin", "/finish"} {
		if res, _ := p.json("otto", path+end, `{"handle":"handle","credential":{}}`); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s by another person: %d", end, res.StatusCode)
		}
	}
	if res, body := p.json("anna", path+"/begin", `{}`); res.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	if last := a.digests[len(a.digests)-1]; last != identity.ConfirmDigest(identity.VerbCarry, a.request.ID, want.Digest()) {
		t.Error("the passkey signs another thing than carrying it out")
	}
	if res, body := p.json("anna", path+"/finish", `{"handle":"handle","credential":{}}`); res.StatusCode != http.StatusOK || a.carried != 1 {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	if body := p.page("anna", "/people"); !strings.Contains(body, "abc.the-secret") {
		t.Error("the link is not shown")
	}
	if body := p.page("anna", "/people"); strings.Contains(body, "abc.the-secret") {
		t.Error("the link is shown twice")
	}
}

func TestWhatIsAskedForMakesSense(t *testing.T) {
	p := newPlant(t)
	a := &requesters{}
	p.console.People = a
	for name, fields := range map[string]string{
		"no person":      "role=operator&reason=x",
		"a path":         "person=../x&role=operator&reason=x",
		"no role":        "person=ben&reason=x",
		"viewer alone":   "person=ben&role=viewer&reason=x",
		"a role unknown": "person=ben&role=root&reason=x",
		"a site that is": "person=ben&role=operator&site=%2F&reason=x",
		"no form":        "%zz",
	} {
		for path, body := range map[string]string{"/people/ask/begin": `{"fields":"` + fields + `"}`, "/people/ask/finish": `{"handle":"handle","credential":{},"fields":"` + fields + `"}`} {
			if res, text := p.json("anna", path, body); res.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %s: %d %s", name, path, res.StatusCode, text)
			}
		}
	}
	for _, body := range []string{"", "[]", `{"fields":1}`, `{"fields":"","more":1}`} {
		if res, _ := p.json("anna", "/people/ask/begin", body); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %d", body, res.StatusCode)
		}
	}
	if len(a.digests)+len(a.asked) != 0 {
		t.Error("something was asked for all the same")
	}
}

// TestSigningInHandsOverWhatTheBrowserSaid, and a session comes back in a cookie
// that no script reads and no other site sends.
func TestSigningInHandsOverWhatTheBrowserSaid(t *testing.T) {
	p := newPlant(t)
	d := &doorkeeper{}
	p.console.People = d
	if res, body := p.json("anna", "/sign-in/begin", `{}`); res.StatusCode != http.StatusOK || !strings.Contains(body, `"options":{"publicKey":{}}`) {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	for path, body := range map[string]string{"/sign-in/finish": `{"handle":"h","credential":{"id":"x"}}`, "/register/finish": `{"handle":"h","credential":{"id":"x"}}`} {
		res, text := p.json("anna", path, body)
		cookie := res.Header.Get("Set-Cookie")
		if res.StatusCode != http.StatusOK || cookie != "__Host-interlock=the-cookie; Path=/; HttpOnly; Secure; SameSite=Strict" {
			t.Errorf("%s: %d %s, cookie %q", path, res.StatusCode, text, cookie)
		}
	}
	if res, body := p.json("anna", "/register/begin", `{"link":"abc.def","name":"`+"A\u0301nna"+`"}`); res.StatusCode != http.StatusOK {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if got := strings.Join(d.heard, "; "); !strings.Contains(got, `h {"id":"x"}`) || !strings.Contains(got, "abc.def A\u0301nna") {
		t.Errorf("handed over: %s", got)
	}
	for _, path := range []string{"/sign-in/begin", "/sign-in/finish", "/register/begin", "/register/finish"} {
		res, _ := p.ask("", http.MethodPost, path, nil, func(r *http.Request) {
			r.Header.Set("Origin", "https://evil.example")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		})
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s from another site: %d", path, res.StatusCode)
		}
	}
}

// doorkeeper signs everybody in and remembers what it was given.
type doorkeeper struct {
	cookies
	heard []string
}

func (*doorkeeper) BeginSignIn(context.Context) ([]byte, string, error) {
	return []byte(`{"publicKey":{}}`), "h", nil
}

func (d *doorkeeper) FinishSignIn(_ context.Context, handle string, credential []byte, _ Client) (Session, string, error) {
	d.heard = append(d.heard, handle+" "+string(credential))
	return Session{}, "the-cookie", nil
}

func (d *doorkeeper) BeginRegistration(_ context.Context, secret, name string) ([]byte, string, error) {
	d.heard = append(d.heard, secret+" "+name)
	return []byte(`{"publicKey":{}}`), "h", nil
}

func (d *doorkeeper) FinishRegistration(ctx context.Context, handle string, credential []byte, c Client) (Session, string, error) {
	return d.FinishSignIn(ctx, handle, credential, c)
}
