package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
)

type rootCmd struct {
	Init    rootInitCmd    `cmd:"" help:"Hold the first-run ceremony for several persons, before the server runs."`
	Show    rootShowCmd    `cmd:"" help:"Print a trust root from its verified bytes."`
	Sign    rootSignCmd    `cmd:"" help:"Add your signature to the next trust root."`
	Verify  rootVerifyCmd  `cmd:"" help:"Would a device take this trust root? Names each signature that is missing."`
	Publish rootPublishCmd `cmd:"" help:"Hand a signed trust root to the server, which logs it and relays it to the devices."`
	Follow  rootFollowCmd  `cmd:"" help:"Bring your own copy to the server's trust root, by the rules that devices follow."`
}

type rootInitCmd struct {
	Person       []string          `help:"A person as ID or ID=NAME; repeat it. Three or more make mode quorum." placeholder:"ID=NAME"`
	Pub          map[string]string `help:"A person's own public key (an OpenSSH .pub file, for example of a hardware key) instead of one made here." placeholder:"ID=FILE"`
	ReleaseDelay time.Duration     `help:"How long a release by a single operator waits." default:"10m"`
	Config       string            `help:"The server's configuration file; by default interlock.yaml in the data directory, else the defaults." type:"path"`
}

// Help implements kong's long help.
func (rootInitCmd) Help() string {
	return `Makes the server's keys in --data and, in --keys, the first trust root with the persons' keys and the recovery keys. Nothing
listens meanwhile. Afterwards move each file of the keys directory to the person whose it is, and the recovery keys to separate
places; then start the server. "interlock up" and "interlock serve" hold the same ceremony for a single owner by themselves.

The root names the server's public keys, so the ceremony is held where the server will run. A person whose key should not be made
there brings a public key with --pub. Which user of the machine is which person is said under operators in interlock.yaml.

Example:
  interlock root init --person anna="Anna Berg" --person ben --person cleo --pub anna=anna.pub
  interlock root init --keys /media/usb/ceremony --person owner="Site owner"`
}

// Run brings the server's parts up, without listening, so that the ceremony has
// the keys that the root names.
func (c *rootInitCmd) Run(e *env) error {
	persons, err := c.persons()
	if err != nil {
		return err
	}
	if _, err := ceremony.LoadRoot(e.global.Keys); core.KindOf(err) != core.KindNotFound {
		return core.E(core.KindConflict, "root init", e.global.Keys+" holds a trust root already").
			WithHint("name another directory with --keys; to change an installation use: interlock root sign")
	}
	if err := c.hold(e, persons); err != nil {
		return err
	}
	trust, err := ceremony.LoadTrust(e.global.Keys)
	if core.KindOf(err) == core.KindNotFound {
		return core.E(core.KindConflict, "root init", "the server in "+e.global.Data+" has its trust root already; no ceremony was held").
			WithHint("its keys are where the first run put them; to change it use: interlock root sign")
	}
	if err != nil {
		return err
	}
	sheet, err := readLimited(filepath.Join(e.global.Keys, "sheet.txt"), 1<<20)
	if err != nil {
		return err
	}
	return e.show(rootView(trust.Envelope(), trust), func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s\nwritten to %s\nstart the server with: interlock serve\n", sheet, e.global.Keys)
	})
}

func (c *rootInitCmd) hold(e *env, persons []ceremony.Person) error {
	cfg, err := loadConfig(e, c.Config)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return core.Wrap(core.KindUnavailable, "root init", err)
	}
	s, err := app.Open(e.ctx, cfg, app.Options{
		Paths: app.Paths{Dir: e.global.Data}, Ceremony: app.Ceremony{Dir: e.global.Keys, Persons: persons, ReleaseDelay: c.ReleaseDelay},
		Log: logger(e.err, false), Program: program, Child: []string{"child", "keys"}, ChildErr: e.err,
	})
	if err != nil {
		return err
	}
	return s.Close()
}

