package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/core"
)

// goldenHeader has every field set.
func goldenHeader() Header {
	h := Header{
		Type: TypeAuthority, Time: 1_700_000_000_000_000, Actor: "person/~00112233445566778899aabbccddeeff", Action: "device.quarantine",
		Object: "device/press-7", Revision: 3, Outcome: "permitted", Class: ClassSecurity, Intent: "interlock.local/4f2a/serve/main#12", Outbox: 41,
	}
	for i := range h.Key {
		h.Key[i], h.Salt[i] = byte(i), byte(0x10+i)
	}
	for i := range h.MAC {
		h.MAC[i] = byte(0x80 + i)
	}
	return h
}

func golden(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The bytes of a leaf are decided for good: what was signed once must be read
// for ever. If this fails, the code is wrong, not the file.
func TestLeafGoldenBytes(t *testing.T) {
	h := goldenHeader()
	want := golden(t, "header-v1")
	if got := appendHeader(nil, &h); !bytes.Equal(got, want) {
		t.Errorf("header\n%s\nwant\n%s", got, want)
	}
	back, sealed, err := ParseLeaf(append(bytes.Clone(want), "ciphertext"...))
	if err != nil || back != h || string(sealed) != "ciphertext" {
		t.Errorf("parsed %+v, %q, %v", back, sealed, err)
	}
}

// The same for what is encrypted: key derivation, nonce, associated data,
// commitment and plaintext form.
func TestSealedGoldenBytes(t *testing.T) {
	key, err := newSubject([kidLen]byte{1, 2, 3}, "person/anna", bytes.Repeat([]byte{9}, 32))
	if err != nil {
		t.Fatal(err)
	}
	h := goldenHeader()
	h.Key = key.id
	e := Entry{Actor: "stranger/203.0.113.7", Object: "device/press-7", Body: map[string]int{"n": 1}}
	plain, err := e.content(&h)
	if err != nil {
		t.Fatal(err)
	}
	p := &pending{h: h, plain: plain, key: key}
	p.appendLeaf(nil, h.Salt[:])
	leaf := p.leaf
	if got, want := hex.Dump(leaf), string(golden(t, "leaf-v1.hex")); got != want {
		t.Errorf("leaf\n%s\nwant\n%s", got, want)
	}
	s := newSubjects("", nil, core.SystemClock{})
	s.keep(key, nil)
	r, err := s.open(core.Position{}, leaf)
	if err != nil || string(r.Body) != `{"n":1}` || r.Actor != "stranger/203.0.113.7" {
		t.Errorf("opened %+v, %v", r, err)
	}
	for i := range leaf { // header, ciphertext, tag: all of it is bound
		changed := bytes.Clone(leaf)
		changed[i] ^= 1
		if r, err := s.open(core.Position{}, changed); err == nil && r.Body != nil {
			t.Errorf("byte %d of a leaf can be changed and its content still opens", i)
		}
	}
}

func TestParseLeafTakesOneEncodingOnly(t *testing.T) {
	h := goldenHeader()
	line := string(appendHeader(nil, &h))
	for name, change := range map[string][2]string{
		"version":            {`"v":1`, `"v":2`},
		"blank":              {`,"time"`, `, "time"`},
		"upper-case key":     {`"time"`, `"Time"`},
		"order":              {`"revision":3,"outcome":"permitted"`, `"outcome":"permitted","revision":3`},
		"unknown key":        {`,"outbox"`, `,"more":1,"outbox"`},
		"duplicate key":      {`"revision":3`, `"revision":3,"revision":3`},
		"missing key":        {`"revision":3,`, ``},
		"leading zero":       {`"revision":3`, `"revision":03`},
		"plus sign":          {`"revision":3`, `"revision":+3`},
		"fraction":           {`"revision":3`, `"revision":3.0`},
		"no digits":          {`"revision":3`, `"revision":`},
		"too large":          {`"revision":3`, `"revision":18446744073709551616`},
		"negative time":      {`"time":1`, `"time":-1`},
		"time overflow":      {`"time":1`, `"time":91700000`},
		"escape":             {`device/press-7`, `device/press\u002d7`},
		"control character":  {`device/press-7`, "device/press\x007"},
		"blank in a name":    {`device/press-7`, `device/press 7`},
		"umlaut":             {`device/press-7`, `device/preß-7`},
		"no actor":           {`person/~00112233445566778899aabbccddeeff`, ``},
		"unknown type":       {`authority`, `authorita`},
		"unknown class":      {`security`, `securite`},
		"upper-case hex":     {`"key":"000102030405060708090a`, `"key":"000102030405060708090A`},
		"upper-case mac":     {`808182`, `80818A`},
		"short mac":          {`808182`, `8081`},
		"intent":             {`main#12`, `main#012`},
		"intent without":     {`main#12`, `main`},
		"long action":        {`device.quarantine`, strings.Repeat("a", 65)},
		"long object":        {`device/press-7`, "device/" + strings.Repeat("a", 256)},
		"carriage return":    {"}\n", "}\r\n"},
		"bytes after":        {"}\n", "}x\n"},
		"no newline":         {"}\n", "}"},
		"byte order mark":    {`{"v"`, "\ufeff{\"v\""},
		"two slashes":        {`device/press-7`, `device/a/b`},
		"upper-case outcome": {`permitted`, `Permitted`},
	} {
		changed := strings.Replace(line, change[0], change[1], 1)
		if changed == line {
			t.Fatalf("%s changes nothing", name)
		}
		if h, _, err := ParseLeaf([]byte(changed)); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
	if _, _, err := ParseLeaf(make([]byte, MaxLeaf+1)); core.KindOf(err) != core.KindTooLarge {
		t.Errorf("too large: %v", err)
	}
}

// FuzzParseLeaf: whatever is accepted is in the one encoding.
func FuzzParseLeaf(f *testing.F) {
	h := goldenHeader()
	f.Add(append(appendHeader(nil, &h), "sealed"...))
	h.Actor, h.Object, h.Intent, h.Outcome = "service/audit", "", "", ""
	f.Add(appendHeader(nil, &h))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, leaf []byte) {
		h, sealed, err := ParseLeaf(leaf)
		if err != nil {
			return
		}
		again := appendHeader(nil, &h)
		if n := headerLen(&h); n != len(again) {
			t.Errorf("a header of %d bytes is said to have %d", len(again), n)
		}
		if again = append(again, sealed...); !bytes.Equal(again, leaf) {
			t.Errorf("%q is read as %q", leaf, again)
		}
	})
}

