package link_test

import (
	"fmt"
	"strings"
	"testing"

	fnote "github.com/transparency-dev/formats/note"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

func TestRootGoldenBytes(t *testing.T) {
	s := quorumSite(t)
	golden(t, "root.json", s.signRoot(s.quorum()...))
}

func TestRootRules(t *testing.T) {
	w, w2 := newWitness(t, "w1"), newWitness(t, "w2")
	_, logAsWitness := noteKeys(t, "log", "w1.example")
	rows := []struct {
		name   string
		change func(*site)
		want   string
	}{
		{"format version", func(s *site) { s.root.V = 2 }, "known is 1"},
		{"no installation", func(s *site) { s.root.Installation = "" }, "installation"},
		{"no tenant", func(s *site) { s.root.Tenant = core.TenantID{} }, "tenant"},
		{"version 0", func(s *site) { s.root.Version = 0 }, "begin at 1"},
		{"unknown mode", func(s *site) { s.root.Mode = "solo" }, "mode"},
		{"review before issue", func(s *site) { s.root.ReviewBy = s.root.Issued }, "review_by"},
		{"no delay", func(s *site) { s.root.ReleaseDelay = 0 }, "release_delay"},
		{"no recovery delay", func(s *site) { s.root.RecoveryDelay = 60 }, "recovery_delay"},
		{"two persons in quorum mode", func(s *site) { s.root.Persons = s.root.Persons[:2] }, "3 to"},
		{"person twice", func(s *site) { s.root.Persons[1].ID = s.root.Persons[0].ID }, `person "anna" stands twice`},
		{"person without id", func(s *site) { s.root.Persons[1].ID = core.PersonID{} }, "has no id"},
		{"nameless person", func(s *site) { s.root.Persons[1].Name = "" }, "name"},
		{"name with direction mark", func(s *site) { s.root.Persons[1].Name = "Ben\u202e" }, "plain text"},
		{"person without key", func(s *site) { s.root.Persons[1].Keys = nil }, "0 keys"},
		{"one key for two persons", func(s *site) { s.root.Persons[1].Keys[0] = s.text("anna") }, "a key has one person"},
		{"one key twice for a person", func(s *site) { s.root.Persons[1].Keys = []string{s.text("ben"), s.text("ben")} }, "a key has one person"},
		{"key with a comment", func(s *site) { s.root.Persons[1].Keys[0] += " ben@host" }, "base64"},
		{"command key as a person's", func(s *site) { s.root.CommandKey = s.text("anna") }, "a server is not a person"},
		{"stop key as a person's", func(s *site) { s.root.StopKey = s.text("ben/recovery") }, "a server is not a person"},
		{"one server key", func(s *site) { s.root.StopKey = s.root.CommandKey }, "same key"},
		{"log key as a person's", func(s *site) { s.root.Persons[0].Keys = append(s.root.Persons[0].Keys, s.text("log")) }, "also a key of person anna"},
		{"log key as command key", func(s *site) { s.root.CommandKey = s.text("log") }, "also command_key"},
		{"log key as stop key", func(s *site) { s.root.StopKey = s.text("log") }, "also stop_key"},
		{"role missing", func(s *site) { s.root.Roles = s.root.Roles[1:] }, "role root is missing"},
		{"role twice", func(s *site) { s.root.Roles = append(s.root.Roles, s.root.Roles[1]) }, "stands twice"},
		{"unknown role", func(s *site) { s.root.Roles[1].Name = "admin" }, `role "admin"`},
		{"server role held by persons", func(s *site) { s.root.Roles[1].Name = link.RoleServerCommand }, "server-command"},
		{"unknown member", func(s *site) {
			s.role(link.RoleRelease).Members = []core.PersonID{core.MustID[core.PersonID]("mallory")}
		}, "nobody in persons"},
		{"member twice", func(s *site) {
			r := s.role(link.RoleRelease)
			r.Members = []core.PersonID{r.Members[0], r.Members[0], r.Members[1]}
		}, "stands twice"},
		{"root role without named keys", func(s *site) { s.role(link.RoleRoot).KeyIDs = nil }, "recovery keys"},
		{"recovery key in another role", func(s *site) { s.role(link.RoleRelease).KeyIDs = []string{s.id("anna/recovery"), s.id("ben")} }, "counts in no other"},
		{"key of no member", func(s *site) { s.role(link.RoleRelease).KeyIDs = []string{s.id("mallory")} }, "no member's"},
		{"key named twice", func(s *site) { s.role(link.RoleRelease).KeyIDs = []string{s.id("anna"), s.id("anna"), s.id("ben")} }, "twice"},
		{"more keys than there are", func(s *site) { s.role(link.RoleRoot).KeysThreshold = 4 }, "keys_threshold"},
		{"threshold above holders", func(s *site) { s.role(link.RoleRelease).Threshold = 4 }, "threshold 4"},
		{"threshold of two, keys of one", func(s *site) { s.role(link.RoleRelease).KeyIDs = []string{s.id("anna")} }, "1 persons who hold a key"},
		{"pins", func(s *site) { s.root.CAPins = nil }, "ca_pins"},
		{"pin twice", func(s *site) { s.root.CAPins = append(s.root.CAPins, s.root.CAPins[0]) }, "twice"},
		{"pin in capitals", func(s *site) { s.root.CAPins[0] = strings.ToUpper(s.root.CAPins[0]) }, "lower-case"},
		{"server without port", func(s *site) { s.root.Servers = []string{"a"} }, "host:port"},
		{"port 0", func(s *site) { s.root.Servers = []string{"a:0"} }, "host:port"},
		{"seventeen servers", func(s *site) {
			s.root.Servers = nil
			for i := range 17 {
				s.root.Servers = append(s.root.Servers, fmt.Sprintf("a:%d", i+1))
			}
		}, "at most 16"},
		{"min agent", func(s *site) { s.root.MinAgent = "v1" }, "min_agent"},
		{"log origin", func(s *site) { s.root.LogOrigin = "other" }, "log_origin"},
		{"log key", func(s *site) { s.root.LogKey = "x+y+z" }, "log_key"},
		{"log key id", func(s *site) { s.root.LogKey = strings.Replace(s.root.LogKey, "+", "+0", 1) }, "log_key"},
		{"witness that is the log", func(s *site) { s.root.Witness = "witness a " + cosigVkey(t, logAsWitness) + "\nquorum a\n" }, "also a witness's"},
		{"witness that is a person", func(s *site) {
			s.root.Persons[0].Keys = append(s.root.Persons[0].Keys, s.text("w1"))
			s.root.Witness = w.line() + "quorum w1\n"
		}, "also a key of person anna"},
		{"quorum none", func(s *site) { s.root.Witness = w.line() + "quorum none\n" }, "leave the policy empty"},
		{"half is no majority", func(s *site) { s.root.Witness = w.line() + w2.line() + "group g any w1 w2\nquorum g\n" }, "not a majority"},
	}
	for _, row := range rows {
		s := quorumSite(t)
		row.change(s)
		if _, err := link.EncodeRoot(s.root); core.KindOf(err) != core.KindInvalid || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want it to say %q", row.name, err, row.want)
		}
	}
	for _, name := range link.PersonRoles {
		s := quorumSite(t)
		s.role(name).Threshold = 1
		if _, err := link.EncodeRoot(s.root); err == nil || !strings.Contains(err.Error(), "threshold 1") {
			t.Errorf("%s with a threshold of one in quorum mode: %v", name, err)
		}
		s = soloSite(t)
		s.role(name).Threshold = 0
		if _, err := link.EncodeRoot(s.root); err == nil || !strings.Contains(err.Error(), "threshold 0") {
			t.Errorf("%s with no threshold: %v", name, err)
		}
	}
}

