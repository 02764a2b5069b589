package web

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/response/playbook"
)

// maxSteps bounds the timeline on the page: the first tenth and the newest of
// the rest are shown, and how many are left out.
const maxSteps = 200

// incidentPath is the way of an incident as the page draws it.
var incidentPath = []incident.State{
	incident.StateNew, incident.StateTriaged, incident.StateContained, incident.StateEradicating,
	incident.StateRecovering, incident.StateVerifying, incident.StateClosed, incident.StateReviewed,
}

func incidentRoutes(c *Console) {
	c.get("/incidents", policy.IncidentRead, c.incidents)
	c.get("/incidents/{id}", policy.IncidentRead, c.incident)
	c.post("/incidents/{id}/move", policy.IncidentTransition, c.moveIncident)
	c.post("/incidents/{id}/runs/{run}/start", policy.PlaybookRun, c.startRun)
}

// stage is one stop on the way of an incident.
type stage struct {
	State string
	// Mark is "done", "now", "end" where now nothing more must happen, or "" for
	// what has not been reached.
	Mark string
	At   time.Time
}

// stagesOf says how far an incident is. A state that it was sent back from
// counts as not reached.
func stagesOf(in api.Incident) []stage {
	at := map[string]time.Time{string(incident.StateNew): in.Opened}
	for _, s := range in.Timeline {
		if s.To != "" {
			at[s.To] = s.Time
		}
	}
	now := slices.Index(incidentPath, incident.State(in.State))
	if in.State == string(incident.StateReopened) {
		now = 0
	}
	stages := make([]stage, len(incidentPath))
	for i, s := range incidentPath {
		stages[i] = stage{State: string(s)}
		if reached, ok := at[string(s)]; ok && i <= now {
			stages[i].Mark, stages[i].At = "done", reached
		}
		switch {
		case i == now && !s.Open():
			stages[i].Mark = "end"
		case i == now:
			stages[i].Mark = "now"
		}
	}
	if in.State == string(incident.StateReopened) {
		stages[0].State = string(incident.StateReopened)
	}
	return stages
}

// move is a transition that a person may make by hand.
type move struct {
	To string
	// Reason says that one must be given, Into that an incident must be named.
	Reason, Into bool
	Label        string
}

// moveLabels say what a transition means for the one who makes it.
var moveLabels = map[incident.State]string{
	incident.StateTriaged:       "This is real: triage it",
	incident.StateContained:     "It is contained",
	incident.StateEradicating:   "Remove the cause",
	incident.StateRecovering:    "Back to recovering",
	incident.StateVerifying:     "Verify it",
	incident.StateReviewed:      "Review it",
	incident.StateReopened:      "Reopen it",
	incident.StateFalsePositive: "This is a false positive",
	incident.StateMerged:        "Merge it into another",
}

// movesOf lists what a person of these roles may do with an incident by hand.
// What needs recovery steps or a verification is for programs; what may concern
// people near a machine is not dismissed by operators.
func movesOf(state string, safety bool, roles []string) []move {
	var moves []move
	for _, e := range incident.Edges {
		byHand := !slices.Contains(e.Needs, incident.NeedPlan) && slices.ContainsFunc(e.Roles, func(r string) bool { return slices.Contains(roles, r) })
		officer := slices.Contains(roles, core.RoleSecurityOfficer) || slices.Contains(roles, core.RoleAdministrator)
		if string(e.From) != state || !byHand || e.Officer && safety && !officer {
			continue
		}
		m := move{To: string(e.To), Label: moveLabels[e.To], Into: slices.Contains(e.Needs, incident.NeedTarget)}
		m.Reason = slices.Contains(e.Needs, incident.NeedReason) || slices.Contains(e.Needs, incident.NeedContainment)
		if e.To == incident.StateContained && e.From == incident.StateEradicating || e.To == incident.StateEradicating && e.From == incident.StateRecovering {
			m.Label = "Back to " + m.To
		}
		moves = append(moves, m)
	}
	return moves
}

// stepView is a line of the timeline.
type stepView struct {
	api.Step
	// Since is how long after the opening it was.
	Since string
	Links []link
	// Mark is how the line is drawn: "move", "act" or "note", Tone its colour.
	Mark, Tone string
	// Title and Detail are what it says, in two parts.
	Title, Detail string
}

// refPages are the pages of what a reference names.
var refPages = map[string]string{
	"alert": "/alerts/", "order": "/approvals/", "incident": "/incidents/", "device": "/devices/",
}

