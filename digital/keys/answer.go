package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/digital/pki"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/link"
)

// handlers is everything that can be asked.
var handlers = map[op]func(*keeper, context.Context, []byte) (any, error){
	opStatus:          decoded((*keeper).status),
	opPublicInfo:      decoded((*keeper).publicInfo),
	opAdoptRoot:       decoded((*keeper).adoptRoot),
	opUnseal:          decoded((*keeper).unseal),
	opSetPassphrase:   decoded((*keeper).setPassphrase),
	opSignOrder:       decoded((*keeper).signOrder),
	opIssueManagement: decoded((*keeper).issueManagement),
	opIssueWorkload:   decoded((*keeper).issueWorkload),
	opIssueServer:     decoded((*keeper).issueServer),
}

// decoded puts the strict decoder in front of a handler.
func decoded[In any](fn func(*keeper, context.Context, In) (any, error)) func(*keeper, context.Context, []byte) (any, error) {
	return func(k *keeper, ctx context.Context, body []byte) (any, error) {
		var in In
		if err := link.DecodeStrict(body, &in); err != nil {
			return nil, err
		}
		return fn(k, ctx, in)
	}
}

// answer does what a frame asks for. A frame that is no request ends the
// connection: whoever sends one is not our client.
func (k *keeper) answer(ctx context.Context, frame []byte) (response, error) {
	defer clear(frame)
	var r request
	if err := link.DecodeStrict(frame, &r); err != nil {
		return response{}, err
	}
	handle, known := handlers[r.Op]
	if r.V != 1 || !known {
		return response{}, core.E(core.KindInvalid, "keys.answer", fmt.Sprintf("version %d, request %.40q: not known", r.V, r.Op))
	}
	defer clear(r.Body)
	out, err := handle(k, ctx, r.Body)
	if err != nil {
		k.o.Log.Warn("refused", slog.String("request", string(r.Op)), slog.String("kind", core.KindOf(err).String()), slog.Any("error", err.Error()))
		return response{V: 1, ID: r.ID, Error: toWire(err), Body: json.RawMessage("{}")}, nil
	}
	body, err := link.Encode(out)
	return response{V: 1, ID: r.ID, Body: body}, err
}

func (k *keeper) status(context.Context, empty) (any, error) {
	k.ledger.forget()
	s := Status{PID: os.Getpid(), Sealed: k.ca == nil, MemoryLocked: k.o.memoryLocked, Dumpable: dumpable(), OrdersHour: len(k.ledger.hour), DevicesHour: len(k.contained(""))}
	if k.trust != nil {
		s.RootVersion = k.trust.Root().Version
	}
	return s, nil
}

func (k *keeper) publicInfo(context.Context, empty) (any, error) {
	info := PublicInfo{CommandKey: link.AuthorizedKey(k.order.PublicKey())}
	if k.trust != nil {
		info.RootHash = k.trust.Hash()
	}
	pins, issuers, err := pki.Public(k.caDir())
	if core.KindOf(err) == core.KindNotFound {
		return nil, sealedError("keys.publicInfo")
	}
	if err != nil {
		return nil, err
	}
	for _, p := range pins {
		info.CAPins = append(info.CAPins, p.String())
	}
	info.Issuers = issuers
	return info, nil
}

// unseal opens the vault by its passphrase. The keyring keeps it, to write its
// file again when a key is rotated.
func (k *keeper) unseal(ctx context.Context, in wirePassphrase) (any, error) {
	if k.ca != nil {
		return empty{}, nil
	}
	kek, err := crypt.PassphraseKEK(core.NewSecret(in.Passphrase))
	if err != nil {
		return nil, err
	}
	ring, err := crypt.OpenKeyring(filepath.Join(k.dir, "vault.keyring"), "vault", kek)
	if err != nil {
		return nil, core.Wrap(core.KindDenied, "keys.unseal", err)
	}
	return empty{}, k.openAuthority(ctx, ring)
}

// setPassphrase changes the seal of an open vault from its key file, or from
// another passphrase, to this one. The keyring is written first: a crash between
// leaves a key file that opens nothing.
func (k *keeper) setPassphrase(_ context.Context, in wirePassphrase) (any, error) {
	const op = "keys.setPassphrase"
	if k.vault == nil {
		return nil, sealedError(op)
	}
	kek, err := crypt.PassphraseKEK(core.NewSecret(in.Passphrase))
	if err != nil {
		return nil, err
	}
	if err := k.vault.Rekey(kek); err != nil {
		return nil, err
	}
	if err := os.Remove(filepath.Join(k.dir, "vault.kek")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, core.Wrap(core.KindInternal, op, err)
	}
	return empty{}, nil
}

func sealedError(op string) error {
	return core.E(core.KindUnavailable, op, "the vault is sealed").WithHint("unseal it with its passphrase; stops, containment and recording work meanwhile")
}

func (k *keeper) issueManagement(ctx context.Context, in wireIssue) (any, error) {
	if !in.Workload.IsZero() || len(in.Hosts) != 0 {
		return nil, core.E(core.KindInvalid, "keys.issueManagement", "a management certificate names a device alone")
	}
	n := pki.Names{Identity: verify.Identity{Tenant: in.Tenant, Device: in.Device}}
	return k.issue(ctx, in, verify.ProfileManagement, n, in.Tenant, "device/"+in.Device.String(), actionEnrol, actionApprove, actionRenew, actionIssueManagement)
}

func (k *keeper) issueWorkload(ctx context.Context, in wireIssue) (any, error) {
	if in.Workload.IsZero() || len(in.Hosts) != 0 {
		return nil, core.E(core.KindInvalid, "keys.issueWorkload", "a workload certificate names a device and a workload")
	}
	n := pki.Names{Identity: verify.Identity{Tenant: in.Tenant, Device: in.Device, Workload: in.Workload}}
	return k.issue(ctx, in, verify.ProfileWorkload, n, in.Tenant, "device/"+in.Device.String(), actionWorkload, actionIssueWorkload)
}

func (k *keeper) issueServer(ctx context.Context, in wireIssue) (any, error) {
	if !in.Tenant.IsZero() || !in.Device.IsZero() || !in.Workload.IsZero() || len(in.Hosts) == 0 {
		return nil, core.E(core.KindInvalid, "keys.issueServer", "a server certificate names hosts alone")
	}
	return k.issue(ctx, in, verify.ProfileServer, pki.Names{Hosts: in.Hosts}, in.Warrant.Tenant, "certificate/"+in.Hosts[0], actionIssueServer)
}

// issue is the one way from a warrant to a certificate. The intent is spent in
// the authority's record, before the signature.
func (k *keeper) issue(ctx context.Context, in wireIssue, p verify.Profile, n pki.Names, tenant core.TenantID, object string, actions ...core.Action) (any, error) {
	if k.ca == nil {
		return nil, sealedError("keys.issue")
	}
	w, err := in.Warrant.warrant()
	if err != nil {
		return nil, err
	}
	spend, err := k.admit(w, tenant, object, actions...)
	if err != nil {
		return nil, err
	}
	pub, err := pki.PublicKeyOf(in.CSR)
	if err != nil {
		return nil, err
	}
	if w.Action == actionRenew {
		if err := k.ledger.renewable(n.Identity, pub); err != nil {
			return nil, err
		}
	}
	chain, err := k.ca.Issue(withIntent(ctx, spend), p, n, pub)
	return wireChain{chain}, err
}
