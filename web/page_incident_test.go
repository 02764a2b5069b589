package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/audit/verify"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/response/incident"
)

// TestEachStepLeadsToItsProof follows every step of a real timeline to its entry
// and downloads the file, which verifies with the log's key alone.
func TestEachStepLeadsToItsProof(t *testing.T) {
	p := newPlant(t)
	s := story(p)
	out, err := p.api.Incident(p.as("anna"), &api.IDInput{ID: s.incident.ID.String()})
	p.must(err)
	body := p.page("anna", "/incidents/"+s.incident.ID.String())
	for _, step := range out.Body.Timeline {
		if step.Audit == nil {
			t.Fatalf("step %q has no entry", step.What)
		}
		path := entryPath(step.Audit)
		if !strings.Contains(body, strings.ReplaceAll(path, "&", "&amp;")) {
			t.Errorf("the timeline does not lead to %s", path)
		}
		page := p.page("vera", path) // a viewer can check
		if !strings.Contains(page, "The proof holds.") || !strings.Contains(page, "interlock audit verify entry-") {
			t.Errorf("%s: %s", path, visibleText(page))
		}
		res, file := p.ask("vera", http.MethodGet, strings.Replace(path, "?", "/proof?", 1), nil)
		proven, err := verify.Proof([]byte(file), p.vkey)
		if err != nil || proven.Header.Object != "incident/"+s.incident.ID.String() {
			t.Errorf("%s: %v, %+v", path, err, proven)
		}
		if d := res.Header.Get("Content-Disposition"); !strings.HasPrefix(d, "attachment; ") {
			t.Errorf("the proof is shown and not downloaded: %q", d)
		}
	}
}

// TestMovesAreTheMachines: what the page offers is what the machine lets a person
// of these roles do, and each of it works.
func TestMovesAreTheMachines(t *testing.T) {
	for _, s := range incident.States {
		for _, roles := range [][]string{nil, {core.RoleViewer}, {core.RoleOperator}, {core.RoleSecurityOfficer}, {core.RoleAdministrator}} {
			for _, m := range movesOf(string(s), false, roles) {
				if m.Label == "" {
					t.Errorf("%s → %s has no label", s, m.To)
				}
				if m.To == string(incident.StateClosed) {
					t.Errorf("%v may close an incident in %s by hand", roles, s)
				}
				in := incident.Incident{ID: core.NewUUID(time.Now()), Tenant: plantTenant, State: s}
				c := incident.Change{To: incident.State(m.To), By: core.Principal{Kind: core.KindPerson, ID: "anna", Tenant: plantTenant, Roles: roles}, At: time.Now()}
				if m.Reason {
					c.Reason = "because"
				}
				if m.Into {
					c.Into, c.IntoState = core.NewUUID(time.Now()), incident.StateTriaged
				}
				if _, _, err := incident.Apply(in, c); err != nil {
					t.Errorf("%s → %s is offered to %v: %v", s, m.To, roles, err)
				}
			}
			if roles == nil && len(movesOf(string(s), false, roles)) > 0 {
				t.Errorf("%s offers something to nobody", s)
			}
		}
	}
	for _, m := range movesOf("new", true, []string{core.RoleOperator}) {
		if m.To == string(incident.StateFalsePositive) {
			t.Error("an operator is offered to dismiss an incident that may concern people")
		}
	}
}

func TestWhatToDoNextIsSaidInEveryState(t *testing.T) {
	for _, s := range incident.States {
		if next := nextOf(api.Incident{State: string(s)}, nil, nil); next == "" || strings.Count(next, ".") > 2 {
			t.Errorf("%s: %q", s, next)
		}
	}
	order := orderView{Order: api.Order{Type: "release", Device: plantPress, Needed: 2, Approvals: []string{"anna"}}, Mine: mineMay}
	signed := order
	signed.Mine = mineSigned
	rows := []struct {
		in      api.Incident
		runs    []api.Run
		waiting []orderView
		want    string
	}{
		{api.Incident{State: "contained"}, []api.Run{{State: "running"}}, []orderView{order}, "1 of 2. Look at the machine"},
		{api.Incident{State: "contained"}, []api.Run{{State: "running"}}, []orderView{signed}, "You have signed"},
		{api.Incident{State: "new"}, []api.Run{{State: "proposed", Playbook: "tamper-quarantine"}}, nil, "waits for a person"},
		{api.Incident{State: "new"}, []api.Run{{State: "failed", Playbook: "tamper-quarantine", Step: 2}}, nil, "failed at step 2"},
		{api.Incident{State: "verifying"}, []api.Run{{State: "running"}}, nil, "Nothing to do"},
		{api.Incident{State: "closed"}, []api.Run{{State: "failed"}}, nil, "reviews it"},
	}
	for _, r := range rows {
		if next := nextOf(r.in, r.runs, r.waiting); !strings.Contains(next, r.want) {
			t.Errorf("%+v: %q, want %q", r.in.State, next, r.want)
		}
	}
}

// TestLongTimelinesAreCut: an incident of ten thousand steps is a page too, and
// says what it leaves out.
func TestLongTimelinesAreCut(t *testing.T) {
	in := api.Incident{Opened: time.Now()}
	for i := range 10_000 {
		in.Timeline = append(in.Timeline, api.Step{Time: in.Opened.Add(time.Duration(i) * time.Second), What: "alert attached", Kind: "attached"})
	}
	steps, at, left := stepsOf(in)
	if len(steps) != maxSteps || left != 10_000-maxSteps || at != maxSteps/10 {
		t.Fatalf("%d steps, %d left out behind %d", len(steps), left, at)
	}
	if !steps[at-1].Time.Equal(in.Timeline[at-1].Time) || !steps[len(steps)-1].Time.Equal(in.Timeline[9999].Time) {
		t.Error("not the first and the last steps")
	}
}

func TestStagesGoBackWithTheIncident(t *testing.T) {
	at := time.Now()
	in := api.Incident{State: "triaged", Opened: at, Timeline: []api.Step{{To: "new", Time: at}, {To: "triaged", Time: at}, {To: "contained", Time: at}, {To: "triaged", Time: at}}}
	var marks []string
	for _, s := range stagesOf(in) {
		marks = append(marks, s.State+":"+s.Mark)
	}
	if got := strings.Join(marks, " "); got != "new:done triaged:now contained: eradicating: recovering: verifying: closed: reviewed:" {
		t.Error(got)
	}
	in.State = "closed"
	in.Timeline = append(in.Timeline, api.Step{To: "closed", Time: at})
	if s := stagesOf(in); s[6].Mark != "end" || s[7].Mark != "" {
		t.Errorf("closed: %+v", s)
	}
	in.State = "false-positive"
	for _, s := range stagesOf(in) {
		if s.Mark == "now" || s.Mark == "end" {
			t.Errorf("a dismissed incident is at %s", s.State)
		}
	}
}
