package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet/seal"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/policy"
)

// Seal is a seal on a machine, or one that was there.
type Seal struct {
	ID         string        `json:"id"` // the serial that is printed on it
	Kind       string        `json:"kind"`
	Device     core.DeviceID `json:"device"`
	Site       core.SiteID   `json:"site"`
	Place      string        `json:"place"`
	Sensor     string        `json:"sensor,omitempty"` // of an electronic seal
	Photo      string        `json:"photo"`            // SHA-256, hex
	State      string        `json:"state"`            // intact broken missing mismatch removed replaced
	Late       bool          `json:"late"`             // somebody should have looked by now
	Due        time.Time     `json:"due"`
	EveryDays  int           `json:"every_days"`
	Applied    time.Time     `json:"applied"`
	AppliedBy  string        `json:"applied_by"`
	Inspected  time.Time     `json:"inspected,omitzero"`
	Ended      time.Time     `json:"ended,omitzero"`
	EndedBy    string        `json:"ended_by,omitempty"`
	Reason     string        `json:"reason,omitempty"`
	ReplacedBy string        `json:"replaced_by,omitempty"`
	Replaces   string        `json:"replaces,omitempty"`
	// Inspections are who looked, the newest first; not in a list.
	Inspections []SealInspection `json:"inspections,omitempty"`
}

// SealInspection is one look at a seal.
type SealInspection struct {
	ID     core.UUID `json:"id"`
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Result string    `json:"result"` // ok broken missing mismatch
	Photo  string    `json:"photo,omitempty"`
	Note   string    `json:"note,omitempty"`
}

// SealRequest registers a seal that was put on a machine.
type SealRequest struct {
	ID        string        `json:"id"`
	Kind      string        `json:"kind"`
	Device    core.DeviceID `json:"device"`
	Place     string        `json:"place"`
	Sensor    string        `json:"sensor"` // "" for all but electronic seals
	Photo     string        `json:"photo"`  // SHA-256 of a photo that was handed in
	EveryDays int           `json:"every_days"`
}

// InspectSeal records what a person found.
type InspectSeal struct {
	Result string `json:"result"`
	Photo  string `json:"photo"` // "" only where the seal is missing
	Note   string `json:"note"`
}

// RemoveSeal ends a seal, with another one in its place or without.
type RemoveSeal struct {
	Reason      string       `json:"reason"`
	Replacement *SealRequest `json:"replacement,omitempty"`
}

