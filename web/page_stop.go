package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/safety/stop"
)

// The stop pages stand on the stop path alone: the session and the roster in
// memory. Nothing here asks the operator API, the Guard, the database, the keys
// process or a fresh login, so none of them can be in a stop's way (TRUST F06),
// and a session that has expired within its shift is enough. A GET has no
// effect; only the form's POST trips (TRUST F31).

const (
	// maxStopButtons is how many sites get a button of their own before the
	// page offers a list.
	maxStopButtons = 12
	// maxStopNames bounds how many devices the result names on the page.
	maxStopNames = 200
	// waitingRefresh and settledRefresh are after how many seconds the result
	// loads itself again.
	waitingRefresh, settledRefresh = 2, 15
)

func stopRoutes(c *Console) {
	c.route("GET /stop", policy.StopRead, stopping, c.stopPage)
	c.route("POST /stop", policy.DeviceStop, stopping, c.stopTrip)
	c.route("GET /stop/trips/{id}", policy.StopRead, stopping, c.stopResult)
	c.route("POST /stop/trips/{id}/reason", policy.DeviceStop, stopping, c.stopReason)
}

// stopView is the page that offers stops and shows those in force.
type stopView struct {
	Known     bool // the stop path knows the person
	Withdrawn time.Time
	Sites     []stop.SiteReach
	List      bool // too many sites for buttons
	Devices   int  // on all sites
	// Device is what the page was opened from, "" for none.
	Device  string
	Stops   []stopRow
	Problem string
	Hint    string
}

// stopRow is a stop in force.
type stopRow struct {
	Trip          core.UUID
	What, By      string
	Since         time.Time
	Reason, Added string // Added was given afterwards
	// Waiting, Confirmed and Reset count the devices in scope by what they have
	// answered with their signature.
	Waiting, Confirmed, Reset int
	NotConfirmed              []string
	More                      int // not confirmed, and not named here
	Answered                  []string
	// Unknown says that no device is known in scope.
	Unknown bool
}

// Settled reports whether every device in scope has answered with its
// signature.
func (s stopRow) Settled() bool { return s.Waiting == 0 && !s.Unknown }

func (c *Console) stopPage(w http.ResponseWriter, r *http.Request) error {
	return c.showStop(w, r, http.StatusOK, nil)
}

func (c *Console) showStop(w http.ResponseWriter, r *http.Request, status int, problem error) error {
	who := httpd.PrincipalOf(r.Context())
	reach, known := c.Stops.Reach(who)
	v := stopView{
		Known: known, Withdrawn: reach.Withdrawn, Sites: reach.Sites, List: len(reach.Sites) > maxStopButtons, Devices: reach.Devices(),
		Stops: c.stopsOf(who),
	}
	if id, err := core.ParseID[core.DeviceID](r.FormValue("device")); err == nil {
		v.Device = id.String()
	}
	if problem != nil {
		p := httpd.ProblemOf(problem)
		v.Problem, v.Hint = detail(p.Detail), p.Next
	}
	return c.renderStatus(w, r, status, "page_stop", page{Title: "Stop request", Nav: "stop", Narrow: true, Body: v})
}

// stopTrip requests a stop. What goes wrong is shown on the page that offers the
// other stops: who wants to stop a machine must not have to find the way back.
func (c *Console) stopTrip(w http.ResponseWriter, r *http.Request) error {
	scope, err := scopeOf(form(r, "scope"), form(r, "device"))
	var result stop.Result
	if err == nil {
		result, err = c.Stops.Trip(httpd.PrincipalOf(r.Context()), scope, form(r, "reason"))
	}
	if err != nil {
		return c.showStop(w, r, httpd.ProblemOf(err).Status, err)
	}
	http.Redirect(w, r, "/stop/trips/"+result.Trip.String(), http.StatusSeeOther)
	return nil
}

// stopAgain answers with the page of an error, but for a stop that a form could
// not request (it was open too long, or from another session): then the page
// that offers the stops comes anew, because one more press must do.
func (c *Console) stopAgain(w http.ResponseWriter, r *http.Request, err error) error {
	if r.Method != http.MethodPost || r.URL.Path != "/stop" || sessionOf(r.Context()).ID == "" || !wantsPage(r) {
		return c.fail(w, r, err)
	}
	why := strings.TrimPrefix(detail(err.Error()), "nothing was done: ")
	again := core.E(core.KindOf(err), "web.stop", why).WithHint("you need not load the page again, this is a new one: press once more")
	return c.showStop(w, r, httpd.ProblemOf(err).Status, again)
}

