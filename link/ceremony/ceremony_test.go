package ceremony_test

import (
	"bufio"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	flog "github.com/transparency-dev/formats/log"
	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
)

const origin = "interlock.example/test/acme"

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func testKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(t testing.TB, name string) string {
	t.Helper()
	k, err := ssh.NewPublicKey(testKey(name).Public())
	if err != nil {
		t.Fatal(err)
	}
	return link.AuthorizedKey(k)
}

func logKeys(t testing.TB) (note.Signer, string) {
	t.Helper()
	key := testKey("log")
	vkey, err := note.NewEd25519VerifierKey(origin, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner("PRIVATE+KEY+" + origin + "+" + strings.Split(vkey, "+")[1] + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...)))
	if err != nil {
		t.Fatal(err)
	}
	return s, vkey
}

func options(t testing.TB, dir string, persons ...string) ceremony.Options {
	t.Helper()
	_, vkey := logKeys(t)
	o := ceremony.Options{
		Dir: dir, Tenant: core.MustID[core.TenantID]("acme"), Now: now, CommandKey: public(t, "command"), StopKey: public(t, "stop"),
		LogKey: vkey, LogOrigin: origin, CAPins: []string{strings.Repeat("ab", 32)}, Servers: []string{"127.0.0.1:8443"},
	}
	for _, p := range persons {
		o.Persons = append(o.Persons, ceremony.Person{ID: core.MustID[core.PersonID](p), Name: strings.ToUpper(p)})
	}
	return o
}

func hold(t testing.TB, o ceremony.Options) *ceremony.Installation {
	t.Helper()
	inst, err := ceremony.NewInstallation(o)
	if err != nil {
		t.Fatal(err)
	}
	return inst
}

func TestSingleOperatorCeremony(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "config", "interlock", "trust")
	inst := hold(t, options(t, dir))
	tr, err := link.NewTrust(inst.Root, inst.RootHash)
	if err != nil {
		t.Fatal(err)
	}
	r := tr.Root()
	if r.Mode != link.ModeSingleOperator || r.Version != 1 || r.ReleaseDelay != 600 || r.RecoveryDelay != 72*3600 || tr.Witnessed() || len(r.Persons) != 1 || len(r.Persons[0].Keys) != 4 {
		t.Errorf("%+v", r)
	}
	for _, role := range r.Roles {
		if role.Name == link.RoleRoot && (role.Threshold != 1 || role.KeysThreshold != 2 || len(role.KeyIDs) != 3) {
			t.Errorf("%+v", role)
		}
	}
	mine, err := ceremony.LoadTrust(dir)
	if err != nil || mine.Hash() != inst.RootHash {
		t.Fatalf("%v", err)
	}
	expectModes(t, dir)
	for _, want := range []string{inst.RootHash, inst.Code, "single-operator", "2 of these 3", "recovery-3", "unwitnessed", "no two-person rule is met", "waits 10m0s"} {
		if !strings.Contains(inst.Sheet, want) {
			t.Errorf("the sheet lacks %q:\n%s", want, inst.Sheet)
		}
	}
	if strings.Contains(inst.Sheet, "PRIVATE") {
		t.Error("the sheet holds a key")
	}
}

// Folders 0700, files 0600, nothing beside.
func expectModes(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %#o, want %#o", path, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	around, err := os.ReadDir(filepath.Dir(dir))
	if err != nil || len(around) != 1 {
		t.Errorf("beside the folder: %v, %v", around, err)
	}
}

func TestThreePersonsMakeAQuorum(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trust")
	inst := hold(t, options(t, dir, "anna", "ben", "cora"))
	tr, err := link.NewTrust(inst.Root, inst.RootHash)
	if err != nil {
		t.Fatal(err)
	}
	if tr.Root().Mode != link.ModeQuorum {
		t.Errorf("mode %s", tr.Root().Mode)
	}
	owners := map[core.PersonID]bool{}
	for i := 1; i <= 3; i++ {
		s, err := ceremony.LoadRecoverySigner(dir, fmt.Sprintf("recovery-%d", i))
		if err != nil {
			t.Fatal(err)
		}
		p, _ := tr.Person(link.KeyID(s.PublicKey()))
		owners[p] = true
	}
	if len(owners) != 3 {
		t.Errorf("recovery keys of %v", owners)
	}
	for _, r := range tr.Root().Roles {
		if r.Threshold != 2 {
			t.Errorf("%s has threshold %d", r.Name, r.Threshold)
		}
	}
	if strings.Contains(inst.Sheet, "One person runs this site") {
		t.Error("the sheet of three persons says one")
	}
}