// Photo is what is known of a photo.
type Photo struct {
	Hash   string `json:"hash"` // SHA-256 of its bytes as they came
	Type   string `json:"type"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Size   int    `json:"size"`
}

// SealsInput selects seals.
type SealsInput struct {
	After  string `query:"after" doc:"Cursor: the field next of the page before"`
	Limit  int    `query:"limit" doc:"How many, up to 500; 0 means 50"`
	Device string `query:"device" doc:"Only seals on this device"`
	State  string `query:"state" doc:"intact, broken, missing, mismatch, removed or replaced; empty for all that are on a machine"`
	All    bool   `query:"all" doc:"Also those that were removed or replaced"`
	Due    int    `query:"due" doc:"Only intact seals that are due within so many days; 0 for any, -1 for those that are overdue"`
}

func (in *SealsInput) query(now time.Time) (q seal.Query, limit int, err error) {
	if limit, err = rows(in.Limit); err != nil {
		return q, 0, err
	}
	after, err := decodeCursor("seals", in.After, 1)
	if err != nil {
		return q, 0, err
	}
	if err := oneOf("state", in.State, seal.States...); err != nil {
		return q, 0, err
	}
	q = seal.Query{State: seal.State(in.State), All: in.All, Limit: limit + 1}
	switch {
	case in.Due < -1 || in.Due > maxDueDays:
		return q, 0, core.E(core.KindInvalid, "api", "due is a number of days from -1 to "+strconv.Itoa(maxDueDays))
	case in.Due == -1:
		q.Due = now
	case in.Due > 0:
		q.Due = now.AddDate(0, 0, in.Due)
	}
	if in.Device != "" {
		if q.Device, err = core.ParseID[core.DeviceID](in.Device); err != nil {
			return q, 0, err
		}
	}
	if after != nil {
		if q.After, err = strconv.Atoi(after[0]); err != nil || q.After < 0 {
			return q, 0, core.E(core.KindInvalid, "api", "after is no cursor of this list")
		}
	}
	return q, limit, nil
}

const (
	maxDueDays = 400
	// looksShown is how many inspections stand with a seal.
	looksShown = 100
)

// Seals lists seals: what is wrong first, then by the day they are due.
func (a *API) Seals(ctx context.Context, in *SealsInput) (*Out[Page[Seal]], error) {
	who, err := a.see(ctx, policy.SealList, "*")
	if err != nil {
		return nil, err
	}
	now := a.Clock.Now()
	q, limit, err := in.query(now)
	if err != nil {
		return nil, err
	}
	list, total, err := a.Parts.Seals.List(ctx, who.Tenant, q)
	if err != nil {
		return nil, err
	}
	next := strconv.Itoa(q.After + limit)
	page := cut(list, limit, total, func(seal.Seal) string { return encodeCursor("seals", next) })
	return out(convert(page, func(s seal.Seal) Seal { return sealOf(s, now) })), nil
}

// Seal shows a seal and who looked at it.
func (a *API) Seal(ctx context.Context, in *IDInput) (*Out[Seal], error) {
	who, err := a.see(ctx, policy.SealShow, in.ID)
	if err != nil {
		return nil, err
	}
	id, err := seal.ParseID(in.ID)
	if err != nil {
		return nil, err
	}
	s, err := a.Parts.Seals.Get(ctx, who.Tenant, id)
	if err != nil {
		return nil, err
	}
	looks, err := a.Parts.Seals.Inspections(ctx, who.Tenant, id, looksShown)
	if err != nil {
		return nil, err
	}
	shown := sealOf(s, a.Clock.Now())
	for _, l := range looks {
		shown.Inspections = append(shown.Inspections, SealInspection{ID: l.ID, At: l.At, By: l.By, Result: string(l.Result), Photo: l.Photo, Note: l.Note})
	}
	return out(shown), nil
}

func sealOf(s seal.Seal, now time.Time) Seal {
	return Seal{
		ID: string(s.ID), Kind: string(s.Kind), Device: s.Device, Site: s.Site, Place: s.Place, Sensor: s.Sensor, Photo: s.Photo, State: string(s.State),
		Late: s.Late(now), Due: s.Due, EveryDays: s.EveryDays, Applied: s.Applied, AppliedBy: s.AppliedBy, Inspected: s.Inspected, Ended: s.Ended,
		EndedBy: s.EndedBy, Reason: s.Reason, ReplacedBy: string(s.ReplacedBy), Replaces: string(s.Replaces),
	}
}

func (r SealRequest) application() seal.Application {
	return seal.Application{ID: r.ID, Kind: seal.Kind(r.Kind), Device: r.Device, Place: r.Place, Sensor: r.Sensor, Photo: r.Photo, EveryDays: r.EveryDays}
}

// ApplySealInput names the seal and where it is.
type ApplySealInput struct{ Body SealRequest }

// ApplySeal registers a seal. The Guard is asked where it is registered.
func (a *API) ApplySeal(ctx context.Context, in *ApplySealInput) (*Out[Seal], error) {
	s, err := a.Parts.Seals.Apply(ctx, principal(ctx), in.Body.application())
	if err != nil {
		return nil, err
	}
	return out(sealOf(s, a.Clock.Now())), nil
}

// InspectSealInput names the seal and says what was found.
type InspectSealInput struct {
	ID   string `path:"id" doc:"The serial that is printed on the seal"`
	Body InspectSeal
}

// InspectSeal records an inspection. The Guard is asked where it is recorded.
func (a *API) InspectSeal(ctx context.Context, in *InspectSealInput) (*Out[Seal], error) {
	s, err := a.Parts.Seals.Inspect(ctx, principal(ctx), seal.Look{Seal: in.ID, Result: seal.Result(in.Body.Result), Photo: in.Body.Photo, Note: in.Body.Note})
	if err != nil {
		return nil, err
	}
	return out(sealOf(s, a.Clock.Now())), nil
}

// RemoveSealInput names the seal and says why it goes.
type RemoveSealInput struct {
	ID   string `path:"id" doc:"The serial that is printed on the seal"`
	Body RemoveSeal
}

// RemoveSeal ends a seal. The Guard is asked where it ends.
func (a *API) RemoveSeal(ctx context.Context, in *RemoveSealInput) (*Out[Seal], error) {
	var next *seal.Application
	if r := in.Body.Replacement; r != nil {
		next = new(r.application())
	}
	s, err := a.Parts.Seals.Remove(ctx, principal(ctx), in.ID, in.Body.Reason, next)
	if err != nil {
		return nil, err
	}
	return out(sealOf(s, a.Clock.Now())), nil
}

// AddPhoto takes a photo in, from a caller within the process.
func (a *API) AddPhoto(ctx context.Context, body []byte) (Photo, error) {
	p, err := a.Parts.Seals.AddPhoto(ctx, principal(ctx), body)
	return Photo{Hash: p.Hash, Type: p.Type, Width: p.Width, Height: p.Height, Size: p.Size}, err
}

// Photo returns a photo to be shown, without its metadata.
func (a *API) Photo(ctx context.Context, hash string) (kind string, body []byte, err error) {
	who, err := a.see(ctx, policy.SealShow, "photo")
	if err != nil {
		return "", nil, err
	}
	return a.Parts.Seals.Photo(ctx, who.Tenant, hash)
}

func addPhotoOperation() huma.Operation {
	op := post("add-photo", "/v1/photos", "Hand in a photo, a JPEG or PNG of at most 8 MiB; a day without use and it is forgotten")
	picture := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	op.RequestBody = &huma.RequestBody{Required: true, Description: "The photo's bytes", Content: map[string]*huma.MediaType{"image/jpeg": picture, "image/png": picture}}
	op.Responses = map[string]*huma.Response{"200": {Description: "What is known of it: hash, type, width, height, size", Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: huma.TypeObject}}}}}
	return op
}

func (a *API) serveAddPhoto(w http.ResponseWriter, r *http.Request, _ url.Values) error {
	body, err := httpd.ReadBody(w, r, seal.MaxPhoto)
	if err != nil {
		return err
	}
	p, err := a.AddPhoto(r.Context(), body)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, p)
}

func photoOperation() huma.Operation {
	op := get("photo", "/v1/photos/{id}", "A photo without its metadata")
	op.Parameters = []*huma.Param{{Name: "id", In: "path", Required: true, Description: "SHA-256 of the photo as it came", Schema: &huma.Schema{Type: huma.TypeString}}}
	op.Responses = answers("image/*", "The photo")
	return op
}

func (a *API) servePhoto(w http.ResponseWriter, r *http.Request, _ url.Values) error {
	kind, body, err := a.Photo(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	_, err = w.Write(body)
	return err
}
