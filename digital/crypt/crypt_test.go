package crypt_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/crypt"
)

var writeGolden = flag.Bool("golden", false, "write testdata/ where it is missing")

var epoch = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func newRing(t *testing.T) *crypt.Keyring {
	t.Helper()
	k, err := crypt.OpenHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustSeal(t *testing.T, k *crypt.Keyring, plain, context string) []byte {
	t.Helper()
	b, err := k.Seal([]byte(plain), context)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantKind(t *testing.T, what string, err error, want core.Kind) {
	t.Helper()
	if err == nil || core.KindOf(err) != want {
		t.Errorf("%s: got %v (kind %s), want kind %s", what, err, core.KindOf(err), want)
	}
}

func TestSealOpenRoundTrip(t *testing.T) {
	k := newRing(t)
	for _, plain := range []string{"", "x", strings.Repeat("long ", 20_000)} {
		sealed := mustSeal(t, k, plain, "tenant/acme/x")
		if got := len(sealed) - len(plain); got != crypt.Overhead {
			t.Errorf("overhead is %d, documented %d", got, crypt.Overhead)
		}
		back, err := k.Open(sealed, "tenant/acme/x")
		if err != nil || string(back) != plain {
			t.Errorf("Open = %.20q, %v", back, err)
		}
		if again := mustSeal(t, k, plain, "tenant/acme/x"); bytes.Equal(again, sealed) {
			t.Error("sealing twice gave the same bytes")
		}
	}
}

func TestEveryFlippedBitAndEveryCutIsRefused(t *testing.T) {
	k := newRing(t)
	sealed := mustSeal(t, k, "the quick brown fox", "ctx")
	for i := range sealed {
		for bit := range 8 {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1 << bit
			if _, err := k.Open(bad, "ctx"); err == nil {
				t.Fatalf("byte %d bit %d flipped: opened", i, bit)
			}
		}
		if _, err := k.Open(sealed[:i], "ctx"); err == nil {
			t.Fatalf("cut to %d bytes: opened", i)
		}
	}
	_, err := k.Open(append(bytes.Clone(sealed), 0), "ctx")
	wantKind(t, "one byte more", err, core.KindDamaged)
}

func TestContextIsBound(t *testing.T) {
	k := newRing(t)
	sealed := mustSeal(t, k, "x", "tenant/a/row/1")
	for _, context := range []string{"tenant/a/row/2", "tenant/b/row/1", "tenant/a/row/1 ", "tenant/a/row/"} {
		_, err := k.Open(sealed, context)
		wantKind(t, context, err, core.KindDamaged)
	}
	_, err := k.Seal([]byte("x"), "")
	wantKind(t, "empty context", err, core.KindInvalid)
	_, err = k.Seal([]byte("x"), strings.Repeat("c", 5000))
	wantKind(t, "huge context", err, core.KindInvalid)
}

func TestPartsOfTwoValuesDoNotMix(t *testing.T) {
	k := newRing(t)
	a, b := mustSeal(t, k, "value a", "ctx"), mustSeal(t, k, "value b", "ctx")
	for cut := range a {
		mixed := append(bytes.Clone(a[:cut]), b[cut:]...)
		if bytes.Equal(mixed, a) || bytes.Equal(mixed, b) {
			continue
		}
		if _, err := k.Open(mixed, "ctx"); err == nil {
			t.Fatalf("first %d bytes of one and the rest of the other opened", cut)
		}
	}
}

func TestReservedAndUnknownSuites(t *testing.T) {
	k := newRing(t)
	sealed := mustSeal(t, k, "x", "ctx")
	sealed[4] = byte(crypt.SuiteXChaCha20Poly1305)
	_, err := k.Open(sealed, "ctx")
	wantKind(t, "reserved suite", err, core.KindInvalid)
	if !strings.Contains(err.Error(), "XChaCha20") {
		t.Errorf("the error does not name the suite: %v", err)
	}
	sealed[4] = 9
	_, err = k.Open(sealed, "ctx")
	wantKind(t, "unknown suite", err, core.KindDamaged)
}

func TestReopenKeepsKeysAndModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "host")
	k, err := crypt.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	sealed := mustSeal(t, k, "kept", "ctx")
	k2, err := crypt.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k2.Open(sealed, "ctx"); err != nil || string(got) != "kept" {
		t.Errorf("after reopening: %q, %v", got, err)
	}
	for name, want := range map[string]fs.FileMode{"": 0o700, "host.kek": 0o600, "host.keyring": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q has mode %v, want %v (%v)", name, info.Mode().Perm(), want, err)
		}
	}
}

