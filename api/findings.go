package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

func (a *API) findingRoutes() {
	Register(a, policy.FindingRead, get("findings", "/v1/findings", "Findings, what to fix first first"), a.Findings)
	Register(a, policy.FindingRead, get("finding", "/v1/findings/{id}", "One finding with its timeline"), a.Finding)
	a.stream(policy.FindingSubmit, submitOperation(), a.serveSubmit)
	a.vexRoutes()
	a.findingActs()
	a.findingFigures()
	a.campaignRoutes()
}

// store of findings, or that there is none.
func (a *API) findings() (*lifecycle.Store, error) {
	if a.Parts.Findings == nil {
		return nil, core.E(core.KindUnavailable, "api.Findings", "this server keeps no findings")
	}
	return a.Parts.Findings, nil
}

// seeFindings asks whether the caller may see them.
func (a *API) seeFindings(ctx context.Context, action core.Action, id string) (*lifecycle.Store, core.Principal, error) {
	who, err := a.see(ctx, action, id)
	if err != nil {
		return nil, who, err
	}
	s, err := a.findings()
	return s, who, err
}

// FindingsInput selects findings.
type FindingsInput struct {
	After    string `query:"after" doc:"Cursor: the field next of the page before"`
	Limit    int    `query:"limit" doc:"How many, up to 500; 0 means 50"`
	All      bool   `query:"all" doc:"Closed ones too"`
	State    string `query:"state" doc:"Only findings in this state"`
	Severity string `query:"severity" doc:"The least severity: info, low, medium, high or critical"`
	Class    string `query:"class" doc:"Only findings of this class: secret, vulnerability, code, web, host or provenance"`
	Subject  string `query:"subject" doc:"Only findings of this subject, such as device/press-7 or repo/shop"`
	Owner    string `query:"owner" doc:"Only findings of this owner"`
	Advisory string `query:"advisory" doc:"Only findings of this advisory, by any of its names, or of this rule"`
	Package  string `query:"package" doc:"Only findings of this package"`
	Overdue  bool   `query:"overdue" doc:"Only findings whose time is over"`
	Text     string `query:"text" doc:"Only findings with this text in title, names, file, package or owner"`
	Sort     string `query:"sort" doc:"priority (what to fix first), due or newest; priority is the default"`
}

// filter reads what the input selects.
func (in *FindingsInput) filter(now time.Time) (q lifecycle.Filter, limit int, err error) {
	if limit, err = rows(in.Limit); err != nil {
		return q, 0, err
	}
	err = errors.Join(
		short(map[string]string{"subject": in.Subject, "owner": in.Owner, "advisory": in.Advisory, "package": in.Package, "text": in.Text}),
		oneOf("severity", in.Severity, core.Severities...), oneOf("class", in.Class, scanning.Classes...),
		oneOf("state", in.State, lifecycle.States...), oneOf("sort", in.Sort, lifecycle.Sorts...),
	)
	if err != nil {
		return q, 0, firstOf(err)
	}
	q = lifecycle.Filter{
		OpenOnly: !in.All && in.State == "", State: lifecycle.State(in.State), Severity: core.Severity(in.Severity), Class: scanning.Class(in.Class), Subject: in.Subject,
		Owner: in.Owner, Advisory: in.Advisory, Package: in.Package, Text: in.Text, Sort: lifecycle.Sort(in.Sort), Limit: limit + 1,
	}
	if in.Overdue {
		q.Overdue = now
	}
	if q.Sort == "" {
		q.Sort = lifecycle.SortPriority
	}
	q.After, err = findingPlace(q.Sort, in.After)
	return q, limit, err
}

// firstOf is the first of errors that were joined, which has its kind.
func firstOf(err error) error {
	if many, is := err.(interface{ Unwrap() []error }); is {
		return many.Unwrap()[0]
	}
	return err
}

// findingPlace reads a cursor, which belongs to one order of the list.
func findingPlace(by lifecycle.Sort, cursor string) (*lifecycle.Place, error) {
	parts, err := decodeCursor("findings-"+string(by), cursor, 2)
	if err != nil || parts == nil {
		return nil, err
	}
	key, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return nil, core.E(core.KindInvalid, "api", "after is no cursor of this list")
	}
	id, err := core.ParseUUID(parts[1])
	if err != nil {
		return nil, core.E(core.KindInvalid, "api", "after is no cursor of this list")
	}
	return &lifecycle.Place{Key: key, ID: id}, nil
}

