package web

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/transparency-dev/formats/proof"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/audit/verify"
	"github.com/interlock-security/interlock/core"
	wire "github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
)

func auditRoutes(c *Console) {
	c.get("/audit", policy.AuditVerify, c.audit)
	c.post("/audit/verify", policy.AuditVerify, c.verifyLog)
	c.get("/audit/entry", policy.AuditProof, c.findEntry)
	c.get("/audit/entries/{index}", policy.AuditProof, c.auditEntry)
	c.get("/audit/entries/{index}/proof", policy.AuditProof, c.proofFile)
}

type auditView struct {
	State api.LogState
	// Filter is what was searched for; Asked says that entries were, because
	// that reading is recorded.
	Filter       api.AuditEntriesInput
	Since, Until string
	Asked, May   bool
	Rows         []api.AuditEntry
	Pager        pager
	Verified     *api.Verified
	At           time.Time
	Took         string
}

// audit shows the log's state to everybody and entries to those who may read
// them, who ask for it: names stand in them, so that reading is recorded.
func (c *Console) audit(w http.ResponseWriter, r *http.Request) error {
	v, err := c.auditView(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	if v.Asked = len(q) > 0; v.Asked {
		out, err := c.API.AuditEntries(r.Context(), &v.Filter)
		if err != nil {
			return err
		}
		v.Rows = out.Body.Items
		v.Pager = pageOf("/audit", q, out.Body.Next, len(v.Rows), 0, "entry", "entries")
	}
	return c.render(w, r, "page_audit", page{Title: "Audit log", Nav: "audit", Body: v})
}

func (c *Console) auditView(r *http.Request) (v auditView, err error) {
	q := r.URL.Query()
	v = auditView{Since: q.Get("since"), Until: q.Get("until"), May: page{Session: sessionOf(r.Context())}.May(core.RoleSecurityOfficer)}
	v.Filter = api.AuditEntriesInput{
		After: q.Get("after"), Limit: listRows, Actor: strings.TrimSpace(q.Get("actor")), Action: strings.TrimSpace(q.Get("action")),
		Object: strings.TrimSpace(q.Get("object")), Outcome: strings.TrimSpace(q.Get("outcome")),
	}
	for text, into := range map[*string]*time.Time{&v.Since: &v.Filter.Since, &v.Until: &v.Filter.Until} {
		if *into, err = localTime(*text); err != nil {
			return v, err
		}
	}
	state, err := c.API.LogState(r.Context(), &api.None{})
	if err != nil {
		return v, err
	}
	v.State = state.Body
	return v, nil
}

// localTime reads what a browser's field for a time sends; it means UTC, as all
// times of the log.
func localTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, core.E(core.KindInvalid, "web.audit", fmt.Sprintf("%.40q is no time", text)).WithHint("write it as 2026-01-31T12:00")
}

// verifyLog has the log recomputed and shows what came of it on the same page: a
// result that could be linked to would be taken for one of now.
func (c *Console) verifyLog(w http.ResponseWriter, r *http.Request) error {
	if !c.verifying.TryLock() { // it reads the whole log: one at a time
		return core.E(core.KindUnavailable, "web.audit", "the log is being verified just now for somebody else").WithHint("try again in a moment")
	}
	defer c.verifying.Unlock()
	// A long log takes longer than a page may; where the deadline can't be
	// lifted the answer is broken off and never half.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	began := c.Clock.Now()
	out, err := c.API.VerifyLog(r.Context(), &api.None{})
	if err != nil {
		return err
	}
	v, err := c.auditView(r)
	if err != nil {
		return err
	}
	v.Verified, v.At = &out.Body, c.Clock.Now()
	v.Took = durationText(v.At.Sub(began))
	return c.render(w, r, "page_audit", page{Title: "Audit log", Nav: "audit", Body: v})
}

// entryView is an entry as its proof shows it: names may stand there as hashes.
type entryView struct {
	core.Position
	Header     audit.Header
	Time       time.Time
	Leaf       string // hash, hex
	Size       uint64 // of the tree that it was proved in
	Root       string
	Hashes     []string
	Checkpoint []string
	// Proved says that the proof was verified with the log key of the trust
	// root that this server shows; Problem why not.
	Proved  bool
	Problem string
	// Intent is the entry that permitted this one, nil for none.
	Intent *core.Position
	May    bool // read entries with their names
	File   string
}

// findEntry leads to the entry of a number that was typed.
func (c *Console) findEntry(w http.ResponseWriter, r *http.Request) error {
	index, err := strconv.ParseUint(r.URL.Query().Get("index"), 10, 63)
	if err != nil {
		return core.E(core.KindInvalid, "web.audit", "an entry has a number").WithHint("type the number of the entry")
	}
	http.Redirect(w, r, "/audit/entries/"+strconv.FormatUint(index, 10), http.StatusSeeOther)
	return nil
}