func TestKeyringFileRefusals(t *testing.T) {
	rows := []struct {
		name  string
		spoil func(dir string) error
		want  core.Kind
	}{
		{"key file gone", func(d string) error { return os.Remove(filepath.Join(d, "host.kek")) }, core.KindNotFound},
		{"key file of another keyring", func(d string) error {
			if err := os.Remove(filepath.Join(d, "host.kek")); err != nil {
				return err
			}
			_, err := crypt.NewFileKEK(filepath.Join(d, "host.kek"))
			return err
		}, core.KindDamaged},
		{"key file readable by others", func(d string) error { return os.Chmod(filepath.Join(d, "host.kek"), 0o644) }, core.KindDenied},
		{"keyring readable by the group", func(d string) error { return os.Chmod(filepath.Join(d, "host.keyring"), 0o640) }, core.KindDenied},
		{"key file without newline", func(d string) error { return rewrite(d, "host.kek", func(b []byte) []byte { return b[:len(b)-1] }) }, core.KindDamaged},
		{"key file in capitals", func(d string) error { return rewrite(d, "host.kek", bytes.ToUpper) }, core.KindDamaged},
		{"keyring empty", func(d string) error { return rewrite(d, "host.keyring", func([]byte) []byte { return nil }) }, core.KindDamaged},
		{"keyring cut", func(d string) error {
			return rewrite(d, "host.keyring", func(b []byte) []byte { return b[:len(b)-1] })
		}, core.KindDamaged},
		{"keyring renamed inside", func(d string) error {
			return rewrite(d, "host.keyring", func(b []byte) []byte { return bytes.Replace(b, []byte("host"), []byte("hosT"), 1) })
		}, core.KindDamaged},
		{"keyring huge", func(d string) error { return os.Truncate(filepath.Join(d, "host.keyring"), 2<<20) }, core.KindTooLarge},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := crypt.OpenHost(dir); err != nil {
				t.Fatal(err)
			}
			if err := row.spoil(dir); err != nil {
				t.Fatal(err)
			}
			_, err := crypt.OpenHost(dir)
			wantKind(t, row.name, err, row.want)
		})
	}
}

func rewrite(dir, name string, fn func([]byte) []byte) error {
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, fn(b), 0o600)
}

func TestEveryByteOfTheKeyringFileIsProtected(t *testing.T) {
	dir := t.TempDir()
	if _, err := crypt.OpenHost(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "host.keyring")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x20
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := crypt.OpenHost(dir); err == nil {
			t.Fatalf("byte %d of the file changed: opened", i)
		}
	}
}

func TestRotateKeepsOldKeysForReading(t *testing.T) {
	k := newRing(t)
	derived, err := k.Derive("state.db", 32)
	if err != nil {
		t.Fatal(err)
	}
	old := mustSeal(t, k, "before", "ctx")
	if _, err := k.Rotate(epoch); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Open(old, "ctx"); err != nil || string(got) != "before" {
		t.Errorf("the old value after rotation: %q, %v", got, err)
	}
	fresh := mustSeal(t, k, "after", "ctx")
	ho, hf := header(t, old), header(t, fresh)
	if ho.Key == hf.Key {
		t.Error("a value sealed after rotation names the old key")
	}
	again, err := k.Derive("state.db", 32)
	if err != nil || !again.Equal(derived.Reveal()) {
		t.Errorf("rotation changed a derived key (%v)", err)
	}
}

