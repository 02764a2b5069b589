package web

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/policy"
)

func boardRoutes(c *Console) {
	c.get("/{$}", policy.StatusRead, c.board)
	c.get("/board/figures", policy.StatusRead, c.boardFigures)
	c.route("GET /", policy.StatusRead, public, func(http.ResponseWriter, *http.Request) error {
		return core.E(core.KindNotFound, "web", "there is no page at this address")
	})
}

// figure is one number of the board. What is not known has the tone unknown and
// no number: it must never look like a good one.
type figure struct {
	Name  string `json:"-"`
	Label string `json:"-"`
	Icon  string `json:"-"`
	Href  string `json:"-"`
	Value string `json:"value"`
	Note  string `json:"note"`
	Tone  string `json:"tone"`
}

type boardView struct {
	api.Board
	Days    figure
	Figures []figure
	Alerts  []severityCount
	Parts   []part
	Absent  string // why figures are not known
	// Findings are what scanners found.
	Findings inspection
}

type severityCount struct {
	Severity core.Severity
	Count    int
	Known    bool
}

type part struct {
	Name   string
	Health core.Health
}

func (c *Console) board(w http.ResponseWriter, r *http.Request) error {
	b, err := c.boardNow(r.Context())
	if err != nil {
		return err
	}
	v := boardView{Board: b, Days: daysOf(b), Absent: b.Unknown, Findings: c.inspectionNow(r.Context())}
	v.Figures = figuresOf(b, v.Findings)
	for i := len(core.Severities) - 1; i >= 0; i-- {
		s := core.Severities[i]
		v.Alerts = append(v.Alerts, severityCount{s, b.Alerts[string(s)], b.Alerts != nil})
	}
	for _, name := range slices.Sorted(maps.Keys(b.Parts)) {
		v.Parts = append(v.Parts, part{name, b.Parts[name]})
	}
	return c.render(w, r, "board", page{Title: "Safety board", Nav: "board", Body: v, Refresh: 10})
}

// boardFigures is what changes on the board, for the script.
func (c *Console) boardFigures(w http.ResponseWriter, r *http.Request) error {
	b, err := c.boardNow(r.Context())
	if err != nil {
		return err
	}
	figures := map[string]figure{"days": daysOf(b)}
	for _, f := range figuresOf(b, c.inspectionNow(r.Context())) {
		figures[f.Name] = f
	}
	return httpd.WriteJSON(w, map[string]any{"figures": figures})
}

// boards keeps what the database counted for a moment: a board that hangs on
// every wall must not count a hundred thousand alerts for each.
type boards struct {
	one  chan struct{} // held by the one who counts
	last api.Board
	of   core.TenantID

	inspection  inspection
	inspected   time.Time
	inspectedOf core.TenantID
}

const (
	// boardLife is how old figures may be.
	boardLife = time.Second
	// boardPatience is how long a board waits for the database.
	boardPatience = 5 * time.Second
)

// boardNow returns the board for the one who asks. Stops are read from memory
// each time.
func (c *Console) boardNow(ctx context.Context) (api.Board, error) {
	if err := c.permitted(ctx, policy.StatusRead, "*"); err != nil {
		return api.Board{}, err
	}
	who := httpd.PrincipalOf(ctx)
	b, err := c.boardOf(ctx, who.Tenant)
	if err != nil {
		return b, err
	}
	b.Stops = nil
	for _, st := range c.Stops.Status(who.Tenant).Stops {
		if st.Scope.Site.IsZero() || slices.Contains(who.Sites, st.Scope.Site) {
			b.Stops = append(b.Stops, api.StopOf(st))
		}
	}
	return b, nil
}

