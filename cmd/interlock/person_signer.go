package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
)

// personSigner finds the everyday key that a person signs with: the file in the
// key directory, or, where there is none, a key of this person's that the
// ssh-agent holds, which is how hardware keys and keys with a passphrase come
// in. Whose key it is, the trust roots say, not the agent.
func personSigner(e *env, name string, roots ...*link.Root) (link.Signer, error) {
	own, err := ceremony.LoadPersonSigner(e.global.Keys, name)
	if core.KindOf(err) != core.KindNotFound {
		return own, err
	}
	held, agentErr := agentSigner(e, name, roots)
	if agentErr != nil {
		return nil, fmt.Errorf("%w; and %w", err, agentErr)
	}
	return held, nil
}

// agentSigner asks the ssh-agent for a key of the person.
func agentSigner(e *env, name string, roots []*link.Root) (link.Signer, error) {
	const op = "ssh-agent"
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return nil, core.E(core.KindNotFound, op, "no ssh-agent runs (SSH_AUTH_SOCK is not set)").WithHint("name the person with --as, or: ssh-add KEYFILE")
	}
	conn, err := new(net.Dialer).DialContext(e.ctx, "unix", socket)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, op, err)
	}
	// The signer needs the connection for as long as the verb runs.
	context.AfterFunc(e.ctx, func() { _ = conn.Close() })
	list, err := agent.NewClient(conn).Signers()
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, op, err)
	}
	for _, s := range list {
		if !isKeyOf(name, s.PublicKey(), roots) {
			continue
		}
		signer, err := link.NewSigner(s)
		if err == nil && strings.HasPrefix(s.PublicKey().Type(), "sk-") {
			signer = touched{signer, e}
		}
		return signer, err
	}
	return nil, core.E(core.KindNotFound, op, fmt.Sprintf("the ssh-agent holds %d keys, none of them a key of %s in the trust root", len(list), name)).
		WithHint("ssh-add KEYFILE, and: interlock root show")
}

func isKeyOf(name string, key ssh.PublicKey, roots []*link.Root) bool {
	for _, r := range roots {
		if ownerOf(r, link.KeyID(key)) == name {
			return true
		}
	}
	return false
}

// touched says that a hardware key waits for a hand: it blinks and nothing else
// would tell.
type touched struct {
	link.Signer
	e *env
}

// SignSSH implements [link.Signer].
func (t touched) SignSSH(data []byte) (*ssh.Signature, error) {
	_, _ = fmt.Fprintln(t.e.err, "touch your security key to sign")
	sig, err := t.Signer.SignSSH(data)
	if err != nil {
		err = errors.Join(core.E(core.KindDenied, "ssh-agent", "the security key did not sign"), err)
	}
	return sig, err
}
