package api

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/policy"
)

// entries searches the log. Bodies may hold personal data, so the reading is
// itself recorded.
func (a *API) entries(w http.ResponseWriter, r *http.Request) error {
	q, err := auditQuery(r.URL.Query())
	if err != nil {
		return err
	}
	if _, err := a.permit(r, policy.AuditRead, core.Resource{Type: "audit", ID: "entries"}); err != nil {
		return err
	}
	found, err := a.Log.Search(r.Context(), q)
	if err != nil {
		return err
	}
	list := make([]AuditEntry, 0, len(found))
	for _, rec := range found {
		list = append(list, entryOf(rec))
	}
	return httpd.WriteJSON(w, list)
}

func entryOf(rec audit.Record) AuditEntry {
	h := rec.Header
	return AuditEntry{
		Position: rec.Position, Time: time.UnixMicro(h.Time).UTC(), Type: string(h.Type), Actor: rec.Actor, Action: string(h.Action),
		Object: rec.Object, Outcome: h.Outcome, Body: rec.Body,
	}
}

func auditQuery(q url.Values) (audit.Query, error) {
	limit, err := numberOf(q, "limit", 100, 10_000)
	if err != nil {
		return audit.Query{}, err
	}
	out := audit.Query{Actor: q.Get("actor"), Action: core.Action(q.Get("action")), Object: q.Get("object"), Outcome: q.Get("outcome"), Limit: limit}
	for name, into := range map[string]*time.Time{"since": &out.Since, "until": &out.Until} {
		if text := q.Get(name); text != "" {
			if *into, err = time.Parse(time.RFC3339, text); err != nil {
				return out, core.E(core.KindInvalid, "api.entries", name+": "+err.Error()).WithHint("write it as 2026-01-31T12:00:00Z")
			}
		}
	}
	return out, nil
}

// proof answers with the c2sp.org/tlog-proof@v1 file of one entry, the leaf in
// it.
func (a *API) proof(w http.ResponseWriter, r *http.Request) error {
	index, err := strconv.ParseUint(r.PathValue("id"), 10, 63)
	if err != nil {
		return core.E(core.KindInvalid, "api.proof", strconv.Quote(r.PathValue("id"))+" is not the index of an entry")
	}
	text, err := a.Log.Proof(r.Context(), core.Position{Origin: r.URL.Query().Get("origin"), Index: index})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err = w.Write(text)
	return err
}

// export streams the whole log as a tar of C2SP tlog-tiles.
func (a *API) export(w http.ResponseWriter, r *http.Request) error {
	if _, err := a.permit(r, policy.AuditExport, core.Resource{Type: "audit", ID: "log"}); err != nil {
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

// logState tells the log's size, root and mode.
func (a *API) logState(w http.ResponseWriter, _ *http.Request) error {
	return httpd.WriteJSON(w, StateOf(a.Log))
}

// verify recomputes the running log from its bytes.
func (a *API) verify(w http.ResponseWriter, r *http.Request) error {
	out := Verified{LogState: StateOf(a.Log), OK: true}
	if err := a.Log.Verify(r.Context()); err != nil {
		out.OK, out.Problem = false, err.Error()
	}
	return httpd.WriteJSON(w, out)
}

// statement answers with what the root role signs to begin a new log after
// damage.
func (a *API) statement(w http.ResponseWriter, r *http.Request) error {
	b, err := a.Log.Statement(r.Context())
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, Statement{Statement: b})
}

// succeed takes the signed statement: an envelope whose payload it is. Whether
// its signatures are enough, the log asks the trust root in force.
func (a *API) succeed(w http.ResponseWriter, r *http.Request) error {
	body, err := httpd.ReadBody(w, r, maxBody)
	if err != nil {
		return err
	}
	env, err := link.ParseEnvelope(body)
	if err != nil {
		return err
	}
	on := core.Resource{Type: "audit", ID: "succession", Params: fmt.Sprintf("%x", sha256.Sum256(env.Payload))}
	if _, err := a.permit(r, policy.AuditSucceed, on); err != nil {
		return err
	}
	if _, err := a.Log.Succeed(r.Context(), env.Payload, body); err != nil {
		return err
	}
	return httpd.WriteJSON(w, StateOf(a.Log))
}

// StateOf tells how the log is.
func StateOf(log *audit.Log) LogState {
	c := log.Checkpoint()
	mode, reason := log.Mode()
	return LogState{Origin: c.Origin, Size: c.Size, Root: hex.EncodeToString(c.Root[:]), Mode: string(mode), Reason: reason, Checkpoint: string(c.Note)}
}