// boardOf returns the figures of a tenant, at most boardLife old.
func (c *Console) boardOf(ctx context.Context, tenant core.TenantID) (api.Board, error) {
	ctx, cancel := context.WithTimeout(ctx, boardPatience)
	defer cancel()
	select {
	case c.boards.one <- struct{}{}:
		defer func() { <-c.boards.one }()
	case <-ctx.Done():
		return api.Board{}, core.E(core.KindUnavailable, "web.board", "the figures take too long just now").WithHint("the stop page works all the same")
	}
	if age := c.Clock.Now().Sub(c.boards.last.Time); c.boards.of == tenant && age >= 0 && age <= boardLife {
		return c.boards.last, nil
	}
	out, err := c.API.Board(ctx, nil)
	if err != nil {
		return api.Board{}, err
	}
	c.boards.last, c.boards.of = out.Body, tenant
	return out.Body, nil
}

// daysOf is the large number of the board.
func daysOf(b api.Board) figure {
	f := figure{Name: "days", Value: "—", Tone: "unknown", Note: "How long there was no incident is not known just now."}
	if b.Days == nil {
		return f
	}
	f.Value, f.Tone = num(*b.Days), "ok"
	if n := sum(b.Incidents); n > 0 {
		f.Tone, f.Note = "bad", plural(n, "incident is", "incidents are")+" open now."
		return f
	}
	if *b.Days == 0 {
		f.Tone = "info"
	}
	if !b.Since.IsZero() {
		f.Note = "Since " + b.Since.UTC().Format("2 January 2006, 15:04 UTC") + ". Exercises do not count."
	}
	return f
}

func figuresOf(b api.Board, found inspection) []figure {
	known := b.Unknown == ""
	list := []figure{
		stopsFigure(b.Stops),
		counted("incidents", "Open incidents", "/incidents", sum(b.Incidents), b.Incidents != nil, "bad", statesNote(b.Incidents, "none is open")),
		alertsFigure(b.Alerts),
		sensorsFigure(b, known),
		sealsFigure(b, known),
		counted("latches", "Control locks held", "/devices", b.OpenLatches, known, "warn", "latched by devices until released"),
		devicesFigure(b.Devices),
		awaitingFigure(b, known),
		lagFigure(b.Lag),
		logFigure(b),
	}
	if found.Allowed {
		list = append(list, findingsFigure(found))
	}
	return list
}

// counted is a figure that is best at zero.
func counted(name, label, href string, n int, known bool, tone, note string) figure {
	f := figure{Name: name, Label: label, Icon: name, Href: href, Value: num(n), Note: note, Tone: "ok"}
	switch {
	case !known:
		f.Value, f.Tone, f.Note = "—", "unknown", "not known just now"
	case n > 0:
		f.Tone = tone
	}
	return f
}

func stopsFigure(stops []api.Stop) figure {
	waiting := 0
	for _, s := range stops {
		waiting += len(s.Waiting)
	}
	f := counted("stops", "Stops in force", "/stop", len(stops), true, "bad", "no machine is held")
	switch {
	case waiting > 0:
		f.Note = fmt.Sprintf("NOT CONFIRMED: %d", waiting)
	case len(stops) > 0:
		f.Note = "every device has confirmed"
	}
	return f
}

func alertsFigure(bySeverity map[string]int) figure {
	worst := bySeverity[string(core.SeverityCritical)] + bySeverity[string(core.SeverityHigh)]
	f := counted("alerts", "Open alerts", "/alerts", sum(bySeverity), bySeverity != nil, "warn", "nothing waits for a look")
	if f.Tone == "warn" {
		f.Note = plural(worst, "is high or critical", "are high or critical")
	}
	if worst > 0 {
		f.Tone = "bad"
	}
	return f
}

// sensorsFigure is green only where there are devices whose sensors are known to
// be well.
func sensorsFigure(b api.Board, known bool) figure {
	f := counted("sensors", "Sensors not ok", "/devices", b.SensorsNotOK, known, "bad", "alarm, fault, stale or bypassed")
	switch {
	case !known:
	case b.SensorsNotOK == 0 && sum(b.Devices) == 0:
		f.Value, f.Tone, f.Note = "—", "unknown", "no device is heard"
	case b.SensorsNotOK == 0 && silent(b) > 0:
		f.Tone, f.Note = "unknown", plural(silent(b), "device is", "devices are")+" not heard"
	case b.SensorsNotOK > 0 && b.SensorsNotOK == unheard(b.Sensors):
		f.Tone, f.Note = "warn", "unknown: not heard yet, or not there"
	}
	return f
}