func TestRootIsNoLargerThanAPayload(t *testing.T) {
	if _, err := link.DecodeRoot(make([]byte, link.MaxPayload+1)); core.KindOf(err) != core.KindTooLarge {
		t.Error(err)
	}
}

func TestServerKeyIsNoSecurityKey(t *testing.T) {
	s := quorumSite(t)
	s.root.CommandKey = link.AuthorizedKey(newSecurityKey(t, "ed25519", "ssh:", 1).PublicKey())
	if _, err := link.EncodeRoot(s.root); err == nil || !strings.Contains(err.Error(), "nobody touches") {
		t.Error(err)
	}
}

func cosigVkey(t testing.TB, vkey string) string {
	t.Helper()
	v, err := fnote.VKeyToCosignatureV1(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWitnessPolicyText(t *testing.T) {
	ws := make([]witness, 5)
	var lines string
	for i := range ws {
		ws[i] = newWitness(t, "w"+string(rune('0'+i)))
		lines += ws[i].line()
	}
	_, plain := noteKeys(t, "w9", "w9.example")
	rows := []struct{ name, text, want string }{
		{"majority of three", lines + "group g 2 w0 w1 w2\nquorum g\n", ""},
		{"nested, comment, tabs, url", "# who watches\n\n" + strings.ReplaceAll(lines, "\n", " https://w.example/\n") + "group a 2 w0\tw1 w2\n group b all w3 w4 \ngroup c all a b\nquorum c", ""},
		{"one witness", lines + "quorum w0\n", ""},
		{"no quorum", lines, "no quorum line"},
		{"two quorums", lines + "quorum w0\nquorum w1\n", "after the quorum"},
		{"unknown quorum", lines + "quorum x\n", "line 6"},
		{"forward reference", ws[0].line() + "group g all w0 w1\n" + ws[1].line() + "quorum g\n", `member "w1"`},
		{"member of two groups", lines + "group a all w0\ngroup b all w0 w1\nquorum b\n", `member "w0"`},
		{"member twice", lines + "group a 2 w0 w0 w1\nquorum a\n", `member "w0"`},
		{"threshold zero", lines + "group a 0 w0\nquorum a\n", `threshold "0"`},
		{"threshold above", lines + "group a 2 w0\nquorum a\n", `threshold "2"`},
		{"threshold +1", lines + "group a +1 w0\nquorum a\n", `threshold "+1"`},
		{"half", lines + "group a 2 w0 w1 w2 w3\nquorum a\n", "not a majority"},
		{"name twice", lines + ws[0].line(), "defined twice"},
		{"key twice", lines + "witness again " + ws[0].vkey + "\nquorum again\n", "also another witness's"},
		{"plain key", "witness a " + plain + "\nquorum a\n", "signature type"},
		{"none as a name", "witness none " + ws[0].vkey + "\nquorum none\n", "not a name"},
		{"unknown keyword", "watcher a\n", "unknown keyword"},
		{"log line", "log " + plain + "\n", "log_key"},
		{"carriage return", lines + "quorum w0\r\n", "control character"},
		{"large", strings.Repeat("#\n", 9000), "at most 16384"},
		{"many", strings.Repeat(ws[0].line(), 2), "defined twice"},
		{"short witness", "witness a\n", "want: witness"},
		{"short group", lines + "group a all\n", "want: group"},
	}
	for _, row := range rows {
		s := quorumSite(t)
		s.root.Witness = row.text
		_, err := link.EncodeRoot(s.root)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: %v, want it to say %q", row.name, err, row.want)
		}
	}
}
