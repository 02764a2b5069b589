package api

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
)

// AuditEntriesInput selects entries of the audit log.
type AuditEntriesInput struct {
	After   string    `query:"after" doc:"Cursor: the field next of the page before"`
	Limit   int       `query:"limit" doc:"How many, up to 500; 0 means 50"`
	Actor   string    `query:"actor" doc:"Who did it, for example person/anna"`
	Action  string    `query:"action" doc:"What was done, for example device.quarantine"`
	Object  string    `query:"object" doc:"To what, for example device/press-7"`
	Outcome string    `query:"outcome" doc:"How it ended, for example permitted"`
	Since   time.Time `query:"since" doc:"From this time on"`
	Until   time.Time `query:"until" doc:"Before this time"`
}

func (in *AuditEntriesInput) query() (q audit.Query, limit int, err error) {
	if limit, err = rows(in.Limit); err != nil {
		return q, 0, err
	}
	if err := short(map[string]string{"actor": in.Actor, "action": in.Action, "object": in.Object, "outcome": in.Outcome}); err != nil {
		return q, 0, err
	}
	q = audit.Query{Actor: in.Actor, Action: core.Action(in.Action), Object: in.Object, Outcome: in.Outcome, Since: in.Since, Until: in.Until, Limit: limit}
	from, err := decodeCursor("audit", in.After, 2)
	if err != nil || from == nil {
		return q, limit, err
	}
	q.Before.Origin = from[0]
	if q.Before.Index, err = strconv.ParseUint(from[1], 10, 63); err != nil {
		return q, 0, core.E(core.KindInvalid, "api", "after is no cursor of this list")
	}
	return q, limit, nil
}

// AuditEntries searches the log, the newest entries first. Bodies may hold
// personal data, so the reading is itself recorded. A page may hold fewer
// entries than asked for, none even, and have a next one: a search looks at a
// bounded part of the log.
func (a *API) AuditEntries(ctx context.Context, in *AuditEntriesInput) (*Out[Page[AuditEntry]], error) {
	q, _, err := in.query()
	if err != nil {
		return nil, err
	}
	if _, _, err := a.decide(ctx, policy.AuditRead, core.Resource{Type: "audit", ID: "entries"}); err != nil {
		return nil, err
	}
	found, next, err := a.Log.Page(ctx, q)
	if err != nil {
		return nil, err
	}
	p := Page[AuditEntry]{Items: make([]AuditEntry, 0, len(found)), Total: -1}
	for _, rec := range found {
		p.Items = append(p.Items, entryOf(rec))
	}
	if next != (core.Position{}) {
		p.Next = encodeCursor("audit", next.Origin, strconv.FormatUint(next.Index, 10))
	}
	return out(p), nil
}

func entryOf(rec audit.Record) AuditEntry {
	h := rec.Header
	return AuditEntry{
		Position: rec.Position, Time: time.UnixMicro(h.Time).UTC(), Type: string(h.Type), Actor: rec.Actor, Action: string(h.Action),
		Object: rec.Object, Outcome: h.Outcome, Body: rec.Body,
	}
}

// ProofInput names an entry.
type ProofInput struct {
	ID     string `path:"id" doc:"The entry's index"`
	Origin string `query:"origin" doc:"The log's origin, where a successor has taken its place"`
}

// ProofOut is a proof as a text file.
type ProofOut struct {
	ContentType string `header:"Content-Type"`
	Body        []byte `contentType:"text/plain"`
}

// Proof answers with the c2sp.org/tlog-proof@v1 file of one entry, the leaf in
// it.
func (a *API) Proof(ctx context.Context, in *ProofInput) (*ProofOut, error) {
	if _, err := a.see(ctx, policy.AuditProof, in.ID); err != nil {
		return nil, err
	}
	index, err := strconv.ParseUint(in.ID, 10, 63)
	if err != nil {
		return nil, core.E(core.KindInvalid, "api.Proof", fmt.Sprintf("%.40q is not the index of an entry", in.ID))
	}
	if err := tooLong("origin", in.Origin, maxText); err != nil {
		return nil, err
	}
	text, err := a.Log.Proof(ctx, core.Position{Origin: in.Origin, Index: index})
	if err != nil {
		return nil, err
	}
	return &ProofOut{ContentType: "text/plain; charset=utf-8", Body: text}, nil
}

