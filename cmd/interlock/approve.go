package main

import (
	"bufio"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

type approveCmd struct {
	Order string `arg:"" optional:"" help:"The order's id, fetched from the server."`
	File  string `help:"Read the order from a file instead (a USB stick needs no server)." type:"path"`
	Out   string `help:"Write the signed order to this file instead of sending it." type:"path"`
	As    string `help:"The person who signs." default:"owner"`
	Yes   bool   `help:"Don't ask; the order is still printed."`
}

// Help implements kong's long help.
func (approveCmd) Help() string {
	return `Prints the order from the exact bytes that you sign, checked against your own copy of the trust root. What a server
says about an order counts for nothing here. The key is the file in your key directory or, where there is none, one that
your ssh-agent holds: a hardware key (ed25519-sk), or one with a passphrase.

Example:
  interlock approve 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55
  interlock approve --file /media/usb/release.json --out /media/usb/release-signed.json --as anna`
}

// Run fetches, prints, asks, signs and hands the signature over.
func (c *approveCmd) Run(e *env) error {
	envelope, err := c.fetch(e)
	if err != nil {
		return err
	}
	trust, err := ceremony.LoadTrust(e.global.Keys)
	if err != nil {
		return fmt.Errorf("your copy of the trust root: %w", err)
	}
	signer, err := personSigner(e, c.As, trust.Root())
	if err != nil {
		return err
	}
	text, err := link.RenderOrder(envelope.Payload)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(e.talk(), text)
	if !c.Yes && !confirmed(e, "Sign exactly this? [yes/no] ") {
		return core.E(core.KindConflict, "approve", "nothing was signed")
	}
	// Approve holds the order against this person's own trust root: nobody
	// signs for an installation, a role or a version that is not theirs.
	sig, err := trust.Approve(envelope.Payload, signer)
	if err != nil {
		return err
	}
	return c.deliver(e, envelope, sig)
}

func (c *approveCmd) fetch(e *env) (*link.Envelope, error) {
	if (c.Order == "") == (c.File == "") {
		return nil, core.E(core.KindInvalid, "approve", "name either an order or a --file")
	}
	if c.File != "" && c.Out == "" {
		return nil, core.E(core.KindInvalid, "approve", "an order from a file needs --out for the signed one")
	}
	if c.File != "" {
		b, err := readLimited(c.File, link.MaxEnvelope)
		if err != nil {
			return nil, err
		}
		return link.ParseEnvelope(b)
	}
	var o api.Order
	if err := e.client().Get(e.ctx, "/v1/orders/"+url.PathEscape(c.Order), nil, &o); err != nil {
		return nil, err
	}
	return link.ParseEnvelope(o.Envelope)
}

func (c *approveCmd) deliver(e *env, envelope *link.Envelope, sig link.Signature) error {
	if c.Out != "" {
		if err := envelope.Add(sig); err != nil {
			return err
		}
		b, err := envelope.Encode()
		if err != nil {
			return err
		}
		if err := atomicfile.WriteFile(c.Out, b, 0o600); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(e.out, "signed order written to %s\n", c.Out)
		return nil
	}
	var o api.Order
	if err := e.client().Post(e.ctx, "/v1/orders/"+url.PathEscape(c.Order)+"/approvals", api.Approval{KeyID: sig.KeyID, Sig: sig.Sig}, &o); err != nil {
		return err
	}
	return e.show(o, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "signed; order %s is %s, approved by %s (%d needed)\n", o.ID, o.State, strings.Join(o.Approvals, ", "), o.Needed)
	})
}

// confirmed asks a question and takes nothing but a full "yes".
func confirmed(e *env, question string) bool {
	_, _ = fmt.Fprint(e.talk(), question)
	line, err := bufio.NewReader(io.LimitReader(e.in, 64)).ReadString('\n')
	return err == nil && strings.TrimSpace(line) == "yes"
}

// readLimited reads a file of at most limit bytes.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, core.Wrap(core.KindNotFound, "read", err)
	}
	defer func() { _ = f.Close() }()
	return readWhole(f, path, limit)
}

// readLimitedOrInput reads standard input where the path is "-".
func readLimitedOrInput(e *env, path string, limit int64) ([]byte, error) {
	if path == "-" {
		return readWhole(e.in, "standard input", limit)
	}
	return readLimited(path, limit)
}

func readWhole(r io.Reader, name string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "read", err)
	}
	if int64(len(b)) > limit {
		return nil, core.E(core.KindTooLarge, "read", fmt.Sprintf("%s is over %d bytes", name, limit))
	}
	return b, nil
}