// Findings lists findings.
func (a *API) Findings(ctx context.Context, in *FindingsInput) (*Out[Page[lifecycle.Finding]], error) {
	s, who, err := a.seeFindings(ctx, policy.FindingRead, "*")
	if err != nil {
		return nil, err
	}
	q, limit, err := in.filter(a.Clock.Now())
	if err != nil {
		return nil, err
	}
	var list []lifecycle.Finding
	var total int
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		if list, err = s.List(ctx, tx, who.Tenant, q); err != nil {
			return err
		}
		total, err = s.Count(ctx, tx, who.Tenant, q)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out(cut(list, limit, total, func(f lifecycle.Finding) string {
		p := lifecycle.PlaceOf(&f, q.Sort)
		return encodeCursor("findings-"+string(q.Sort), strconv.FormatInt(p.Key, 10), p.ID.String())
	})), nil
}

// FindingDetail is one finding with all that is known of it.
type FindingDetail struct {
	Finding lifecycle.Finding `json:"finding"`
	// Next are the states to which a person may move it.
	Next     []string          `json:"next" nullable:"false"`
	Timeline []lifecycle.Event `json:"timeline" nullable:"false"`
	// Sightings are what each detector last said of it: it is verified when none
	// has it any more.
	Sightings []lifecycle.Sighting `json:"sightings" nullable:"false"`
	Facts     []lifecycle.Fact     `json:"facts" nullable:"false"` // about its advisory
}

// Finding shows one finding.
func (a *API) Finding(ctx context.Context, in *IDInput) (*Out[FindingDetail], error) {
	s, who, err := a.seeFindings(ctx, policy.FindingRead, in.ID)
	if err != nil {
		return nil, err
	}
	id, err := core.ParseUUID(in.ID)
	if err != nil {
		return nil, err
	}
	d := FindingDetail{Facts: []lifecycle.Fact{}}
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		if d.Finding, err = s.Get(ctx, tx, who.Tenant, id); err != nil {
			return err
		}
		if d.Timeline, err = s.Timeline(ctx, tx, who.Tenant, id); err != nil {
			return err
		}
		if d.Sightings, err = s.Sightings(ctx, tx, who.Tenant, id); err != nil {
			return err
		}
		for _, n := range d.Finding.Names {
			facts, err := s.Facts(ctx, tx, who.Tenant, n)
			if err != nil {
				return err
			}
			d.Facts = append(d.Facts, facts...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.Next = append([]string{}, lifecycle.Next(d.Finding.State)...)
	return out(d), nil
}

// Submission is what scanners hand in: reports of one subject.
type Submission struct {
	// Subject is whose the findings are; "" leaves that to each report's scope.
	Subject string            `json:"subject,omitempty"`
	Reports []scanning.Report `json:"reports"`
}

// Limits of a submission: as it is sent, and unpacked.
const (
	maxSubmission      = 16 << 20
	maxSubmissionPlain = 128 << 20
	maxReports         = 100
	maxElements        = 1_000_000 // of all lists
	maxDepth           = 64        // below it, lists and objects are not told apart
)

func submitOperation() huma.Operation {
	return upload(post("submit-findings", "/v1/findings/reports", "Hand in what scanners found"),
		"JSON, also compressed with gzip: subject (may be left out) and reports, as interlock scan --format json writes them",
		"What each report changed: new, verified, reopened findings; a report that came before changes nothing")
}

// upload describes an operation whose body may be large.
func upload(op huma.Operation, body, answer string) huma.Operation {
	op.RequestBody = &huma.RequestBody{Required: true, Description: body, Content: map[string]*huma.MediaType{
		"application/json": {Schema: &huma.Schema{Type: huma.TypeObject}},
		"application/gzip": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}}
	op.Responses = map[string]*huma.Response{"200": {
		Description: answer, Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: huma.TypeObject}}},
	}}
	return op
}

// readPlain reads a body that may be large and may be compressed.
func readPlain(w http.ResponseWriter, r *http.Request, most, mostPlain int64) ([]byte, error) {
	const op = "api.Submit"
	body, err := httpd.ReadBody(w, r, most)
	if err != nil {
		return nil, err
	}
	plain := io.Reader(bytes.NewReader(body))
	if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(plain)
		if err != nil {
			return nil, core.E(core.KindInvalid, op, "the body is no gzip")
		}
		plain = z
	}
	limited := &io.LimitedReader{R: plain, N: mostPlain + 1}
	text, err := io.ReadAll(limited)
	switch {
	case limited.N <= 0:
		return nil, core.E(core.KindTooLarge, op, fmt.Sprintf("the document is larger than %d MiB", mostPlain>>20)).WithHint("hand it in in parts")
	case err != nil:
		return nil, core.E(core.KindInvalid, op, "the body can't be unpacked: "+err.Error())
	case elements(text) > maxElements:
		return nil, core.E(core.KindTooLarge, op, fmt.Sprintf("the document has more than %d elements in its lists", maxElements)).WithHint("hand it in in parts")
	}
	return text, nil
}