func TestTwoPersonsAreASingleOperatorSite(t *testing.T) {
	inst := hold(t, options(t, filepath.Join(t.TempDir(), "trust"), "anna", "ben"))
	if tr, err := link.NewTrust(inst.Root, inst.RootHash); err != nil || tr.Root().Mode != link.ModeSingleOperator {
		t.Errorf("%v", err)
	}
}

func TestPersonBringsAKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trust")
	o := options(t, dir, "anna")
	o.Persons[0].Keys = []string{public(t, "anna's own")}
	inst := hold(t, o)
	if tr, err := link.NewTrust(inst.Root, inst.RootHash); err != nil || tr.Root().Persons[0].Keys[0] != o.Persons[0].Keys[0] {
		t.Errorf("%v", err)
	}
	if _, err := ceremony.LoadPersonSigner(dir, "anna"); core.KindOf(err) != core.KindNotFound || core.HintOf(err) == "" {
		t.Errorf("a key was made beside: %v", err)
	}
}

func TestCeremonyNeverTouchesWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	first := hold(t, options(t, filepath.Join(dir, "a")))
	if _, err := ceremony.NewInstallation(options(t, filepath.Join(dir, "a"))); core.KindOf(err) != core.KindConflict || core.HintOf(err) == "" {
		t.Errorf("twice: %v", err)
	}
	if b, err := ceremony.LoadRoot(filepath.Join(dir, "a")); err != nil || string(b) != string(first.Root) {
		t.Errorf("the first root is gone: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	hold(t, options(t, filepath.Join(dir, "b"))) // an empty folder is taken
	file := filepath.Join(dir, "c")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", file} {
		if _, err := ceremony.NewInstallation(options(t, bad)); err == nil {
			t.Errorf("written to %q", bad)
		}
	}
}

func TestCeremonyRefusesARootThatNoDeviceTakes(t *testing.T) {
	dir := t.TempDir()
	for name, change := range map[string]func(*ceremony.Options){
		"no tenant":        func(o *ceremony.Options) { o.Tenant = core.TenantID{} },
		"no log key":       func(o *ceremony.Options) { o.LogKey = "" },
		"person twice":     func(o *ceremony.Options) { o.Persons = append(o.Persons, o.Persons[0]) },
		"server's own key": func(o *ceremony.Options) { o.Persons[0].Keys = []string{o.CommandKey} },
		"rsa":              func(o *ceremony.Options) { o.Persons[0].Keys = []string{"ssh-rsa AAAA"} },
	} {
		o := options(t, filepath.Join(dir, "x"), "anna")
		change(&o)
		if _, err := ceremony.NewInstallation(o); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("litter: %v, %v", left, err)
	}
}

func TestLoadIsCareful(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trust")
	hold(t, options(t, dir))
	for _, name := range []string{"../root.json", "..", "a/b", "", "Owner"} {
		if _, err := ceremony.LoadPersonSigner(dir, name); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%q: %v", name, err)
		}
	}
	key := filepath.Join(dir, "keys", "owner")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ceremony.LoadPersonSigner(dir, "owner"); core.KindOf(err) != core.KindDenied || !strings.Contains(core.HintOf(err), "chmod 600") {
		t.Errorf("a key that others read: %v", err)
	}
	if _, err := ceremony.LoadSigner(dir); core.KindOf(err) != core.KindInvalid {
		t.Errorf("a folder: %v", err)
	}
	if err := os.WriteFile(key+"2", make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ceremony.LoadSigner(key + "2"); core.KindOf(err) != core.KindTooLarge {
		t.Errorf("a large file: %v", err)
	}
}

func TestDoctorSeesRecoveryKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trust")
	hold(t, options(t, dir))
	got, err := ceremony.RecoveryKeysPresent(dir)
	if err != nil || strings.Join(got, " ") != "recovery-1 recovery-2 recovery-3" {
		t.Errorf("%v, %v", got, err)
	}
	base := filepath.Join(dir, "recovery")
	for _, n := range []string{"recovery-1", "recovery-2"} {
		if err := os.Remove(filepath.Join(base, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(base, "recovery-3"), filepath.Join(base, "holiday.jpg")); err != nil {
		t.Fatal(err)
	}
	if got, err := ceremony.RecoveryKeysPresent(dir); err != nil || strings.Join(got, " ") != "holiday.jpg" {
		t.Errorf("renamed: %v, %v", got, err)
	}
	if err := os.RemoveAll(base); err != nil {
		t.Fatal(err)
	}
	if got, err := ceremony.RecoveryKeysPresent(dir); err != nil || got != nil {
		t.Errorf("gone: %v, %v", got, err)
	}
}

// The keys that were written sign the next trust root, and ssh-keygen reads them.
func TestWrittenKeysSignTheNextRoot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trust")
	hold(t, options(t, dir))
	tr, err := ceremony.LoadTrust(dir)
	if err != nil {
		t.Fatal(err)
	}
	next := *tr.Root()
	next.Version, next.ReviewBy = 2, now.AddDate(2, 0, 0).UnixMicro()
	payload, err := link.EncodeRoot(&next)
	if err != nil {
		t.Fatal(err)
	}
	recovery := []string{"recovery-1", "recovery-3"}
	if _, err := ceremony.SaveNext(dir, seal(t, dir, payload, false, "recovery-2"), proofFor(t, payload), 0); core.KindOf(err) != core.KindDenied {
		t.Errorf("one of two recovery keys: %v", err)
	}
	alone := seal(t, dir, payload, false, recovery...)
	if _, err := ceremony.SaveNext(dir, alone, proofFor(t, payload), 71*time.Hour); core.KindOf(err) != core.KindConflict {
		t.Errorf("a recovery before its time: %v", err)
	}
	if _, err := ceremony.SaveNext(dir, seal(t, dir, payload, true, recovery...), proofFor(t, payload), 0); err != nil {
		t.Fatal(err)
	}
	if tr, err := ceremony.LoadTrust(dir); err != nil || tr.Root().Version != 2 {
		t.Errorf("%v", err)
	}
	all, err := ceremony.LoadHistory(dir)
	if err != nil || len(all) != 2 || all[0].Root().Version != 2 || all[1].Root().Version != 1 || all[1].Hash() != tr.Hash() {
		t.Errorf("the copies kept: %v, %v", all, err)
	}
	out, err := exec.Command("ssh-keygen", "-y", "-f", filepath.Join(dir, "keys", "owner")).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	pub, err := os.ReadFile(filepath.Join(dir, "keys", "owner.pub"))
	if err != nil || !strings.HasPrefix(string(out), strings.TrimSpace(string(pub))) {
		t.Errorf("ssh-keygen reads %s, the file says %s", out, pub)
	}
}

func seal(t *testing.T, dir string, payload []byte, owner bool, recovery ...string) []byte {
	t.Helper()
	var signers []link.Signer
	for _, n := range recovery {
		s, err := ceremony.LoadRecoverySigner(dir, n)
		if err != nil {
			t.Fatal(err)
		}
		signers = append(signers, s)
	}
	if owner {
		s, err := ceremony.LoadPersonSigner(dir, "owner")
		if err != nil {
			t.Fatal(err)
		}
		signers = append(signers, s)
	}
	env, err := link.SealEnvelope(link.NamespaceRoot, payload, signers...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := env.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// proofFor logs a root as the only entry of a log.
func proofFor(t *testing.T, payload []byte) []byte {
	t.Helper()
	signer, _ := logKeys(t)
	leaf := []byte(`{"type":"authority","object":"` + link.RootObject(fmt.Sprintf("%x", link.BatchHash(payload))) + `"}`)
	root := tlog.RecordHash(leaf)
	cp := flog.Checkpoint{Origin: origin, Size: 1, Hash: root[:]}
	signed, err := note.Sign(&note.Note{Text: string(cp.Marshal())}, signer)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := link.NewProof(0, nil, string(signed), leaf)
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

// A ceremony that is killed leaves nothing or everything.
func TestKilledCeremonyIsWholeOrAbsent(t *testing.T) {
	if dir := os.Getenv("CEREMONY_DIR"); dir != "" {
		fmt.Println("ready")
		for i := 0; ; i++ {
			hold(t, options(t, filepath.Join(dir, fmt.Sprint(i))))
		}
	}
	whole := 0
	for range 8 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledCeremonyIsWholeOrAbsent$")
		cmd.Env = append(os.Environ(), "CEREMONY_DIR="+dir)
		killSoon(t, cmd, dir)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				continue // a scratch folder that nobody will read
			}
			expectWhole(t, filepath.Join(dir, e.Name()))
			whole++
		}
	}
	if whole == 0 {
		t.Error("no ceremony ended; the test proves nothing")
	}
}

// killSoon kills the child after it has published at least one folder, at a
// random number of further looks.
func killSoon(t *testing.T, cmd *exec.Cmd, dir string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(out).Scan() {
		t.Error("the child did not start")
	}
	for looks, i := rand.IntN(400), 0; looks > 0 && i < 5_000_000; i++ {
		if _, err := os.Stat(filepath.Join(dir, "0")); err == nil {
			looks--
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // ends by the kill
}

func expectWhole(t *testing.T, dir string) {
	t.Helper()
	tr, err := ceremony.LoadTrust(dir)
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	for _, name := range []string{"recovery/recovery-1", "recovery/recovery-2", "recovery/recovery-3", "keys/owner"} {
		s, err := ceremony.LoadSigner(filepath.Join(dir, name))
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		if _, known := tr.Person(link.KeyID(s.PublicKey())); !known {
			t.Errorf("%s: key %s is not in the root", dir, name)
		}
	}
}
