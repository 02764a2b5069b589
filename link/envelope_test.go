package link_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

func TestEnvelopeRoundTrips(t *testing.T) {
	e, err := link.SealEnvelope(link.NamespaceOrder, []byte(`{"a":1}`), edSigner(t, "a"), edSigner(t, "b"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "envelope.json", b)
	back, err := link.ParseEnvelope(b)
	if err != nil || !bytes.Equal(back.Payload, e.Payload) || len(back.Signatures) != 2 {
		t.Fatalf("%+v, %v", back, err)
	}
}

func TestEnvelopeLimits(t *testing.T) {
	payload := []byte("x")
	sig := mustSign(t, edSigner(t, "a"), link.NamespaceOrder, payload)
	many := make([]link.Signature, link.MaxSignatures+1)
	for i := range many {
		many[i] = mustSign(t, edSigner(t, fmt.Sprint(i)), link.NamespaceOrder, payload)
	}
	rows := []struct {
		name string
		e    link.Envelope
		kind core.Kind
		want string
	}{
		{"no payload", link.Envelope{Signatures: []link.Signature{sig}}, core.KindInvalid, "empty"},
		{"large payload", link.Envelope{Payload: make([]byte, link.MaxPayload+1)}, core.KindTooLarge, "at most 65536"},
		{"many signatures", link.Envelope{Payload: payload, Signatures: many}, core.KindTooLarge, "65 signatures"},
		{"twice by one key", link.Envelope{Payload: payload, Signatures: []link.Signature{sig, sig}}, core.KindInvalid, "signed twice"},
		{"twice in two namespaces", link.Envelope{Payload: payload, Signatures: []link.Signature{sig, mustSign(t, edSigner(t, "a"), link.NamespaceApproval, payload)}}, core.KindInvalid, "signed twice"},
		{"wrong key id", link.Envelope{Payload: payload, Signatures: []link.Signature{{KeyID: "SHA256:x", Sig: sig.Sig}}}, core.KindInvalid, "signatures[0]"},
		{"malformed signature", link.Envelope{Payload: payload, Signatures: []link.Signature{{KeyID: sig.KeyID, Sig: []byte("x")}}}, core.KindInvalid, "not an SSHSIG"},
	}
	for _, row := range rows {
		if _, err := row.e.Encode(); core.KindOf(err) != row.kind || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: Encode: %v", row.name, err)
		}
		b, err := link.Encode(row.e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := link.ParseEnvelope(b); core.KindOf(err) != row.kind || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: ParseEnvelope: %v", row.name, err)
		}
	}
	if _, err := (&link.Envelope{Payload: make([]byte, link.MaxPayload), Signatures: many[1:]}).Encode(); err != nil {
		t.Errorf("the largest envelope: %v", err)
	}
	if _, err := link.ParseEnvelope(bytes.Repeat([]byte(" "), link.MaxEnvelope+1)); core.KindOf(err) != core.KindTooLarge {
		t.Error(err)
	}
}

func TestAddKeepsTheEnvelopeWhole(t *testing.T) {
	e := &link.Envelope{Payload: []byte("x")}
	sig := mustSign(t, edSigner(t, "a"), link.NamespaceApproval, e.Payload)
	if err := e.Add(sig); err != nil {
		t.Fatal(err)
	}
	if err := e.Add(sig); err == nil || len(e.Signatures) != 1 {
		t.Errorf("%v, %d signatures", err, len(e.Signatures))
	}
}

func TestVerifiedByWantsOneSignatureOfOneKey(t *testing.T) {
	device := p256Signer(t)
	e, err := link.SealEnvelope(link.NamespaceBatch, []byte("x"), device)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.VerifiedBy(link.NamespaceBatch, device.PublicKey()); err != nil {
		t.Error(err)
	}
	if err := e.VerifiedBy(link.NamespaceOrder, device.PublicKey()); err == nil {
		t.Error("another namespace")
	}
	if err := e.VerifiedBy(link.NamespaceBatch, p256Signer(t).PublicKey()); core.KindOf(err) != core.KindDenied {
		t.Errorf("another key: %v", err)
	}
	if err := e.Add(mustSign(t, edSigner(t, "a"), link.NamespaceBatch, e.Payload)); err != nil {
		t.Fatal(err)
	}
	if err := e.VerifiedBy(link.NamespaceBatch, device.PublicKey()); core.KindOf(err) != core.KindDenied {
		t.Errorf("two signatures: %v", err)
	}
}

func FuzzParseEnvelope(f *testing.F) {
	e, err := link.SealEnvelope(link.NamespaceOrder, []byte(`{"a":1}`), edSigner(f, "a"))
	if err != nil {
		f.Fatal(err)
	}
	b, err := e.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"payload":"","signatures":[]}`))
	f.Add([]byte(`{"payload":"eA==","signatures":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := link.ParseEnvelope(b)
		if err != nil {
			return
		}
		again, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := link.ParseEnvelope(again); err != nil {
			t.Fatal(err)
		}
	})
}
