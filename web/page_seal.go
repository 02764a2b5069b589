package web

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet/seal"
	"github.com/interlock-security/interlock/policy"
)

// An inspector stands before the machine with a phone. The way is: the list by
// the day, the seal, a photo, both photos beside each other, and only then the
// word. Nothing of it needs a script.

func sealRoutes(c *Console) {
	c.get("/seals", policy.SealList, c.seals)
	c.get("/seals/new", policy.SealShow, c.newSeal)
	c.get("/seals/{id}", policy.SealShow, c.seal)
	c.get("/photos/{id}", policy.SealShow, c.photo)
	c.upload("/photos", policy.SealInspect, c.addPhoto)
	c.post("/seals", policy.SealApply, c.applySeal)
	c.post("/seals/{id}/inspect", policy.SealInspect, c.inspectSeal)
	c.post("/seals/{id}/remove", policy.SealRemove, c.removeSeal)
}

// dueSoon is how many days ahead a round is planned.
const dueSoon = 7

type sealsView struct {
	Tabs   []tab
	Rows   []api.Seal
	Pager  pager
	Device string
	Which  string
}

// sealTabs are the parts of the list.
var sealTabs = []struct {
	text, which string
	in          api.SealsInput
}{
	{"On machines", "", api.SealsInput{}},
	{"Overdue", "overdue", api.SealsInput{Due: -1}},
	{"Due in a week", "due", api.SealsInput{Due: dueSoon}},
	{"Ended too", "all", api.SealsInput{All: true}},
}

func (c *Console) seals(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	v := sealsView{Device: strings.TrimSpace(q.Get("device")), Which: q.Get("which")}
	in := api.SealsInput{}
	for _, t := range sealTabs {
		to := without(q, "after", "which")
		if t.which != "" {
			to.Set("which", t.which)
		}
		if v.Which == t.which {
			in = t.in
		}
		v.Tabs = append(v.Tabs, tab{Href: address("/seals", to), Text: t.text, Here: v.Which == t.which})
	}
	in.After, in.Limit, in.Device = q.Get("after"), listRows, v.Device
	out, err := c.API.Seals(r.Context(), &in)
	if err != nil {
		return err
	}
	v.Rows = out.Body.Items
	v.Pager = pageOf("/seals", q, out.Body.Next, len(v.Rows), out.Body.Total, "seal", "seals")
	return c.render(w, r, "page_seals", page{Title: "Seals", Nav: "seals", Body: v})
}

var photoHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

// takenPhoto is the photo that the address names, "" for none.
func takenPhoto(r *http.Request) string { return photoHash.FindString(r.URL.Query().Get("photo")) }

type sealView struct {
	api.Seal
	// New is the hash of the photo that was just taken, "" for none.
	New string
	// Last is the photo of the last look, "" where there was none.
	Last    string
	Results []sealResult
}

// Ended reports whether the seal is no longer on the machine.
func (v sealView) Ended() bool { return seal.State(v.State).Ended() }

// Wrong reports whether it was found not to be whole.
func (v sealView) Wrong() bool { return !v.Ended() && v.State != string(seal.Intact) }

// sealResult is what a person may have found.
type sealResult struct {
	Value, Name, Means string
}

var sealResults = []sealResult{
	{string(seal.ResultOK), "The same, and whole", "Serial, edges and surface are as in the first photo."},
	{string(seal.ResultBroken), "Broken", "Cut, torn, lifted, or it shows its void pattern."},
	{string(seal.ResultMismatch), "Another one", "Another serial, another place, or it does not look like the photo."},
}

func (c *Console) seal(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	out, err := c.API.Seal(r.Context(), &api.IDInput{ID: id})
	if err != nil {
		return err
	}
	v := sealView{Seal: out.Body, New: takenPhoto(r), Results: sealResults}
	if v.Wrong() {
		v.Results = sealResults[1:]
	}
	for _, look := range v.Inspections {
		if look.Photo != "" {
			v.Last = look.Photo
			break
		}
	}
	return c.render(w, r, "page_seal", page{Title: "Seal " + v.ID, Nav: "seals", Body: v})
}

func (c *Console) photo(w http.ResponseWriter, r *http.Request) error {
	kind, body, err := c.API.Photo(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "private, max-age=3600")
	w.Header().Set("Content-Disposition", "inline")
	_, err = w.Write(body)
	return err
}

