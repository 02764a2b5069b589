package core_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
)

func TestIdentifiersCannotHoldAPath(t *testing.T) {
	bad := []string{"", "../../etc/x", "a/b", "A", "a b", ".", "..", "-a", "_a", "a\x00", "a\n", "é", strings.Repeat("a", 64), "a.b", `a\b`, "a%2fb"}
	for _, s := range bad {
		if _, err := core.ParseID[core.DeviceID](s); core.KindOf(err) != core.KindInvalid {
			t.Errorf("ParseID(%q) = %v, want an invalid-kind error", s, err)
		}
		var id core.DeviceID
		quoted, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(quoted, &id); err == nil && s != "" {
			t.Errorf("json took %q", s)
		}
	}
	for _, s := range []string{"a", "press-7", "0_x", strings.Repeat("a", 63)} {
		if id, err := core.ParseID[core.DeviceID](s); err != nil || id.String() != s {
			t.Errorf("ParseID(%q) = %v, %v", s, id, err)
		}
	}
}

func TestUUIDOrdersByTimeAndRoundTrips(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	a, b := core.NewUUID(at), core.NewUUID(at.Add(time.Millisecond))
	if a.String() >= b.String() {
		t.Errorf("%s does not sort before %s", a, b)
	}
	if !a.Time().Equal(at) {
		t.Errorf("Time() = %s, want %s", a.Time(), at)
	}
	back, err := core.ParseUUID(a.String())
	if err != nil || back != a {
		t.Errorf("ParseUUID(String()) = %v, %v", back, err)
	}
	for _, s := range []string{"", strings.ToUpper(a.String()), a.String() + "0", strings.ReplaceAll(a.String(), "-", "_")} {
		if _, err := core.ParseUUID(s); err == nil {
			t.Errorf("ParseUUID(%q) accepted", s)
		}
	}
}

func TestSecretsAreNeverPrintedOrMarshalled(t *testing.T) {
	s := core.NewSecret([]byte("canary-4711"))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if out := fmt.Sprintf(verb, s); strings.Contains(out, "canary") {
			t.Errorf("%s printed the secret: %s", verb, out)
		}
	}
	for _, holder := range []any{struct{ S core.Secret }{s}, struct{ hidden core.Secret }{s}, []core.Secret{s}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			out := fmt.Sprintf(verb, holder)
			for _, leak := range []string{"canary", "99 97 110", "0x63, 0x61", "63616e617279"} {
				if strings.Contains(out, leak) {
					t.Errorf("%s printed it inside a holder: %s", verb, out)
				}
			}
		}
	}
	if b, err := json.Marshal(map[string]any{"s": s}); err == nil {
		t.Errorf("marshalled: %s", b)
	}
	s.Wipe()
	if string(s.Reveal()) != strings.Repeat("\x00", 11) {
		t.Errorf("Wipe left %q", s.Reveal())
	}
}

func TestKindAndHintSurviveWrapping(t *testing.T) {
	base := errors.New("disk full")
	err := fmt.Errorf("while saving: %w", core.Wrap(core.KindUnavailable, "store.Tx", base))
	if core.KindOf(err) != core.KindUnavailable || !errors.Is(err, base) {
		t.Errorf("kind %v, is %v", core.KindOf(err), errors.Is(err, base))
	}
	hinted := fmt.Errorf("outer: %w", core.E(core.KindInvalid, "op", "bad").WithHint("do this"))
	if core.HintOf(hinted) != "do this" {
		t.Errorf("hint %q", core.HintOf(hinted))
	}
	if core.KindOf(base) != core.KindInternal {
		t.Errorf("a foreign error is %v", core.KindOf(base))
	}
}

func TestWordsRefuseOtherSpellings(t *testing.T) {
	for _, s := range []string{`"High"`, `"urgent"`, `""`} {
		var sev core.Severity
		if err := json.Unmarshal([]byte(s), &sev); err == nil {
			t.Errorf("severity took %s", s)
		}
	}
	if core.SeverityCritical.Rank() != 4 || core.Severity("x").Rank() != -1 {
		t.Error("ranks")
	}
	if core.ProvenanceUnauthenticated.Authenticated() || core.Provenance("x").Authenticated() || !core.ProvenanceLocal.Authenticated() {
		t.Error("authenticated provenances")
	}
}