func linkOf(ref string) link {
	kind, id, _ := strings.Cut(ref, "/")
	l := link{Text: kind + " " + shortID(id)}
	switch page, known := refPages[kind]; {
	case known:
		l.Href = page + id
	case kind == "run":
		l.Href = "#run-" + id
	default:
		l.Text = ref
	}
	return l
}

// shortID is the part of an id that people can tell apart: a UUIDv7 begins with
// the time, which is the same for all of a minute.
func shortID(id string) string {
	if _, err := core.ParseUUID(id); err != nil {
		return id
	}
	return id[len(id)-8:]
}

// stepsOf makes the lines of a timeline. Where it is too long, left steps behind
// the first at are left out.
func stepsOf(in api.Incident) (steps []stepView, at, left int) {
	if at = maxSteps / 10; len(in.Timeline) > maxSteps {
		left = len(in.Timeline) - maxSteps
	}
	for i, s := range in.Timeline {
		if i < at || i >= at+left {
			steps = append(steps, stepOf(s, in.Opened))
		}
	}
	return steps, at, left
}

func stepOf(s api.Step, opened time.Time) stepView {
	v := stepView{Step: s, Since: "+" + durationText(s.Time.Sub(opened)), Mark: "note", Title: longHex.ReplaceAllStringFunc(s.What, shortHex)}
	acts := slices.ContainsFunc(s.Refs, func(r string) bool { return strings.HasPrefix(r, "order/") })
	switch {
	case s.To != "":
		v.Mark, v.Tone, v.Detail = "move", stepTones[incident.State(s.To)], s.What
	case s.Kind == string(incident.StepOpened) || s.Kind == string(incident.StepAttached):
		v.Mark, v.Tone = "alert", "bad"
	case acts:
		v.Mark, v.Tone = "act", "info"
	}
	for _, r := range s.Refs {
		v.Links = append(v.Links, linkOf(r))
	}
	return v
}

// longHex is a hash in a sentence. The page shows its beginning; the entry of the
// step has all of it.
var longHex = regexp.MustCompile(`\b[0-9a-f]{40,}\b`)

func shortHex(hash string) string { return hash[:12] + "…" }

// stepTones colours the states that something changes in: only what
// verification or a person closed is green.
var stepTones = map[incident.State]string{
	incident.StateNew: "bad", incident.StateContained: "warn", incident.StateClosed: "ok", incident.StateReviewed: "ok", incident.StateReopened: "bad",
}