func exportOperation() huma.Operation {
	op := get("audit-export", "/v1/audit/export", "The whole log as a tar of C2SP tlog-tiles")
	op.Responses = answers("application/x-tar", "A tar archive")
	return op
}

// serveExport streams the whole log as a tar of C2SP tlog-tiles.
func (a *API) serveExport(w http.ResponseWriter, r *http.Request, _ url.Values) error {
	if _, _, err := a.decide(r.Context(), policy.AuditExport, core.Resource{Type: "audit", ID: "log"}); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "interlock-export-")
	if err != nil {
		return core.Wrap(core.KindUnavailable, "api.export", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if _, err := a.Log.Export(r.Context(), dir); err != nil {
		return err
	}
	if err := http.NewResponseController(w).SetWriteDeadline(noDeadline); err != nil {
		return core.Wrap(core.KindInternal, "api.export", err)
	}
	w.Header().Set("Content-Type", "application/x-tar")
	tw := tar.NewWriter(w)
	if err := tw.AddFS(os.DirFS(dir)); err != nil {
		return core.Wrap(core.KindUnavailable, "api.export", err)
	}
	return core.Wrap(core.KindUnavailable, "api.export", tw.Close())
}

// LogState tells the log's size, root and mode.
func (a *API) LogState(ctx context.Context, _ *None) (*Out[LogState], error) {
	if _, err := a.see(ctx, policy.AuditVerify, "*"); err != nil {
		return nil, err
	}
	return out(StateOf(a.Log)), nil
}

// VerifyLog recomputes the running log from its bytes.
func (a *API) VerifyLog(ctx context.Context, _ *None) (*Out[Verified], error) {
	if _, err := a.see(ctx, policy.AuditVerify, "*"); err != nil {
		return nil, err
	}
	v := Verified{LogState: StateOf(a.Log), OK: true}
	if err := a.Log.Verify(ctx); err != nil {
		v.OK, v.Problem = false, err.Error()
	}
	return out(v), nil
}

// Statement answers with what the root role signs to begin a new log after
// damage.
func (a *API) Statement(ctx context.Context, _ *None) (*Out[Statement], error) {
	if _, err := a.see(ctx, policy.AuditVerify, "*"); err != nil {
		return nil, err
	}
	b, err := a.Log.Statement(ctx)
	if err != nil {
		return nil, err
	}
	return out(Statement{Statement: b}), nil
}

// Succeed takes the signed statement: an envelope whose payload it is. Whether
// its signatures are enough, the log asks the trust root in force.
func (a *API) Succeed(ctx context.Context, in *EnvelopeInput) (*Out[LogState], error) {
	body := in.bytes()
	env, err := link.ParseEnvelope(body)
	if err != nil {
		return nil, err
	}
	on := core.Resource{Type: "audit", ID: "succession", Params: fmt.Sprintf("%x", sha256.Sum256(env.Payload))}
	if _, _, err := a.decide(ctx, policy.AuditSucceed, on); err != nil {
		return nil, err
	}
	if _, err := a.Log.Succeed(ctx, env.Payload, body); err != nil {
		return nil, err
	}
	return out(StateOf(a.Log)), nil
}

// StateOf tells how the log is.
func StateOf(log *audit.Log) LogState {
	c := log.Checkpoint()
	mode, reason := log.Mode()
	return LogState{Origin: c.Origin, Size: c.Size, Root: hex.EncodeToString(c.Root[:]), Mode: string(mode), Reason: reason, Checkpoint: string(c.Note)}
}