// FuzzParseFrame: frames come from a disk that an attacker may have written.
func FuzzParseFrame(f *testing.F) {
	b := appendFrameHead(nil, 7, 2)
	f.Add(append(b, "\x03\x00\x00\x00one\x03\x00\x00\x00twonote"...))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseFrame(b)
		if err != nil {
			return
		}
		again := appendFrameHead(nil, got.first, len(got.leaves))
		for _, leaf := range got.leaves {
			again = append(binary.LittleEndian.AppendUint32(again, uint32(len(leaf))), leaf...)
		}
		if again = append(again, got.note...); !bytes.Equal(again, b) {
			t.Errorf("%q is read as %q", b, again)
		}
	})
}

// FuzzSubjects: the keyring file is read before anything is known to be ours.
func FuzzSubjects(f *testing.F) {
	f.Add([]byte(subjectsMagic + "\x00\x00\x00\x00"))
	f.Add([]byte(subjectsMagic + "\x01\x00\x00\x00\x03\x00\x00\x00abc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newSubjects("", refuser{}, core.SystemClock{})
		if err := s.load(b); err == nil && len(s.byID) > 0 {
			t.Error("made keys of nothing")
		}
	})
}

// FuzzSidecar: hash files are read before they are held against the log. The
// checksum is made right, because an attacker at the disk can do that.
func FuzzSidecar(f *testing.F) {
	s := &span{segment: 1, frames: []frameRef{{0, 48}}}
	s.hashes.append(s.edge.push(tlog.RecordHash([]byte("leaf")), nil))
	f.Add(s.encode(), uint64(0))
	f.Add(s.encode(), uint64(1))
	path := filepath.Join(f.TempDir(), "side")
	f.Fuzz(func(t *testing.T, b []byte, index uint64) {
		if len(b) >= sideHead {
			sum := sha256.Sum256(b[:sideHead-sha256.Size])
			copy(b[sideHead-sha256.Size:], sum[:])
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		side, err := openSidecar(path)
		if err != nil {
			return
		}
		_, _ = side.frame(index)
		if side.hashes > 0 {
			if _, err := side.hash(side.hashes - 1); err != nil {
				t.Errorf("the last of %d hashes cannot be read: %v", side.hashes, err)
			}
		}
		if err := side.close(); err != nil {
			t.Fatal(err)
		}
	})
}

// refuser opens nothing.
type refuser struct{}

func (refuser) Seal([]byte, string) ([]byte, error) {
	return nil, core.E(core.KindDenied, "test", "no")
}

func (refuser) Open([]byte, string) ([]byte, error) {
	return nil, core.E(core.KindDamaged, "test", "no")
}

func TestClearKindsAreSorted(t *testing.T) {
	for _, kind := range clearKinds {
		if !IsClear(kind) {
			t.Errorf("%s is listed but not found", kind)
		}
	}
	for _, kind := range []string{"person", "stranger", "token", "user", "secret", ""} {
		if IsClear(kind) {
			t.Errorf("%s would stand in clear", kind)
		}
	}
}