// readUpload reads a document of ours.
func readUpload(w http.ResponseWriter, r *http.Request, v any) error {
	text, err := readPlain(w, r, maxSubmission, maxSubmissionPlain)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err = d.Decode(v); err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("bytes follow the document")
		}
	}
	if err != nil {
		return core.E(core.KindInvalid, "api.Submit", "the body is no such document: "+strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// elements counts, before anything is decoded, the elements that the lists of a
// document could have at most: a few bytes of an element are hundreds of a
// finding.
func elements(text []byte) (n int) {
	var lists [1 + maxDepth]bool
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
			if lists[min(depth, maxDepth)] = c == '['; c == '[' {
				n++
			}
		case c == ']' || c == '}':
			depth = max(0, depth-1)
		case c == ',' && lists[min(depth, maxDepth)]:
			n++
		}
	}
	return n
}

// takeUpload reads a body, has it taken in and answers what became of it.
func takeUpload[In, Taken any](w http.ResponseWriter, r *http.Request, take func(context.Context, In) (Taken, error)) error {
	var in In
	if err := readUpload(w, r, &in); err != nil {
		return err
	}
	taken, err := take(r.Context(), in)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, taken)
}

func (a *API) serveSubmit(w http.ResponseWriter, r *http.Request, _ url.Values) error {
	return takeUpload(w, r, a.Submit)
}

// Submitted is what became of a submission.
type Submitted struct {
	Reports []lifecycle.Summary `json:"reports"`
}

// Submit takes reports in, each in a transaction of its own: what was taken in
// before an error stays, and comes again without effect.
func (a *API) Submit(ctx context.Context, sub Submission) (Submitted, error) {
	done := Submitted{Reports: []lifecycle.Summary{}}
	s, err := a.findings()
	if err != nil {
		return done, err
	}
	if len(sub.Reports) == 0 || len(sub.Reports) > maxReports {
		return done, core.E(core.KindInvalid, "api.Submit", "a submission has 1 to "+strconv.Itoa(maxReports)+" reports")
	}
	for i := range sub.Reports {
		subject := sub.Subject
		if subject == "" {
			subject = lifecycle.SubjectOf(sub.Reports[i].Scope)
		}
		who, _, err := a.decideFinding(ctx, policy.FindingSubmit, "*", subject)
		if err != nil {
			return done, err
		}
		own, err := a.ownLook(ctx, subject, &sub.Reports[i])
		if err != nil {
			return done, err
		}
		err = a.State.Tx(ctx, func(tx *store.Tx) error {
			sum, err := s.ImportFor(ctx, tx, who.Tenant, subject, &sub.Reports[i], who.String(), a.Clock.Now())
			if err == nil && own != nil && !sum.Known {
				var more lifecycle.Summary
				more, err = s.ImportFor(ctx, tx, who.Tenant, subject, own, who.String(), a.Clock.Now())
				sum = sum.And(more)
			}
			if err == nil {
				tx.OnCommit(func() { done.Reports = append(done.Reports, sum) })
			}
			return err
		})
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// ownLook is what our advisories say of the packages of a report, nil where there
// are none: the inventory is ours to ask about from now on, and what it had before
// and has no more is to be known to be gone with the report that says so.
func (a *API) ownLook(ctx context.Context, subject string, r *scanning.Report) (*scanning.Report, error) {
	now := a.Clock.Now()
	if a.Advisories == nil || len(r.Packages) == 0 || len(r.Packages) > lifecycle.MaxPackages || r.Scope.Parts != nil || r.Started.After(now) || lifecycle.CheckSubject(subject) != nil {
		return nil, nil //nolint:nilnil // what can't be asked now is behind, and asked later
	}
	own, err := a.Advisories.Match(ctx, lifecycle.Look{Subject: subject, Scope: lifecycle.ScopeOf(subject, r.Scope), Packages: r.Packages, At: r.Started})
	if core.KindOf(err) == core.KindUnavailable {
		return nil, nil //nolint:nilnil // there are no advisories
	}
	if err != nil {
		return nil, err
	}
	own.Gaps, own.Scope.Excluded = append(lifecycle.WithoutAge(own.Gaps), r.Gaps...), r.Scope.Excluded
	if len(own.Gaps) > lifecycle.MaxGaps {
		return nil, nil //nolint:nilnil // the report itself is refused for that
	}
	return own, nil
}

// decideFinding asks the Guard about a finding, with the site of its device.
func (a *API) decideFinding(ctx context.Context, action core.Action, id, subject string) (core.Principal, core.Position, error) {
	on := core.Resource{Type: "finding", ID: id, Attrs: map[string]any{"subject": subject}}
	if name, is := strings.CutPrefix(subject, "device/"); is {
		if device, err := core.ParseID[core.DeviceID](name); err == nil {
			d, err := a.Registry.Get(ctx, principal(ctx).Tenant, device)
			if err != nil && core.KindOf(err) != core.KindNotFound {
				return core.Principal{}, core.Position{}, err
			}
			on.Site = d.Site
		}
	}
	d, who, err := a.decide(ctx, action, on)
	return who, d.Intent, err
}
