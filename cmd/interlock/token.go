package main

import (
	"fmt"
	"io"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
)

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make an enrolment string for one device."`
}

type tokenCreateCmd struct {
	Device string `help:"The device's name: a-z 0-9 - _." required:""`
	Site   string `help:"The site it stands at." default:"main"`
	TTL    string `help:"How long the token is good for." default:"1h" name:"ttl"`
	Key    string `help:"SHA-256 of the agent's public key, from: interlock agent --print-key. Without it the device waits in a queue for approval."`
}

// Help implements kong's long help.
func (tokenCreateCmd) Help() string {
	return `Prints one string that holds the server's address, the pin of its CA, the hash of the trust root and a secret that works once.

Example:
  interlock token create --device press-7 --site hall-2
  interlock-agent --enrol "$(interlock token create --device press-7 --json | jq -r .string)"`
}

// Run makes a token.
func (c *tokenCreateCmd) Run(e *env) error {
	device, err := core.ParseID[core.DeviceID](c.Device)
	if err != nil {
		return fmt.Errorf("--device: %w", err)
	}
	site, err := core.ParseID[core.SiteID](c.Site)
	if err != nil {
		return fmt.Errorf("--site: %w", err)
	}
	var t api.Token
	if err := e.client().Post(e.ctx, "/v1/tokens", api.TokenRequest{Site: site, Device: device, TTL: c.TTL, Fact: c.Key}, &t); err != nil {
		return err
	}
	return e.show(t, func(w io.Writer) { _, _ = fmt.Fprintln(w, t.String) })
}
