package web

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

type findingView struct {
	api.FindingDetail
	// First is the step that leads on, nil where only a scan does; Moves are
	// the others.
	First *findingMove
	Moves []findingMove
	// Not is set where somebody may say that it is nothing, Same where it may be
	// said to be another finding.
	Not, Same bool
	// Acceptable says that its risk may be asked to be accepted.
	Acceptable     bool
	Waits          bool // for somebody else to accept it
	Mine           bool // the one who asked looks at it
	Justifications []string
	Soon, Latest   string // days of an acceptance
	MostDays       int
	Names          []link
	Device         string // "" where it is not a device's
}

// findingMove is a step that a person may take, in a person's words.
type findingMove struct {
	To          lifecycle.State
	Label, Hint string
	Reason      bool // has to be given
}

// forward are the steps towards the fix, by where the finding stands.
var forward = map[lifecycle.State]findingMove{
	lifecycle.StateDiscovered:  {To: lifecycle.StateTriaged, Label: "I have looked at it", Hint: "It is real until somebody shows that it is not."},
	lifecycle.StateTriaged:     {To: lifecycle.StateAffected, Label: "We are affected", Hint: "It has to be fixed, or its risk accepted by two."},
	lifecycle.StateAffected:    {To: lifecycle.StateRemediating, Label: "Somebody fixes it", Hint: "Its clock goes on."},
	lifecycle.StateRemediating: {To: lifecycle.StateFixed, Label: "It is fixed", Hint: "It stays open until every detector that saw it looks again and does not find it."},
}

// otherMoves are the other steps, by where they lead and from where. From "" is
// from anywhere.
var otherMoves = map[[2]lifecycle.State]findingMove{
	{lifecycle.StateAffected, lifecycle.StateFixed}:       {Label: "It is fixed already", Hint: "It stays open until every detector that saw it looks again and does not find it."},
	{lifecycle.StateRemediating, lifecycle.StateAffected}: {Label: "Nobody fixes it any more", Hint: "It still has to be fixed."},
	{lifecycle.StateFixed, lifecycle.StateAffected}:       {Label: "It is not fixed after all", Hint: "It has to be fixed; no scan is waited for."},
	{lifecycle.StateAccepted, lifecycle.StateAffected}:    {Label: "We do not carry the risk any longer", Hint: "It is open again, and has to be fixed."},
	{"", lifecycle.StateTriaged}:                          {Label: "It is something after all", Hint: "It is open again."},
}

// nextMoves are the steps that a person may take from where a finding stands: the
// one that leads on, and the others but the judgements.
func nextMoves(at lifecycle.State) (first *findingMove, others []findingMove) {
	for _, e := range lifecycle.Edges {
		if e.From != at || e.Who != lifecycle.WhoPerson {
			continue
		}
		m, onward := forward[at]
		if onward = onward && m.To == e.To; !onward {
			known := false
			if m, known = otherMoves[[2]lifecycle.State{at, e.To}]; !known {
				if m, known = otherMoves[[2]lifecycle.State{"", e.To}]; !known {
					continue // a judgement has a form of its own
				}
			}
		}
		m.To, m.Reason = e.To, slices.Contains(e.Needs, lifecycle.NeedReason)
		if onward {
			first = &m
		} else {
			others = append(others, m)
		}
	}
	return first, others
}

func (c *Console) finding(w http.ResponseWriter, r *http.Request) error {
	out, err := c.API.Finding(r.Context(), &api.IDInput{ID: r.PathValue("id")})
	if err != nil {
		return err
	}
	v := findingView{FindingDetail: out.Body}
	slices.Reverse(v.Timeline) // the newest first
	f := &v.Finding
	may := func(to lifecycle.State) bool { return slices.Contains(v.Next, string(to)) }
	v.First, v.Moves = nextMoves(f.State)
	v.Not, v.Same = may(lifecycle.StateFalsePositive), may(lifecycle.StateDuplicate)
	v.Waits = f.Acceptance != nil && f.Acceptance.Approver == ""
	v.Mine = v.Waits && f.Acceptance.Requester == sessionOf(r.Context()).Principal.String()
	v.Acceptable = !v.Waits && may(lifecycle.StateAccepted)
	v.Justifications = lifecycle.Justifications
	c.acceptDays(&v)
	v.Names = advisoryNames(f.Names)
	if v.Device = deviceOf(f.Subject); v.Device != "" {
		if _, err := c.API.Device(r.Context(), &api.IDInput{ID: v.Device}); err != nil {
			v.Device = "" // what was scanned need not be enrolled
		}
	}
	return c.render(w, r, "page_finding", page{Title: cut(f.What.Title, maxTitle), Nav: "findings", Body: v})
}

// maxTitle is the longest title of a page, in bytes: titles come from what was
// scanned.
const maxTitle = 160

// acceptDays is for how long a risk may be accepted.
func (c *Console) acceptDays(v *findingView) {
	if c.API.Parts.Findings == nil {
		return
	}
	most := c.API.Parts.Findings.Rules().Acceptance
	latest, soon := c.Clock.Now().Add(most-24*time.Hour), c.Clock.Now().AddDate(0, 1, 0)
	if soon.After(latest) {
		soon = latest
	}
	v.MostDays = int(most / (24 * time.Hour))
	v.Soon, v.Latest = soon.UTC().Format(time.DateOnly), latest.UTC().Format(time.DateOnly)
}