func (c *rootInitCmd) persons() ([]ceremony.Person, error) {
	var list []ceremony.Person
	pubs := c.Pub
	for _, text := range c.Person {
		id, name, named := strings.Cut(text, "=")
		person, err := core.ParseID[core.PersonID](id)
		if err != nil {
			return nil, fmt.Errorf("--person: %w", err)
		}
		if !named {
			name = id
		}
		p := ceremony.Person{ID: person, Name: name}
		if file, ok := pubs[id]; ok {
			key, err := publicKey(file)
			if err != nil {
				return nil, err
			}
			p.Keys = []string{key}
		}
		list = append(list, p)
	}
	for id := range pubs {
		if !hasPerson(list, id) {
			return nil, core.E(core.KindInvalid, "root init", fmt.Sprintf("--pub names %q, who is no --person", id))
		}
	}
	return list, nil
}

func hasPerson(list []ceremony.Person, id string) bool {
	for _, p := range list {
		if p.ID.String() == id {
			return true
		}
	}
	return false
}

// publicKey reads a .pub file: type and key, without the comment.
func publicKey(path string) (string, error) {
	b, err := readLimited(path, 16<<10)
	if err != nil {
		return "", err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return "", core.E(core.KindInvalid, "root init", path+" is not an OpenSSH public key").WithHint("it begins with ssh-ed25519, ecdsa-sha2-nistp256 or sk-ssh-ed25519@openssh.com")
	}
	key, err := link.ParseAuthorizedKey(fields[0] + " " + fields[1])
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return link.AuthorizedKey(key), nil
}

type rootShowCmd struct {
	File     string `arg:"" optional:"" help:"A trust root in a file, for example a proposal." type:"path"`
	Server   bool   `help:"The one that the server has in force, compared with your own copy."`
	Document bool   `help:"Print nothing but the document, to be edited into the next version and signed with: interlock root sign."`
}

// Help implements kong's long help.
func (rootShowCmd) Help() string {
	return `Without a file it is your own copy. Everything printed is read from the exact bytes that were signed.

Exit code 0 when the root carries the signatures of its own root role, 1 when not, or when the server's is not yours.

Example:
  interlock root show
  interlock root show --server
  interlock root show --document > next.json`
}

// shownRoot is a trust root as people see it.
type shownRoot struct {
	Hash     string     `json:"hash"`
	Code     string     `json:"code"`
	Valid    bool       `json:"valid"`
	Problem  string     `json:"problem,omitempty"`
	Signed   []string   `json:"signed"` // who signed, with which key
	Own      string     `json:"own"`    // same | other | none: compared with the own copy
	Document *link.Root `json:"document"`
}

// Run reads, verifies and prints a trust root.
func (c *rootShowCmd) Run(e *env) error {
	envelope, err := c.read(e)
	if err != nil {
		return err
	}
	payload, v, err := inspect(envelope)
	if err != nil {
		return err
	}
	if c.Document {
		return printDocument(e.out, payload)
	}
	v.Own = c.compare(e, v.Hash)
	if err := e.show(v, func(w io.Writer) { tellRoot(w, v) }); err != nil {
		return err
	}
	if !v.Valid || c.Server && v.Own != "same" {
		return errFindings
	}
	return nil
}

func (c *rootShowCmd) read(e *env) ([]byte, error) {
	switch {
	case c.File != "" && c.Server:
		return nil, core.E(core.KindInvalid, "root show", "name either a file or --server")
	case c.File != "":
		return readLimited(c.File, link.MaxEnvelope)
	case c.Server:
		var v api.RootVersion
		err := e.client().Get(e.ctx, "/v1/root", nil, &v)
		return v.Envelope, err
	}
	return ceremony.LoadRoot(e.global.Keys)
}

func (c *rootShowCmd) compare(e *env, hash string) string {
	own, err := ceremony.LoadTrust(e.global.Keys)
	switch {
	case err != nil:
		return "none"
	case own.Hash() == hash:
		return "same"
	}
	return "other"
}

// inspect reads a root, valid or not, from the bytes of its envelope.
func inspect(envelope []byte) (payload []byte, v *shownRoot, err error) {
	env, err := link.ParseEnvelope(envelope)
	if err != nil {
		return nil, nil, err
	}
	root, err := link.DecodeRoot(env.Payload)
	if err != nil {
		return nil, nil, err
	}
	sum := link.BatchHash(env.Payload)
	v = &shownRoot{Hash: hex.EncodeToString(sum[:]), Code: link.ShortCode(env.Payload), Signed: signers(env, root), Document: root}
	if _, err := link.NewTrust(envelope, v.Hash); err != nil {
		v.Problem = err.Error()
	} else {
		v.Valid = true
	}
	return env.Payload, v, nil
}