func header(t *testing.T, sealed []byte) crypt.Header {
	t.Helper()
	h, err := crypt.ParseHeader(sealed)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestRewrapMovesToTheActiveKey(t *testing.T) {
	k := newRing(t)
	old := mustSeal(t, k, "moving", "ctx")
	if _, err := k.Rotate(epoch); err != nil {
		t.Fatal(err)
	}
	oldKey := header(t, old).Key
	if err := k.SetState(oldKey, crypt.Compromised); err != nil {
		t.Fatal(err)
	}
	_, err := k.Open(old, "ctx")
	wantKind(t, "open by a compromised key", err, core.KindDenied)
	_, err = k.Rewrap(old, "other")
	wantKind(t, "rewrap with another context", err, core.KindDamaged)
	moved, err := k.Rewrap(old, "ctx")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.SetState(oldKey, crypt.Destroyed); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Open(moved, "ctx"); err != nil || string(got) != "moving" {
		t.Errorf("rewrapped: %q, %v", got, err)
	}
	_, err = k.Rewrap(old, "ctx")
	wantKind(t, "rewrap by a destroyed key", err, core.KindDenied)
}

// reach lists by which calls a key comes to each state.
var reach = map[crypt.KeyState][]crypt.KeyState{
	crypt.Active:      {},
	crypt.Suspended:   {crypt.Suspended},
	crypt.Deactivated: {crypt.Suspended, crypt.Deactivated},
	crypt.Compromised: {crypt.Compromised},
	crypt.Destroyed:   {crypt.Compromised, crypt.Destroyed},
}

func TestStateTable(t *testing.T) {
	allowed := map[crypt.KeyState][]crypt.KeyState{
		crypt.Active:      {crypt.Suspended, crypt.Compromised},
		crypt.Suspended:   {crypt.Active, crypt.Deactivated, crypt.Compromised},
		crypt.Deactivated: {crypt.Compromised, crypt.Destroyed},
		crypt.Compromised: {crypt.Destroyed},
		crypt.Destroyed:   {},
	}
	opens := []crypt.KeyState{crypt.Active, crypt.Deactivated}
	for from, way := range reach {
		for _, to := range crypt.KeyStates {
			k := newRing(t)
			sealed := mustSeal(t, k, "x", "ctx")
			id := k.Keys()[0].ID
			for _, s := range way {
				if err := k.SetState(id, s); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := k.Open(sealed, "ctx"); (err == nil) != slices.Contains(opens, from) {
				t.Errorf("open in %s: %v", from, err)
			}
			if _, err := k.Seal(nil, "ctx"); (err == nil) != (from == crypt.Active) {
				t.Errorf("seal in %s: %v", from, err)
			}
			if err := k.SetState(id, to); (err == nil) != slices.Contains(allowed[from], to) {
				t.Errorf("%s to %s: %v", from, to, err)
			}
		}
	}
}

func TestOneActiveKey(t *testing.T) {
	k := newRing(t)
	first := k.Keys()[0].ID
	if err := k.SetState(first, crypt.Suspended); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Rotate(epoch); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "a second active key", k.SetState(first, crypt.Active), core.KindConflict)
	wantKind(t, "an unknown key", k.SetState(crypt.KeyID{1}, crypt.Suspended), core.KindNotFound)
}

func TestDestroyedBytesAreGoneFromTheFile(t *testing.T) {
	dir := t.TempDir()
	k, err := crypt.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	old := mustSeal(t, k, "x", "ctx")
	id := k.Keys()[0].ID
	for _, step := range []func() error{
		func() error { _, err := k.Rotate(epoch); return err },
		func() error { return k.SetState(id, crypt.Destroyed) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	k2, err := crypt.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := k2.Keys(); got[0].ID != id || got[0].State != crypt.Destroyed || got[1].State != crypt.Active {
		t.Errorf("keys after reopening: %v", got)
	}
	_, err = k2.Open(old, "ctx")
	wantKind(t, "open by a destroyed key", err, core.KindDenied)
}

func TestDeriveSeparates(t *testing.T) {
	k, other := newRing(t), newRing(t)
	seen := map[string]bool{}
	for _, ring := range []*crypt.Keyring{k, other} {
		for _, purpose := range []string{"state.db", "journal.db", "state.d"} {
			s, err := ring.Derive(purpose, 32)
			if err != nil || seen[string(s.Reveal())] || len(s.Reveal()) != 32 {
				t.Errorf("%s: repeated or wrong (%v)", purpose, err)
			}
			seen[string(s.Reveal())] = true
		}
	}
	for _, n := range []int{-1, 0, 15, 65} {
		_, err := k.Derive("x", n)
		wantKind(t, fmt.Sprint(n), err, core.KindInvalid)
	}
	_, err := k.Derive("", 32)
	wantKind(t, "no purpose", err, core.KindInvalid)
	k.Wipe()
	_, err = k.Derive("state.db", 32)
	wantKind(t, "wiped", err, core.KindUnavailable)
}

func TestWipedKeyringRefusesEverything(t *testing.T) {
	k := newRing(t)
	sealed := mustSeal(t, k, "x", "ctx")
	k.Wipe()
	_, errOpen := k.Open(sealed, "ctx")
	_, errSeal := k.Seal(nil, "ctx")
	_, errRewrap := k.Rewrap(sealed, "ctx")
	_, errRotate := k.Rotate(epoch)
	for _, err := range []error{errOpen, errSeal, errRewrap, errRotate} {
		wantKind(t, "wiped", err, core.KindUnavailable)
	}
}

func TestPassphraseSeal(t *testing.T) {
	dir := t.TempDir()
	k, err := crypt.OpenVault(dir)
	if err != nil {
		t.Fatal(err)
	}
	sealed := mustSeal(t, k, "under a key file", "ctx")
	right := passphrase(t, "correct horse battery")
	if err := k.Rekey(right); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "vault.keyring")
	back, err := crypt.OpenKeyring(path, "vault", right)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := back.Open(sealed, "ctx"); err != nil || string(got) != "under a key file" {
		t.Errorf("after Rekey: %q, %v", got, err)
	}
	_, err = crypt.OpenKeyring(path, "vault", passphrase(t, "correct horse batterz"))
	wantKind(t, "wrong passphrase", err, core.KindDamaged)
	_, err = crypt.OpenKeyring(path, "host", right)
	wantKind(t, "wrong name", err, core.KindDamaged)
	_, err = crypt.OpenVault(dir)
	wantKind(t, "key file where a passphrase is needed", err, core.KindConflict)
	_, err = crypt.PassphraseKEK(core.NewSecret([]byte("short")))
	wantKind(t, "short passphrase", err, core.KindInvalid)
}

func passphrase(t *testing.T, s string) crypt.KEK {
	t.Helper()
	kek, err := crypt.PassphraseKEK(core.NewSecret([]byte(s)))
	if err != nil {
		t.Fatal(err)
	}
	return kek
}

func TestArgonCostIsBounded(t *testing.T) {
	kek := passphrase(t, "correct horse battery")
	wrapped, err := kek.Wrap([]byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 10; i++ {
		bad := bytes.Clone(wrapped)
		bad[i] = 0xff
		_, err := kek.Unwrap(bad, nil)
		wantKind(t, fmt.Sprintf("cost byte %d", i), err, core.KindDamaged)
	}
}

// failing is a KEK that stops working, like a TPM that went away.
type failing struct{ crypt.KEK }

func (failing) Wrap([]byte, []byte) ([]byte, error) {
	return nil, core.E(core.KindUnavailable, "test", "no TPM")
}

func TestFailedSaveChangesNothing(t *testing.T) {
	k := newRing(t)
	before := k.Keys()
	wantKind(t, "Rekey", k.Rekey(failing{}), core.KindUnavailable)
	if _, err := k.Rotate(epoch); err != nil {
		t.Errorf("after a failed Rekey the old one no longer works: %v", err)
	}
	if got := k.Keys(); len(got) != len(before)+1 {
		t.Errorf("%d keys, want %d", len(got), len(before)+1)
	}
}

func TestNewKeyringNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	kek, err := crypt.NewFileKEK(filepath.Join(dir, "k"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "r")
	if _, err := crypt.NewKeyring(path, "r", kek, epoch); err != nil {
		t.Fatal(err)
	}
	_, err = crypt.NewKeyring(path, "r", kek, epoch)
	wantKind(t, "second NewKeyring", err, core.KindConflict)
	_, err = crypt.NewFileKEK(filepath.Join(dir, "k"))
	wantKind(t, "second NewFileKEK", err, core.KindConflict)
}

func TestKeyBytesAreNeverShown(t *testing.T) {
	dir := t.TempDir()
	k, err := crypt.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	kek, err := crypt.FileKEK(filepath.Join(dir, "host.kek"))
	if err != nil {
		t.Fatal(err)
	}
	canaries := secretsOf(t, dir, k)
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range []any{k, kek, &kek, k.Keys(), []any{k, kek}, struct{ K *crypt.Keyring }{k}, struct{ k crypt.KEK }{kek}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		log.Info("x", "v", v)
		b, err := json.Marshal(v)
		fmt.Fprintf(&out, "%s %v\n", b, err)
	}
	for _, err := range failures(t, dir, k) {
		fmt.Fprintf(&out, "%v %+v %#v\n", err, err, err)
	}
	for what, canary := range canaries {
		for _, form := range forms(canary) {
			if strings.Contains(out.String(), form) {
				t.Errorf("%s was shown as %.24s", what, form)
			}
		}
	}
}

// secretsOf digs the secrets out by the ways that exist for it.
func secretsOf(t *testing.T, dir string, k *crypt.Keyring) map[string][]byte {
	t.Helper()
	line, err := os.ReadFile(filepath.Join(dir, "host.kek"))
	if err != nil {
		t.Fatal(err)
	}
	kek, err := hex.DecodeString(strings.TrimSpace(strings.TrimPrefix(string(line), "interlock-kek-v1 ")))
	if err != nil {
		t.Fatal(err)
	}
	ringBytes := crypt.PlainRing(k)
	return map[string][]byte{"key file": kek, "derivation key": ringBytes[:32], "active key": ringBytes[len(ringBytes)-32:]}
}

func forms(b []byte) []string {
	decimals := strings.Trim(fmt.Sprint(b[:8]), "[]")
	return []string{string(b[:8]), hex.EncodeToString(b[:8]), strings.ToUpper(hex.EncodeToString(b[:8])), decimals, strings.ReplaceAll(decimals, " ", ", "), strings.TrimSuffix(fmt.Sprintf("%#v", b[:4])[len("[]byte{"):], "}")}
}

func failures(t *testing.T, dir string, k *crypt.Keyring) []error {
	t.Helper()
	sealed := mustSeal(t, k, "x", "ctx")
	_, e1 := k.Open(sealed, "other")
	_, e2 := k.Open(sealed[:10], "ctx")
	_, e3 := crypt.OpenKeyring(filepath.Join(dir, "host.kek"), "host", passphrase(t, "correct horse battery"))
	if err := rewrite(dir, "host.kek", func(b []byte) []byte { return b[:len(b)-2] }); err != nil {
		t.Fatal(err)
	}
	_, e4 := crypt.OpenHost(dir)
	return []error{e1, e2, e3, e4, errors.Join(e1, e4)}
}

func TestConcurrentUse(t *testing.T) {
	k := newRing(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 50 {
				sealed, err := k.Seal([]byte("x"), "ctx")
				if err == nil {
					_, err = k.Open(sealed, "ctx")
				}
				if err != nil {
					t.Error(err)
				}
				if i == 25 {
					if _, err := k.Rotate(epoch); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestGolden holds the two formats for good: bytes written by the first
// version open in every later one.
func TestGolden(t *testing.T) {
	dir := t.TempDir()
	if *writeGolden {
		makeGolden(t)
	}
	for _, name := range []string{"host.kek", "host.keyring", "value.sealed"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k, err := crypt.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := os.ReadFile(filepath.Join(dir, "value.sealed"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Open(sealed, "tenant/acme/golden"); err != nil || string(got) != "golden value" {
		t.Errorf("golden value: %q, %v", got, err)
	}
	s, err := k.Derive("state.db", 32)
	want, readErr := os.ReadFile("testdata/derived.hex")
	if err != nil || readErr != nil || hex.EncodeToString(s.Reveal()) != strings.TrimSpace(string(want)) {
		t.Errorf("the golden derived key differs (%v, %v)", err, readErr)
	}
	if keys := k.Keys(); len(keys) != 2 || keys[0].State != crypt.Deactivated || keys[1].State != crypt.Active || !keys[1].Created.Equal(epoch) {
		t.Errorf("golden keys: %v", keys)
	}
}

func makeGolden(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("testdata/host.keyring"); err == nil {
		t.Fatal("golden files are never written again")
	}
	k, err := crypt.OpenHost("testdata")
	if err != nil {
		t.Fatal(err)
	}
	sealed := mustSeal(t, k, "golden value", "tenant/acme/golden")
	derived, err := k.Derive("state.db", 32)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Rotate(epoch); err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		os.WriteFile("testdata/value.sealed", sealed, 0o600),
		os.WriteFile("testdata/derived.hex", []byte(hex.EncodeToString(derived.Reveal())+"\n"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
}

// TestUnderFIPSOnly runs this package's tests again where the runtime refuses
// every algorithm that FIPS 140 does not allow.
func TestUnderFIPSOnly(t *testing.T) {
	if strings.Contains(os.Getenv("GODEBUG"), "fips140=only") {
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run", "^Test(SealOpen|Reopen|Rotate|Rewrap|Derive|Golden|Known)", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.Count(out, []byte("--- PASS: Test")) < 7 {
		t.Errorf("under fips140=only: %v\n%s", err, out)
	}
}

func FuzzOpen(f *testing.F) {
	k, err := crypt.OpenHost(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := k.Seal([]byte("seed"), "ctx")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{nil, sealed, sealed[:90], []byte("ILS\x01\x02"), bytes.Repeat([]byte{0xff}, 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		plain, err := k.Open(b, "ctx")
		if err == nil && !bytes.Equal(b, sealed) {
			t.Errorf("forged: %q opens to %q", b, plain)
		}
	})
}