func (c *Console) readProof(r *http.Request) (core.Position, []byte, error) {
	in := &api.ProofInput{ID: r.PathValue("index"), Origin: r.URL.Query().Get("origin")}
	out, err := c.API.Proof(r.Context(), in)
	if err != nil {
		return core.Position{}, nil, err
	}
	at := core.Position{Origin: in.Origin}
	at.Index, err = strconv.ParseUint(in.ID, 10, 63)
	return at, out.Body, err
}

func (c *Console) auditEntry(w http.ResponseWriter, r *http.Request) error {
	at, text, err := c.readProof(r)
	if err != nil {
		return err
	}
	v := entryView{Position: at, May: page{Session: sessionOf(r.Context())}.May(core.RoleSecurityOfficer)}
	if err := v.read(text); err != nil {
		return err
	}
	if err := c.prove(r, text); err != nil {
		v.Problem = detail(err.Error())
	}
	v.Proved = v.Problem == ""
	return c.render(w, r, "page_audit_entry", page{Title: "Entry " + strconv.FormatUint(at.Index, 10), Nav: "audit", Body: v})
}

// read takes the proof apart.
func (v *entryView) read(text []byte) error {
	var p proof.TLogProof
	if err := p.Unmarshal(text); err != nil {
		return core.Wrap(core.KindDamaged, "web.audit", err)
	}
	header, _, err := audit.ParseLeaf(p.ExtraData)
	if err != nil {
		return core.Wrap(core.KindDamaged, "web.audit", err)
	}
	leaf := sha256.Sum256(append([]byte{0}, p.ExtraData...))
	v.Header, v.Time, v.Leaf = header, time.UnixMicro(header.Time).UTC(), hex.EncodeToString(leaf[:])
	for _, h := range p.Hashes {
		v.Hashes = append(v.Hashes, hex.EncodeToString(h[:]))
	}
	v.Checkpoint = strings.Split(strings.TrimRight(string(p.Checkpoint), "\n"), "\n")
	if len(v.Checkpoint) < 3 {
		return core.E(core.KindDamaged, "web.audit", "the checkpoint of the proof has no origin, size and root")
	}
	root, err := base64.StdEncoding.DecodeString(v.Checkpoint[2])
	if err != nil {
		return core.Wrap(core.KindDamaged, "web.audit", err)
	}
	// In hex, as the log's state and the command line show it.
	v.Origin, v.Root = v.Checkpoint[0], hex.EncodeToString(root)
	v.Size, err = strconv.ParseUint(v.Checkpoint[1], 10, 63)
	v.File = fmt.Sprintf("entry-%d.tlog-proof", v.Index)
	if origin, index, found := strings.Cut(header.Intent, "#"); found && err == nil {
		v.Intent = &core.Position{Origin: origin}
		v.Intent.Index, err = strconv.ParseUint(index, 10, 63)
	}
	return err
}

// prove verifies a proof by the log key of the trust root in force. It shows
// that this server's log and trust root fit together, which a captured server
// could arrange too; the page says how to verify without asking it.
func (c *Console) prove(r *http.Request, text []byte) error {
	out, err := c.API.Root(r.Context(), &api.None{})
	if err != nil {
		return err
	}
	trust, err := wire.NewTrust(out.Body.Envelope, out.Body.Hash)
	if err != nil {
		return err
	}
	var p proof.TLogProof
	if err := p.Unmarshal(text); err != nil {
		return core.Wrap(core.KindDamaged, "web.audit", err)
	}
	origin, _, _ := strings.Cut(string(p.Checkpoint), "\n")
	key := trust.Root().LogKey
	if later, err := wire.LaterLogKey(key, origin); err == nil {
		key = later
	}
	_, err = verify.Proof(text, key)
	return err
}

func (c *Console) proofFile(w http.ResponseWriter, r *http.Request) error {
	at, text, err := c.readProof(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="entry-`+strconv.FormatUint(at.Index, 10)+`.tlog-proof"`)
	_, err = w.Write(text)
	return err
}

// entryPath is the page of an entry.
func entryPath(at any) string {
	p, ok := at.(core.Position)
	if ptr, is := at.(*core.Position); is && ptr != nil {
		p, ok = *ptr, true
	}
	if !ok {
		return "/audit"
	}
	return "/audit/entries/" + strconv.FormatUint(p.Index, 10) + "?" + url.Values{"origin": {p.Origin}}.Encode()
}

// lines shows text of several lines: each is plain, and only line ends that the
// text itself has are kept.
func lines(text string) template.HTML {
	parts := strings.Split(strings.TrimRight(cut(text, maxLines), "\n"), "\n")
	shown := make([]string, len(parts))
	for i, p := range parts {
		shown[i] = string(plain(p))
	}
	return template.HTML(strings.Join(shown, "\n")) //nolint:gosec // plain escapes
}

// maxLines is the longest text of several lines that a page shows, in bytes.
const maxLines = 16 << 10
