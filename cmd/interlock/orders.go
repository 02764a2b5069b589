package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
)

type ordersCmd struct {
	List ordersListCmd `cmd:"" help:"Orders, the newest first." default:"withargs"`
	Show ordersShowCmd `cmd:"" help:"One order, and how far it has come."`
}

type ordersListCmd struct {
	listing
	State  string `help:"Only orders in this state: signing, awaiting, queued, pending, done, refused, failed, expired, superseded or withdrawn."`
	Device string `help:"Only orders to this device."`
}

// Help implements kong's long help.
func (ordersListCmd) Help() string {
	return `Exit code 1 when an order waits for persons' signatures.

Example:
  interlock orders --state awaiting
  interlock orders --device press-7 --json`
}

// Run lists orders.
func (c *ordersListCmd) Run(e *env) error {
	list, err := fetch[api.Order](e, c.listing, "/v1/orders", filter("state", c.State, "device", c.Device))
	if err != nil {
		return err
	}
	if err := e.show(list, func(w io.Writer) { tellOrders(w, list) }); err != nil {
		return err
	}
	for _, o := range list {
		if o.State == "awaiting" {
			return errFindings
		}
	}
	return nil
}

func tellOrders(w io.Writer, list []api.Order) {
	if len(list) == 0 {
		none(w, "orders")
		return
	}
	rows := make([][]string, 0, len(list))
	for _, o := range list {
		rows = append(rows, []string{o.ID.String(), o.Created.Format(time.DateTime), o.Type, o.Device.String(), o.State, signatures(o), o.Requester, o.Reason})
	}
	table(w, "ID CREATED TYPE DEVICE STATE SIGNED REQUESTER REASON", rows)
}

// signatures tells how many persons signed of how many it takes.
func signatures(o api.Order) string {
	if o.Needed == 0 {
		return "-"
	}
	return strconv.Itoa(len(o.Approvals)) + " of " + strconv.Itoa(o.Needed)
}

type ordersShowCmd struct {
	ID string `arg:"" help:"The order's id."`
}

// Help implements kong's long help.
func (ordersShowCmd) Help() string {
	return `What is signed stands in its exact bytes; read those with: interlock approve ORDER

Example:
  interlock orders show 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55`
}

// Run shows one order.
func (c *ordersShowCmd) Run(e *env) error {
	var o api.Order
	if err := e.client().Get(e.ctx, "/v1/orders/"+url.PathEscape(c.ID), nil, &o); err != nil {
		return err
	}
	return e.show(o, func(w io.Writer) {
		line := func(label, text string) {
			if text != "" {
				_, _ = fmt.Fprintf(w, "%-11s %s\n", label, printable(text))
			}
		}
		line("order", o.ID.String())
		line("what", o.Type+" "+o.Device.String())
		line("state", o.State+because(o.Detail))
		line("requester", o.Requester)
		line("reason", o.Reason)
		line("incident", o.Incident)
		line("signed by", strings.Join(o.Approvals, ", "))
		line("signed", signatures(o))
		line("created", o.Created.Format(time.DateTime))
		line("expires", o.Expires.Format(time.DateTime))
	})
}
