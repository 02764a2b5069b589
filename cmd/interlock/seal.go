package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet/seal"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

type sealCmd struct {
	List    sealListCmd    `cmd:"" help:"Seals: what is wrong first, then by the day they are due." default:"withargs"`
	Show    sealShowCmd    `cmd:"" help:"One seal, and who looked at it."`
	Add     sealAddCmd     `cmd:"" help:"Register a seal that was put on a machine."`
	Inspect sealInspectCmd `cmd:"" help:"Record what you found at a seal, with a photo."`
	Remove  sealRemoveCmd  `cmd:"" help:"End a seal, or replace it by another one."`
}

type sealListCmd struct {
	listing
	Device  string `help:"Only seals on this device."`
	State   string `help:"Only seals in this state: intact, broken, missing, mismatch, removed or replaced."`
	All     bool   `help:"Also those that were removed or replaced."`
	Due     int    `help:"Only those that are due within so many days." placeholder:"DAYS"`
	Overdue bool   `help:"Only those that somebody should have looked at by now." xor:"due"`
}

// Help implements kong's long help.
func (sealListCmd) Help() string {
	return `Exit code 1 when a seal of the list is broken, missing, another one or overdue.

Example:
  interlock seal list --due 7
  interlock seal list --device press-7 --all --json`
}

// Run lists seals.
func (c *sealListCmd) Run(e *env) error {
	due := ""
	switch {
	case c.Overdue:
		due = "-1"
	case c.Due != 0:
		due = strconv.Itoa(c.Due)
	}
	all := ""
	if c.All {
		all = "true"
	}
	list, err := fetch[api.Seal](e, c.listing, "/v1/seals", filter("device", c.Device, "state", c.State, "all", all, "due", due))
	if err != nil {
		return err
	}
	if err := e.show(list, func(w io.Writer) { tellSeals(w, list) }); err != nil {
		return err
	}
	for _, s := range list {
		if wantsSomebody(s) {
			return errFindings
		}
	}
	return nil
}

func wantsSomebody(s api.Seal) bool {
	return s.Late || s.State == string(seal.Broken) || s.State == string(seal.Missing) || s.State == string(seal.Mismatch)
}

func tellSeals(w io.Writer, list []api.Seal) {
	if len(list) == 0 {
		none(w, "seals")
		return
	}
	rows := make([][]string, 0, len(list))
	for _, s := range list {
		due := s.Due.Format(time.DateOnly)
		switch {
		case s.Late:
			due += " OVERDUE"
		case s.State != string(seal.Intact):
			due = "-"
		}
		rows = append(rows, []string{s.ID, s.Device.String(), s.State, due, s.Kind, s.Place})
	}
	table(w, "SEAL DEVICE STATE DUE KIND PLACE", rows)
}

type sealShowCmd struct {
	ID    string `arg:"" help:"The serial that is printed on the seal."`
	Photo string `help:"Write the photo of the day it was applied to this file." type:"path" placeholder:"FILE"`
}

// Help implements kong's long help.
func (sealShowCmd) Help() string {
	return `Example:
  interlock seal show IL-00017
  interlock seal show IL-00017 --photo before.jpg`
}

// Run shows one seal.
func (c *sealShowCmd) Run(e *env) error {
	var s api.Seal
	if err := e.client().Get(e.ctx, "/v1/seals/"+url.PathEscape(c.ID), nil, &s); err != nil {
		return err
	}
	if c.Photo != "" {
		var picture []byte
		if err := e.client().Get(e.ctx, "/v1/photos/"+s.Photo, nil, &picture); err != nil {
			return err
		}
		if err := atomicfile.WriteFile(c.Photo, picture, 0o600); err != nil {
			return core.Wrap(core.KindInvalid, "seal.Show", err)
		}
	}
	return e.show(s, func(w io.Writer) { tellSeal(w, s) })
}

func tellSeal(w io.Writer, s api.Seal) {
	line := func(label, text string) {
		if text != "" {
			_, _ = fmt.Fprintf(w, "%-11s %s\n", label, printable(text))
		}
	}
	line("seal", s.ID+", "+s.Kind)
	line("on", s.Device.String()+" at "+s.Site.String()+": "+s.Place)
	line("sensor", s.Sensor)
	line("state", s.State)
	line("applied", s.Applied.Format(time.DateTime)+" by "+s.AppliedBy)
	if s.Ended.IsZero() {
		late := ""
		if s.Late {
			late = ", OVERDUE"
		}
		line("due", s.Due.Format(time.DateOnly)+", every "+strconv.Itoa(s.EveryDays)+" days"+late)
	} else {
		line("ended", s.Ended.Format(time.DateTime)+" by "+s.EndedBy+because(s.Reason))
	}
	line("replaces", s.Replaces)
	line("replaced by", s.ReplacedBy)
	line("photo", s.Photo)
	rows := make([][]string, 0, len(s.Inspections))
	for _, i := range s.Inspections {
		photo := i.Photo
		rows = append(rows, []string{i.At.Format(time.DateTime), i.By, i.Result, photo[:min(len(photo), 16)], i.Note})
	}
	if len(rows) > 0 {
		table(w, "\nLOOKED BY FOUND PHOTO NOTE", rows)
	}
}

// onMachine is what a seal is registered with.
type onMachine struct {
	Place  string `help:"Where on the machine: seam, screw, door." required:""`
	Kind   string `help:"What it is: ${enum}." enum:"tape,pull-tight,wire,bolt,lacquer,electronic,other" default:"tape"`
	Sensor string `help:"The sensor that watches an electronic seal."`
	Photo  string `help:"A JPEG or PNG photo of it, in place." required:"" type:"path" placeholder:"FILE"`
	Every  int    `help:"Somebody looks at it every so many days." default:"30" placeholder:"DAYS"`
}