// scopeOf reads what a button says: "fleet", "site/hall-a", "line/hall-a/press",
// or "device" with the name in a field of its own.
func scopeOf(text, device string) (s stop.Scope, err error) {
	kind, rest, _ := strings.Cut(text, "/")
	switch s.Kind = stop.ScopeKind(kind); s.Kind {
	case stop.ScopeFleet:
	case stop.ScopeSite:
		s.Site, err = core.ParseID[core.SiteID](rest)
	case stop.ScopeLine:
		site, line, _ := strings.Cut(rest, "/")
		if s.Site, err = core.ParseID[core.SiteID](site); err == nil {
			s.Line, err = core.ParseID[stop.LineID](line)
		}
	case stop.ScopeDevice:
		if device = strings.TrimSpace(device); device == "" {
			return s, core.E(core.KindInvalid, "web.stop", "no device is named").WithHint("type the device's name, or stop its site")
		}
		s.Device, err = core.ParseID[core.DeviceID](device)
	default:
		err = core.E(core.KindInvalid, "web.stop", "it is not said what to stop").WithHint("press one of the buttons")
	}
	return s, err
}

// resultView is what became of one trip.
type resultView struct {
	Trip      core.UUID
	Stops     []stopRow
	Waiting   int
	Confirmed int
	Explained bool
	Unknown   bool
	// Asking shows the form for the reason; the page stands still meanwhile.
	Asking bool
}

// Settled reports whether every device has answered.
func (v resultView) Settled() bool { return v.Waiting == 0 && !v.Unknown }

func (c *Console) stopResult(w http.ResponseWriter, r *http.Request) error {
	trip, err := core.ParseUUID(r.PathValue("id"))
	if err != nil {
		return err
	}
	v := resultView{Trip: trip, Asking: r.URL.Query().Has("reason")}
	for _, s := range c.stopsOf(httpd.PrincipalOf(r.Context())) {
		if s.Trip == trip {
			v.Stops = append(v.Stops, s)
			v.Waiting, v.Confirmed, v.Unknown = v.Waiting+s.Waiting, v.Confirmed+s.Confirmed, v.Unknown || s.Unknown
			v.Explained = v.Explained || s.Reason != "" || s.Added != ""
		}
	}
	p := page{Title: "Stop requested", Nav: "stop", Narrow: true, Body: v}
	switch {
	case v.Asking || len(v.Stops) == 0:
	case v.Settled():
		p.Refresh = settledRefresh
	default:
		p.Refresh = waitingRefresh
	}
	return c.render(w, r, "page_stop_result", p)
}

func (c *Console) stopReason(w http.ResponseWriter, r *http.Request) error {
	trip, err := core.ParseUUID(r.PathValue("id"))
	if err != nil {
		return err
	}
	who := httpd.PrincipalOf(r.Context())
	if !slices.ContainsFunc(c.stopsOf(who), func(s stopRow) bool { return s.Trip == trip }) {
		return core.E(core.KindNotFound, "web.stop", "no stop of this request is in force on your sites")
	}
	if err := c.Stops.Explain(who, trip, strings.TrimSpace(form(r, "reason"))); err != nil {
		return err
	}
	return c.done(w, r, "/stop/trips/"+trip.String(), "ok", "The reason stands with the stop now.")
}

// stopsOf lists the stops in force on the sites of a person, the newest first.
func (c *Console) stopsOf(who core.Principal) []stopRow {
	var rows []stopRow
	for _, st := range slices.Backward(c.Stops.Status(who.Tenant).Stops) {
		if !st.Scope.Site.IsZero() && !slices.Contains(who.Sites, st.Scope.Site) {
			continue
		}
		row := stopRowOf(st)
		row.Added, _ = c.Stops.Explained(who.Tenant, st.Trip)
		rows = append(rows, row)
	}
	return rows
}

func stopRowOf(st stop.State) stopRow {
	row := stopRow{
		Trip: st.Trip, What: st.Scope.String(), By: nameOf(st.By), Since: st.At, Reason: st.Reason,
		Waiting: len(st.NotConfirmed), Confirmed: len(st.Confirmed), Reset: len(st.Reset),
		NotConfirmed: namesOf(st.NotConfirmed), Answered: namesOf(st.Confirmed),
	}
	row.More = row.Waiting - len(row.NotConfirmed)
	row.Unknown = row.Waiting+row.Confirmed+row.Reset == 0
	return row
}

// namesOf are the first names of a list.
func namesOf(list []core.DeviceID) []string {
	names := make([]string, 0, min(len(list), maxStopNames))
	for _, d := range list[:min(len(list), maxStopNames)] {
		names = append(names, d.String())
	}
	return names
}