// addPhoto keeps a photo and goes on to the page that compares it.
func (c *Console) addPhoto(w http.ResponseWriter, r *http.Request) error {
	body, err := uploaded(r, "photo")
	if err != nil {
		return err
	}
	p, err := c.API.AddPhoto(r.Context(), body)
	if err != nil {
		return err
	}
	to, err := url.Parse(local(form(r, "next")))
	if err != nil || !strings.HasPrefix(to.Path, "/seals/") {
		return core.E(core.KindInvalid, "web.photo", "the photo is for no seal")
	}
	q := to.Query()
	q.Set("photo", p.Hash)
	to.RawQuery, to.Fragment = q.Encode(), ""
	http.Redirect(w, r, to.String()+"#next", http.StatusSeeOther)
	return nil
}

func (c *Console) inspectSeal(w http.ResponseWriter, r *http.Request) error {
	in := &api.InspectSealInput{ID: r.PathValue("id"), Body: api.InspectSeal{Result: form(r, "result"), Photo: form(r, "photo"), Note: strings.TrimSpace(form(r, "note"))}}
	if in.Body.Result == string(seal.ResultMissing) {
		in.Body.Photo = ""
	}
	out, err := c.API.InspectSeal(r.Context(), in)
	if err != nil {
		return err
	}
	if out.Body.State == string(seal.Intact) {
		return c.done(w, r, "/seals/"+out.Body.ID, "ok", "Recorded: whole. Somebody looks again by "+out.Body.Due.Format("2006-01-02")+".")
	}
	return c.done(w, r, "/seals/"+out.Body.ID, "bad", "Recorded: "+label(in.Body.Result)+". An alert is on its way. Leave the machine as it is, and stay with it if you can.")
}

func (c *Console) removeSeal(w http.ResponseWriter, r *http.Request) error {
	in := &api.RemoveSealInput{ID: r.PathValue("id"), Body: api.RemoveSeal{Reason: strings.TrimSpace(form(r, "reason"))}}
	out, err := c.API.RemoveSeal(r.Context(), in)
	if err != nil {
		return err
	}
	return c.done(w, r, "/seals/"+out.Body.ID, "info", "Removed from the registry. Its history stays, and its serial is not used again.")
}

type newSealView struct {
	Photo   string
	Device  string
	Old     *api.Seal // that it replaces
	Kinds   []seal.Kind
	Devices []api.Device
}

// Next is where the photo leads back to.
func (v newSealView) Next() string {
	q := url.Values{}
	if v.Old != nil {
		q.Set("replaces", v.Old.ID)
	} else if v.Device != "" {
		q.Set("device", v.Device)
	}
	return address("/seals/new", q)
}

// sealDevices is how many devices the form proposes by name.
const sealDevices = 500

func (c *Console) newSeal(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	v := newSealView{Photo: takenPhoto(r), Device: q.Get("device"), Kinds: seal.Kinds}
	if old := q.Get("replaces"); old != "" {
		out, err := c.API.Seal(r.Context(), &api.IDInput{ID: old})
		if err != nil {
			return err
		}
		v.Old, v.Device = &out.Body, out.Body.Device.String()
	} else {
		list, err := c.API.Devices(r.Context(), &api.DevicesInput{Limit: sealDevices})
		if err != nil {
			return err
		}
		v.Devices = list.Body.Items
	}
	title := "Register a seal"
	if v.Old != nil {
		title = "Replace seal " + v.Old.ID
	}
	return c.render(w, r, "page_seal_new", page{Title: title, Nav: "seals", Narrow: v.Photo == "", Body: v})
}

func (c *Console) applySeal(w http.ResponseWriter, r *http.Request) error {
	req := api.SealRequest{
		ID: form(r, "id"), Kind: form(r, "kind"), Place: strings.TrimSpace(form(r, "place")), Sensor: strings.TrimSpace(form(r, "sensor")), Photo: form(r, "photo"),
	}
	var err error
	if req.Device, err = core.ParseID[core.DeviceID](strings.TrimSpace(form(r, "device"))); err != nil {
		return err
	}
	if req.EveryDays, err = strconv.Atoi(strings.TrimSpace(form(r, "every"))); err != nil {
		return core.E(core.KindInvalid, "web.seal", "how often somebody looks is a number of days")
	}
	if old := form(r, "replaces"); old != "" {
		_, err = c.API.RemoveSeal(r.Context(), &api.RemoveSealInput{ID: old, Body: api.RemoveSeal{Reason: strings.TrimSpace(form(r, "reason")), Replacement: &req}})
	} else {
		_, err = c.API.ApplySeal(r.Context(), &api.ApplySealInput{Body: req})
	}
	if err != nil {
		return err
	}
	id, err := seal.ParseID(req.ID)
	if err != nil {
		return err
	}
	return c.done(w, r, "/seals/"+string(id), "ok", "Registered. This is what inspectors will compare with.")
}