type sealAddCmd struct {
	ID     string `arg:"" help:"The serial that is printed on the seal."`
	Device string `help:"The device that it is on." required:""`
	onMachine
}

// Help implements kong's long help.
func (sealAddCmd) Help() string {
	return `The photo is what inspectors will compare with: near, sharp, the serial readable, the edges in the picture. It is kept encrypted and as it
came; what is shown of it has no metadata.

Example:
  interlock seal add IL-00017 --device press-7 --place "seam between lid and frame, left" --photo seal.jpg --every 30`
}

// Run registers a seal.
func (c *sealAddCmd) Run(e *env) error {
	device, err := core.ParseID[core.DeviceID](c.Device)
	if err != nil {
		return err
	}
	r, err := c.request(e, c.ID, device)
	if err != nil {
		return err
	}
	var s api.Seal
	if err := e.client().Post(e.ctx, "/v1/seals", r, &s); err != nil {
		return err
	}
	return e.show(s, func(w io.Writer) { tellSeal(w, s) })
}

func (o onMachine) request(e *env, id string, device core.DeviceID) (api.SealRequest, error) {
	photo, err := handIn(e, o.Photo)
	return api.SealRequest{ID: id, Kind: o.Kind, Device: device, Place: o.Place, Sensor: o.Sensor, Photo: photo, EveryDays: o.Every}, err
}

// handIn gives a photo to the server and returns its hash.
func handIn(e *env, path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", core.Wrap(core.KindInvalid, "seal.photo", err)
	}
	if info.Size() > seal.MaxPhoto {
		return "", core.E(core.KindTooLarge, "seal.photo", fmt.Sprintf("%s has %d bytes, at most %d are allowed", path, info.Size(), seal.MaxPhoto))
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", core.Wrap(core.KindInvalid, "seal.photo", err)
	}
	var p api.Photo
	err = e.client().Upload(e.ctx, "/v1/photos", "application/octet-stream", b, &p)
	return p.Hash, err
}

type sealInspectCmd struct {
	ID     string `arg:"" help:"The serial that is printed on the seal."`
	Result string `help:"What you found: ${enum}." enum:"ok,broken,missing,mismatch" required:""`
	Photo  string `help:"A JPEG or PNG photo of it as it is now; only a missing seal needs none." type:"path" placeholder:"FILE"`
	Note   string `help:"What else is to be said."`
}

// Help implements kong's long help.
func (sealInspectCmd) Help() string {
	return `Read the serial from the seal, not from a list. Broken, missing or another one opens an alert; from there only a replacement leads on.
Exit code 1 when the seal is not ok.

Example:
  interlock seal inspect IL-00017 --result ok --photo today.jpg
  interlock seal inspect IL-00017 --result missing --note "glue left on the frame"`
}

// Run records an inspection.
func (c *sealInspectCmd) Run(e *env) error {
	in := api.InspectSeal{Result: c.Result, Note: c.Note}
	if c.Photo != "" {
		var err error
		if in.Photo, err = handIn(e, c.Photo); err != nil {
			return err
		}
	}
	var s api.Seal
	if err := e.client().Post(e.ctx, "/v1/seals/"+url.PathEscape(c.ID)+"/inspections", in, &s); err != nil {
		return err
	}
	if err := e.show(s, func(w io.Writer) { tellSeal(w, s) }); err != nil || s.State == string(seal.Intact) {
		return err
	}
	return errFindings
}

type sealRemoveCmd struct {
	ID      string `arg:"" help:"The serial that is printed on the seal."`
	Reason  string `help:"Why; it stands in the audit log." required:"" short:"r"`
	Replace string `help:"The serial of the seal that takes its place." placeholder:"SERIAL"`
	Photo   string `help:"A photo of that one, in place." type:"path" placeholder:"FILE"`
	Place   string `help:"Where that one is; as before if it isn't said."`
	Kind    string `help:"What that one is: tape, pull-tight, wire, bolt, lacquer, electronic, other; as before if it isn't said."`
	Every   int    `help:"How often that one is looked at; as before if it isn't said." placeholder:"DAYS"`
}

// Help implements kong's long help.
func (sealRemoveCmd) Help() string {
	return `The seal keeps its history, and its serial is not used again.

Example:
  interlock seal remove IL-00017 --reason "lid opened for service, ticket 4711" --replace IL-00018 --photo new.jpg
  interlock seal remove IL-00017 --reason "machine scrapped"`
}

// Run ends a seal.
func (c *sealRemoveCmd) Run(e *env) error {
	path := "/v1/seals/" + url.PathEscape(c.ID)
	in := api.RemoveSeal{Reason: c.Reason}
	if c.Replace != "" {
		if c.Photo == "" {
			return core.E(core.KindInvalid, "seal.Remove", "a replacement is registered with a photo").WithHint("add --photo FILE")
		}
		var old api.Seal
		if err := e.client().Get(e.ctx, path, nil, &old); err != nil {
			return err
		}
		next := onMachine{Place: old.Place, Kind: old.Kind, Sensor: old.Sensor, Photo: c.Photo, Every: old.EveryDays}
		if c.Place != "" {
			next.Place = c.Place
		}
		if c.Kind != "" {
			next.Kind = c.Kind
		}
		if c.Every != 0 {
			next.Every = c.Every
		}
		r, err := next.request(e, c.Replace, old.Device)
		if err != nil {
			return err
		}
		in.Replacement = &r
	}
	var s api.Seal
	if err := e.client().Post(e.ctx, path+"/remove", in, &s); err != nil {
		return err
	}
	return e.show(s, func(w io.Writer) { tellSeal(w, s) })
}