// deviceOf is the device that a subject is, "" for something else.
func deviceOf(subject string) string {
	name, is := strings.CutPrefix(subject, "device/")
	if _, err := core.ParseID[core.DeviceID](name); !is || err != nil {
		return ""
	}
	return name
}

// registers are where names of advisories can be read. A name is linked only
// when it is wholly of the register's form: names come from scanners, and must
// lead nowhere else.
var registers = []struct {
	form *regexp.Regexp
	href string
}{
	{regexp.MustCompile(`^CVE-\d{4}-\d{4,10}$`), "https://www.cve.org/CVERecord?id="},
	{regexp.MustCompile(`^GHSA(-[23456789cfghjmpqrvwx]{4}){3}$`), "https://github.com/advisories/"},
	{regexp.MustCompile(`^GO-\d{4}-\d{4,6}$`), "https://pkg.go.dev/vuln/"},
	{regexp.MustCompile(`^RUSTSEC-\d{4}-\d{4}$`), "https://rustsec.org/advisories/"},
	{regexp.MustCompile(`^(PYSEC|OSV|MAL)-\d{4}-\d{1,8}$`), "https://osv.dev/vulnerability/"},
	{regexp.MustCompile(`^D[SL]A-\d{1,6}-\d{1,3}$`), "https://security-tracker.debian.org/tracker/"},
}

// advisoryNames are an advisory's names, with where each can be read.
func advisoryNames(names []string) []link {
	list := make([]link, 0, len(names))
	for _, n := range names {
		one := link{Text: n}
		for _, reg := range registers {
			if reg.form.MatchString(n) {
				one.Href = reg.href + n
			}
		}
		list = append(list, one)
	}
	return list
}

// findingPage is where a finding's forms lead back to.
func findingPage(r *http.Request) string { return "/findings/" + url.PathEscape(r.PathValue("id")) }

func (c *Console) moveFinding(w http.ResponseWriter, r *http.Request) error {
	to := lifecycle.State(form(r, "to"))
	_, err := c.API.MoveFinding(r.Context(), &api.MoveFindingInput{ID: r.PathValue("id"), Body: api.MoveFinding{To: to, Reason: strings.TrimSpace(form(r, "reason"))}})
	if err != nil {
		return err
	}
	said := "Noted."
	if to == lifecycle.StateFixed {
		said = "Noted. Only a later scan that does not find it any more verifies that."
	}
	return c.done(w, r, findingPage(r), "info", said)
}

func (c *Console) assignFinding(w http.ResponseWriter, r *http.Request) error {
	_, err := c.API.AssignFinding(r.Context(), &api.AssignFindingInput{ID: r.PathValue("id"), Body: api.AssignFinding{Owner: strings.TrimSpace(form(r, "owner"))}})
	if err != nil {
		return err
	}
	return c.done(w, r, findingPage(r), "ok", "The finding has its owner.")
}

func (c *Console) noteFinding(w http.ResponseWriter, r *http.Request) error {
	_, err := c.API.NoteFinding(r.Context(), &api.NoteFindingInput{ID: r.PathValue("id"), Body: api.NoteFinding{Text: strings.TrimSpace(form(r, "text"))}})
	if err != nil {
		return err
	}
	return c.done(w, r, findingPage(r), "ok", "The note stands in the timeline.")
}

func (c *Console) dismissFinding(w http.ResponseWriter, r *http.Request) error {
	_, err := c.API.DismissFinding(r.Context(), &api.DismissFindingInput{ID: r.PathValue("id"), Body: api.DismissFinding{
		To: lifecycle.State(form(r, "to")), Reason: strings.TrimSpace(form(r, "reason")), Justification: form(r, "justification"), Of: duplicateOf(form(r, "of")),
	}})
	if err != nil {
		return err
	}
	return c.done(w, r, findingPage(r), "info", "Closed by your word. It stands in the log under your name.")
}

// duplicateOf reads the id of the other finding, which people copy with the
// address of its page.
func duplicateOf(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '/')+1:]
}

func (c *Console) acceptFinding(w http.ResponseWriter, r *http.Request) error {
	until, err := time.Parse(time.DateOnly, strings.TrimSpace(form(r, "until")))
	if err != nil {
		return core.E(core.KindInvalid, "web.acceptFinding", "the day is written as 2026-12-24")
	}
	_, err = c.API.AcceptFinding(r.Context(), &api.AcceptFindingInput{ID: r.PathValue("id"), Body: api.AcceptFinding{Until: until, Reason: strings.TrimSpace(form(r, "reason"))}})
	if err != nil {
		return err
	}
	return c.done(w, r, findingPage(r), "info", "Asked. Somebody else has to approve it; until then its clock runs.")
}

func (c *Console) approveFinding(w http.ResponseWriter, r *http.Request) error {
	request, err := strconv.ParseUint(form(r, "request"), 10, 64)
	if err != nil {
		return core.E(core.KindInvalid, "web.approveFinding", "the form names no request").WithHint("open the finding's page again")
	}
	_, err = c.API.ApproveFinding(r.Context(), &api.ApproveFindingInput{ID: r.PathValue("id"), Body: api.ApproveFinding{Reason: strings.TrimSpace(form(r, "reason")), Request: request}})
	if err != nil {
		return err
	}
	return c.done(w, r, findingPage(r), "info", "The risk is accepted until its day, by two. Then it is open again by itself.")
}