// silent counts the devices whose sensors nobody knows now.
func silent(b api.Board) int {
	return b.Devices[string(core.DeviceStale)] + b.Devices[string(core.DeviceOffline)]
}

// sealsFigure counts what somebody has to look at.
func sealsFigure(b api.Board, known bool) figure {
	f := counted("seals", "Seals to look at", "/seals", b.SealsWrong+b.SealsLate, known, "warn", "none is overdue or violated")
	if f.Tone == "warn" {
		f.Note = num(b.SealsWrong) + " violated, " + num(b.SealsLate) + " overdue"
	}
	if known && b.SealsWrong > 0 {
		f.Tone = "bad"
	}
	return f
}

// unheard counts the sensors that have said nothing.
func unheard(list []api.Sensor) (n int) {
	for _, s := range list {
		if s.State == core.SensorUnknown {
			n++
		}
	}
	return n
}

func devicesFigure(byState map[string]int) figure {
	all, online := sum(byState), byState[string(core.DeviceOnline)]
	f := figure{Name: "devices", Label: "Devices online", Icon: "devices", Href: "/devices", Value: fmt.Sprintf("%s of %s", num(online), num(all)), Tone: "ok", Note: statesNote(byState, "")}
	switch {
	case byState == nil:
		f.Value, f.Tone, f.Note = "—", "unknown", "not known just now"
	case all == 0:
		f.Tone, f.Note = "unknown", "none is enrolled yet"
	case online < all:
		f.Tone = "warn"
	}
	return f
}

// awaitingFigure counts what other people must agree to: orders by their
// signatures, requests by their passkeys.
func awaitingFigure(b api.Board, known bool) figure {
	f := counted("awaiting", "Waiting for approval", "/approvals", b.Awaiting+b.Agreements, known, "warn", "nothing waits for anybody")
	if f.Tone == "warn" {
		f.Note = plural(b.Awaiting, "order", "orders") + ", " + plural(b.Agreements, "request", "requests")
	}
	return f
}

// lagBearable is how many frames a stage may be behind before somebody should
// look. A tick is a frame each second.
const lagBearable = 10

// lagFigure tells how far detection is behind what came in: what was not looked
// at yet is not known to be harmless.
func lagFigure(lag map[string]uint64) figure {
	f := figure{Name: "lag", Label: "Detection", Icon: "live", Href: "/live", Value: "—", Tone: "unknown", Note: "not known just now"}
	if lag == nil {
		return f
	}
	worst, at := uint64(0), ""
	for _, stage := range slices.Sorted(maps.Keys(lag)) {
		if stage == "index" {
			continue // the search trails on purpose, and looks at nothing
		}
		if lag[stage] >= worst {
			worst, at = lag[stage], stage
		}
	}
	f.Value, f.Tone, f.Note = "Current", "ok", "every event has been looked at"
	if worst > lagBearable {
		f.Value, f.Tone, f.Note = num(worst), "warn", "frames behind at "+at
	}
	return f
}

func logFigure(b api.Board) figure {
	f := figure{Name: "log", Label: "Audit log", Icon: "audit", Href: "/audit", Value: num(b.LogSize), Note: "entries, log mode " + b.LogMode, Tone: "info"}
	switch b.LogMode {
	case "normal":
	case "":
		f.Value, f.Tone, f.Note = "—", "unknown", "not known just now"
	default:
		f.Tone = "bad"
	}
	return f
}

func sum(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

// statesNote tells counts by state, the states by name.
func statesNote(counts map[string]int, none string) string {
	var said []string
	for _, state := range slices.Sorted(maps.Keys(counts)) {
		if counts[state] > 0 {
			said = append(said, num(counts[state])+" "+label(state))
		}
	}
	if len(said) == 0 {
		return none
	}
	return strings.Join(said, ", ")
}