// durationText writes a measured span: "2.1 ms", "3.4 s", "12 min".
func durationText(d time.Duration) string {
	switch {
	case d < 50*time.Microsecond:
		return "0 s"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// metric is one of the response times.
type metric struct{ Name, Means, Value string }

// metricsOf lists the response times; what has not happened has no value, and
// that is shown as such.
func metricsOf(in api.Incident) []metric {
	rows := []struct{ key, name, means string }{
		{"detect", "Detected", "from what happened to the alert"},
		{"acknowledge", "Acknowledged", "until it was triaged"},
		{"contain", "Contained", "until the attack could go no further"},
		{"recover", "Recovered", "until verification closed it"},
	}
	list := make([]metric, len(rows))
	for i, r := range rows {
		list[i] = metric{Name: r.name, Means: r.means}
		if seconds, ok := in.Metrics[r.key]; ok {
			list[i].Value = durationText(time.Duration(seconds * float64(time.Second)))
		}
	}
	return list
}

// nextOf says in one sentence what an incident waits for. Runs are the newest
// first; waiting are its orders that persons have not signed yet.
func nextOf(in api.Incident, runs []api.Run, waiting []orderView) string {
	if len(waiting) > 0 {
		o := waiting[0]
		text := fmt.Sprintf("The %s of %s waits for signatures: %d of %d. ", o.Type, o.Device, len(o.Approvals), o.Needed)
		switch o.Mine {
		case mineAsked:
			return text + "You asked for it, so others sign."
		case mineSigned:
			return text + "You have signed."
		}
		return text + "Look at the machine, then sign it."
	}
	if len(runs) > 0 && incident.State(in.State).Open() {
		switch run := runs[0]; run.State {
		case "proposed":
			return fmt.Sprintf("The playbook %s waits for a person: read what it would do, then start it.", run.Playbook)
		case "failed":
			return fmt.Sprintf("The playbook %s failed at step %d: see why, mend it, then go on with it.", run.Playbook, run.Step)
		case "running":
			if text := runningNext[in.State]; text != "" {
				return text
			}
		}
	}
	return stateNext[in.State]
}

// runningNext is what an incident waits for while its playbook works.
var runningNext = map[string]string{
	"new":       "The playbook is at work. Look at the alerts meanwhile.",
	"triaged":   "The playbook contains the device now.",
	"verifying": "Nothing to do: the checks run, and only a pass in each of them closes it.",
}

var stateNext = map[string]string{
	"new":            "Look at the alerts, then say whether this is real.",
	"triaged":        "Contain it, or say why there is nothing to contain.",
	"contained":      "Go and look at the machine; when you know what happened, remove the cause.",
	"eradicating":    "Remove the cause, then ask for the release of the device.",
	"recovering":     "When the device is back, have it verified.",
	"verifying":      "Nothing to do by hand: only a verification in which every check passes closes it.",
	"closed":         "Verification closed it. A security officer reviews it: what is to be done better?",
	"reviewed":       "Nothing is left to do. Its steps and their proofs stay.",
	"reopened":       "It was closed too early: look at what came after, then triage it again.",
	"merged":         "Go on in the incident that it was merged into.",
	"false-positive": "Nothing is left to do. Reopen it if you think otherwise.",
}

type incidentsView struct {
	Tabs  []tab
	Rows  []api.Incident
	Pager pager
	All   bool
}

func (c *Console) incidents(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	all := q.Get("state") == "all"
	out, err := c.API.Incidents(r.Context(), &api.IncidentsInput{All: all, After: q.Get("after"), Limit: listRows})
	if err != nil {
		return err
	}
	v := incidentsView{Rows: out.Body.Items, All: all, Pager: pageOf("/incidents", q, out.Body.Next, len(out.Body.Items), out.Body.Total, "incident", "incidents")}
	v.Tabs = []tab{{Href: "/incidents", Text: "Open", Here: !all}, {Href: "/incidents?state=all", Text: "All", Here: all}}
	p := page{Title: "Incidents", Nav: "incidents", Body: v}
	if parts := []any{all, out.Body.Total}; v.Pager.First == "" { // the beginning of the list is where something is new
		for _, in := range v.Rows {
			parts = append(parts, in.ID, in.State)
		}
		p.Version = version(parts...)
	}
	return c.render(w, r, "page_incidents", p)
}

type incidentView struct {
	api.Incident
	Stages  []stage
	Metrics []metric
	Steps   []stepView
	LeftAt  int
	Left    int // steps that the page leaves out behind LeftAt
	Next    string
	Alerts  []api.Alert
	Runs    []runView
	Waiting []orderView
	Orders  []api.Order
	DryRun  []string
	Moves   []move
	// Problems are parts that could not be read, each named with its reason:
	// a page with a part missing must not look whole.
	Problems []string
	// Proved counts the steps that have an entry in the audit log.
	Proved int
}

// FirstProof is the first step's entry, for the example of a command.
func (v incidentView) FirstProof() *core.Position {
	for _, s := range v.Timeline {
		if s.Audit != nil {
			return s.Audit
		}
	}
	return nil
}

type runView struct {
	api.Run
	Steps []attemptView
}

// attemptView is a try at a step, with the step's name.
type attemptView struct {
	api.Attempt
	Name string
	// Order is the page of the order that the try made, nil for none.
	Order *link
}

// stepNames reads the names of a playbook's steps from its exact bytes. A book
// that can't be read any more shows numbers.
func stepNames(book string) []string {
	b, err := playbook.Parse([]byte(book))
	if err != nil {
		return nil
	}
	names := make([]string, len(b.Steps))
	for i, s := range b.Steps {
		names[i] = s.ID
	}
	return names
}

func attemptsOf(run api.Run) []attemptView {
	names, list := stepNames(run.Book), make([]attemptView, len(run.Attempts))
	for i, a := range run.Attempts {
		list[i] = attemptView{Attempt: a, Name: "step " + strconv.Itoa(a.Step)}
		if a.Step >= 1 && a.Step <= len(names) {
			list[i].Name = names[a.Step-1]
		}
		if strings.HasPrefix(a.Detail, "order/") && !strings.Contains(a.Detail, " ") {
			l := linkOf(a.Detail)
			list[i].Order, list[i].Detail = &l, ""
		}
	}
	return list
}

// maxLinked bounds how many alerts, runs and orders of an incident the page
// reads.
const maxLinked = 20

func (c *Console) incident(w http.ResponseWriter, r *http.Request) error {
	out, err := c.API.Incident(r.Context(), &api.IDInput{ID: r.PathValue("id")})
	if err != nil {
		return err
	}
	in := out.Body
	v := incidentView{Incident: in, Stages: stagesOf(in), Metrics: metricsOf(in), Moves: movesOf(in.State, in.Safety, sessionOf(r.Context()).Roles)}
	v.Steps, v.LeftAt, v.Left = stepsOf(in)
	for _, s := range in.Timeline {
		if s.Audit != nil {
			v.Proved++
		}
	}
	c.incidentParts(r.Context(), &v)
	for _, o := range v.Orders {
		if o.State == orderAwaiting {
			v.Waiting = append(v.Waiting, c.orderView(r, o))
		}
	}
	runs := make([]api.Run, len(v.Runs))
	for i := range v.Runs {
		runs[i] = v.Runs[i].Run
	}
	v.Next = nextOf(in, runs, v.Waiting)
	return c.render(w, r, "page_incident", page{Title: in.Title, Nav: "incidents", Version: v.version(), Body: v})
}

// incidentParts reads what stands around the incident.
func (c *Console) incidentParts(ctx context.Context, v *incidentView) {
	missing := func(what string, err error) {
		v.Problems = append(v.Problems, what+" could not be read: "+detail(err.Error()))
	}
	for _, id := range v.Incident.Alerts[:min(len(v.Incident.Alerts), maxLinked)] {
		out, err := c.API.Alert(ctx, &api.IDInput{ID: id.String()})
		if err != nil {
			missing("alert "+shortID(id.String()), err)
			continue
		}
		v.Alerts = append(v.Alerts, out.Body)
	}
	if err := c.incidentRuns(ctx, v); err != nil {
		missing("its playbook runs", err)
	}
	if incident.State(v.State).Open() {
		out, err := c.API.DryRun(ctx, &api.IDInput{ID: v.ID.String()})
		if err != nil {
			missing("the dry run", err)
		} else {
			v.DryRun = out.Body.Lines
		}
	}
	for _, id := range orderIDs(v.Timeline) {
		out, err := c.API.Order(ctx, &api.IDInput{ID: id})
		if err != nil {
			missing("order "+shortID(id), err)
			continue
		}
		v.Orders = append(v.Orders, out.Body)
	}
}

func (c *Console) incidentRuns(ctx context.Context, v *incidentView) error {
	list, err := c.API.Runs(ctx, &api.RunsInput{Incident: v.ID.String()})
	if err != nil {
		return err
	}
	for _, run := range list.Body.Items[:min(len(list.Body.Items), maxLinked)] {
		whole, err := c.API.Run(ctx, &api.IDInput{ID: run.ID.String()})
		if err != nil {
			return err
		}
		v.Runs = append(v.Runs, runView{Run: whole.Body, Steps: attemptsOf(whole.Body)})
	}
	return nil
}

// orderIDs lists the orders that a timeline names, the newest first.
func orderIDs(steps []api.Step) []string {
	var ids []string
	for _, s := range slices.Backward(steps) {
		for _, ref := range s.Refs {
			id, ok := strings.CutPrefix(ref, "order/")
			if ok && !slices.Contains(ids, id) && len(ids) < maxLinked {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

func (c *Console) moveIncident(w http.ResponseWriter, r *http.Request) error {
	in := &api.MoveIncidentInput{ID: r.PathValue("id"), Body: api.MoveIncident{To: form(r, "to"), Reason: strings.TrimSpace(form(r, "reason")), Into: strings.TrimSpace(form(r, "into"))}}
	out, err := c.API.MoveIncident(r.Context(), in)
	if err != nil {
		return err
	}
	return c.done(w, r, "/incidents/"+out.Body.ID.String(), "ok", "The incident is "+out.Body.State+" now.")
}

func (c *Console) startRun(w http.ResponseWriter, r *http.Request) error {
	out, err := c.API.StartRun(r.Context(), &api.StartRunInput{ID: r.PathValue("run")})
	if err != nil {
		return err
	}
	return c.done(w, r, "/incidents/"+out.Body.Incident.String()+"#run-"+out.Body.ID.String(), "ok", "The playbook "+out.Body.Playbook+" is "+out.Body.State+".")
}