// rootView is inspect for a root that verified.
func rootView(envelope []byte, t *link.Trust) *shownRoot {
	_, v, err := inspect(envelope)
	if err != nil { // it verified a moment ago
		return &shownRoot{Hash: t.Hash(), Problem: err.Error()}
	}
	v.Own = "same"
	return v
}

func printDocument(w io.Writer, payload []byte) error {
	root, err := link.DecodeRoot(payload)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(root)
}

func tellRoot(w io.Writer, v *shownRoot) {
	line := labelled(w)
	line("sha256", "%s", v.Hash)
	line("short code", "%s", v.Code)
	tellDocument(w, v.Document)
	for _, s := range v.Signed {
		line("signed by", "%s", s)
	}
	tellStanding(line, v)
}

func labelled(w io.Writer) func(label, format string, args ...any) {
	return func(label, format string, args ...any) {
		_, _ = fmt.Fprintf(w, "%-13s %s\n", label, printable(fmt.Sprintf(format, args...)))
	}
}

// tellDocument writes everything that a root says. Each line stands for itself,
// so the lines that two roots do not share are what has changed.
func tellDocument(w io.Writer, r *link.Root) {
	line := labelled(w)
	line("trust root", "version %d of %s, tenant %s", r.Version, r.Installation, r.Tenant)
	line("mode", "%s", r.Mode)
	line("issued", "%s", rootTime(r.Issued))
	line("review by", "%s", rootTime(r.ReviewBy))
	tellPeople(line, r)
	line("command key", "%s", keyIDOf(r.CommandKey))
	line("stop key", "%s", keyIDOf(r.StopKey))
	line("audit log", "%s", r.LogOrigin)
	line("log key", "%s", r.LogKey)
	if r.Witness == "" {
		line("witness", "none: unwitnessed")
	}
	for l := range strings.Lines(r.Witness) {
		line("witness", "%s", strings.TrimRight(l, "\n"))
	}
	for _, pin := range r.CAPins {
		line("CA pin", "%s", pin)
	}
	line("servers", "%s", strings.Join(r.Servers, ", "))
	if r.MinAgent != "" {
		line("agents", "version %s or newer", r.MinAgent)
	}
	line("delays", "release %s, recovery %s", time.Duration(r.ReleaseDelay)*time.Second, time.Duration(r.RecoveryDelay)*time.Second)
}

// tellStanding says whether the root is worth anything here.
func tellStanding(line func(label, format string, args ...any), v *shownRoot) {
	if !v.Valid {
		line("NOT VALID", "%s", v.Problem)
	}
	switch v.Own {
	case "same":
		line("own copy", "the same")
	case "other":
		line("own copy", "ANOTHER ONE: compare the sha256 with your ceremony sheet before you believe either")
	case "none":
		line("own copy", "none here: compare the sha256 with your ceremony sheet")
	}
}

func tellPeople(line func(label, format string, args ...any), r *link.Root) {
	for _, p := range r.Persons {
		line("person", "%s (%s)", p.ID, p.Name)
		for _, k := range p.Keys {
			line("", "key %s of %s", keyIDOf(k), p.ID)
		}
	}
	for _, role := range r.Roles {
		members := make([]string, len(role.Members))
		for i, m := range role.Members {
			members[i] = m.String()
		}
		keys := ""
		if role.KeysThreshold > 0 {
			keys = fmt.Sprintf(", with %d different keys", role.KeysThreshold)
		}
		line("role", "%s: %d of %s%s", role.Name, role.Threshold, strings.Join(members, ", "), keys)
		for _, id := range role.KeyIDs {
			line("", "key %s counts in %s", id, role.Name)
		}
	}
}

func keyIDOf(authorized string) string {
	key, err := link.ParseAuthorizedKey(authorized)
	if err != nil {
		return "unreadable"
	}
	return link.KeyID(key)
}

func rootTime(us int64) string { return time.UnixMicro(us).UTC().Format(time.RFC3339Nano) }
