package web

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/safety/approval"
)

// deciders is identity with one request that waits. It keeps what was asked.
type deciders struct {
	cookies
	request   identity.Approval
	digests   [][32]byte
	decided   []string
	withdrawn int
}

func (d *deciders) Approvals(context.Context) []identity.Approval {
	return []identity.Approval{d.request}
}

func (d *deciders) Approval(_ context.Context, id core.UUID) (identity.Approval, error) {
	if id != d.request.ID {
		return identity.Approval{}, core.E(core.KindNotFound, "test", "no such request")
	}
	return d.request, nil
}

func (d *deciders) BeginConfirm(_ context.Context, _ Session, digest [32]byte) ([]byte, string, error) {
	d.digests = append(d.digests, digest)
	return []byte(`{"publicKey":{}}`), "handle", nil
}

func (d *deciders) FinishConfirm(_ context.Context, _ Session, handle string, _ []byte) (identity.Confirmation, error) {
	if handle != "handle" {
		return identity.Confirmation{}, core.E(core.KindInvalid, "test", "another handle")
	}
	return identity.Confirmation{}, nil
}

func (d *deciders) Approve(_ context.Context, who core.Principal, _ core.UUID) (identity.Approval, error) {
	d.decided = append(d.decided, "approve "+who.ID)
	return d.request, nil
}

func (d *deciders) Reject(_ context.Context, who core.Principal, _ core.UUID, _ string) (identity.Approval, error) {
	d.decided = append(d.decided, "reject "+who.ID)
	return d.request, nil
}

func (d *deciders) Withdraw(context.Context, core.Principal, core.UUID, string) (identity.Approval, error) {
	d.withdrawn++
	return d.request, nil
}

// decidingPlant has a request of anna's that otto may agree to.
func decidingPlant(t *testing.T) (*plant, *deciders) {
	p := newPlant(t)
	act := identity.Act{Kind: identity.ActRoles, Person: core.MustID[core.PersonID]("vera"), Roles: []string{core.RoleOperator}, Sites: []core.SiteID{plantSite}, Reason: nasty}
	d := &deciders{request: identity.Approval{
		ID: core.NewUUID(time.Now()), Act: act, What: act.String(), Digest: act.Digest(), Requester: core.MustID[core.PersonID]("anna"), State: identity.RequestOpen, Need: 1,
		Eligible: []core.PersonID{core.MustID[core.PersonID]("otto")}, Consents: []approval.Consent{}, Created: time.Now(), Expires: time.Now().Add(time.Hour),
	}}
	p.console.People = d
	return p, d
}

// json posts as the page's script does.
func (p *plant) json(who, path, body string) (*http.Response, string) {
	p.t.Helper()
	return p.ask(who, http.MethodPost, path, nil, func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(body))
		r.ContentLength = int64(len(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", "http://localhost:7400")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("X-CSRF", plantPeople[who].CSRF)
	})
}

// TestAConsentIsAPasskeysWordOnThisAct: the ceremony is begun over the verb, the
// request and the digest of the act, and only its end decides (TRUST F02).
func TestAConsentIsAPasskeysWordOnThisAct(t *testing.T) {
	p, d := decidingPlant(t)
	path := "/approvals/requests/" + d.request.ID.String()
	body := p.page("otto", "/approvals")
	harmless(t, "/approvals", body)
	for _, want := range []string{"make vera operator on hall-a", d.request.Digest.String(), path + "/approve/begin", path + "/reject/begin"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if body := p.page("anna", "/approvals"); strings.Contains(body, "/approve/begin") || !strings.Contains(body, path+"/withdraw") {
		t.Error("who asked for it is offered to agree, or can't take it back")
	}
	for i, verb := range []string{"approve", "reject"} {
		res, body := p.json("otto", path+"/"+verb+"/begin", "{}")
		var got begun
		if res.StatusCode != http.StatusOK || json.Unmarshal([]byte(body), &got) != nil || got.Handle != "handle" || len(d.decided) != i {
			t.Fatalf("%s: %d %s, decided %v", verb, res.StatusCode, body, d.decided)
		}
		if want := identity.ConfirmDigest(verb, d.request.ID, d.request.Digest); d.digests[i] != want {
			t.Errorf("%s is begun over another digest", verb)
		}
		res, body = p.json("otto", path+"/"+verb+"/finish", `{"handle":"handle","credential":{}}`)
		if res.StatusCode != http.StatusOK || len(d.decided) != i+1 || d.decided[i] != verb+" otto" {
			t.Errorf("%s: %d %s, decided %v", verb, res.StatusCode, body, d.decided)
		}
	}
	if res, _ := p.json("otto", path+"/approve/finish", `{"handle":"stolen","credential":{}}`); res.StatusCode < 400 || len(d.decided) != 2 {
		t.Errorf("an answer to nothing: %d, decided %v", res.StatusCode, d.decided)
	}
	if res, _ := p.json("otto", path+"/carry-out/begin", "{}"); res.StatusCode != http.StatusNotFound {
		t.Errorf("another verb: %d", res.StatusCode)
	}
	p.submit("anna", path+"/withdraw", "reason", "a mistake")
	if d.withdrawn != 1 {
		t.Errorf("withdrawn %d times", d.withdrawn)
	}
}

// TestARequestIsNotForEverybody: who may not see requests sees none.
func TestARequestIsNotForEverybody(t *testing.T) {
	p, d := decidingPlant(t)
	res, body := p.ask("late", http.MethodGet, "/approvals", nil)
	if res.StatusCode != http.StatusSeeOther || strings.Contains(body, d.request.What) {
		t.Errorf("a session that may only stop: %d", res.StatusCode)
	}
}
