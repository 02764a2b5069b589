package identity_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/identity/identitytest"
)

// TestRegistrationsThatAreRefused is the table of hostile answers to a
// registration.
func TestRegistrationsThatAreRefused(t *testing.T) {
	r := identitytest.New(t)
	owner := r.Join()
	for name, hostile := range map[string]func(a *identitytest.Authenticator, options []byte, handle *string) []byte{
		"another origin": func(a *identitytest.Authenticator, options []byte, _ *string) []byte {
			a.Origin = "http://evil.example"
			return must(a.Create(options))
		},
		"another port": func(a *identitytest.Authenticator, options []byte, _ *string) []byte {
			a.Origin = "http://localhost:7401"
			return must(a.Create(options))
		},
		"another RP": func(a *identitytest.Authenticator, options []byte, _ *string) []byte {
			a.RPID = "evil.example"
			return must(a.Create(options))
		},
		"user not verified": func(a *identitytest.Authenticator, options []byte, _ *string) []byte {
			a.Verified = false
			return must(a.Create(options))
		},
		"challenge of a sign-in": func(a *identitytest.Authenticator, options []byte, _ *string) []byte {
			other, _, err := r.BeginSignIn(t.Context())
			r.Must(err)
			return must(a.Create(swapChallenge(options, other)))
		},
		"handle of a sign-in": func(a *identitytest.Authenticator, options []byte, handle *string) []byte {
			_, other, err := r.BeginSignIn(t.Context())
			r.Must(err)
			*handle = other
			return must(a.Create(options))
		},
		"an assertion": func(_ *identitytest.Authenticator, options []byte, _ *string) []byte {
			signIn, _, err := r.BeginSignIn(t.Context())
			r.Must(err)
			return must(owner.Authenticator.Get(swapChallenge(signIn, options)))
		},
		"a handle of its own": func(a *identitytest.Authenticator, options []byte, handle *string) []byte {
			*handle = "e30.e30"
			return must(a.Create(options))
		},
		"a handle with another person": func(a *identitytest.Authenticator, options []byte, handle *string) []byte {
			body, mac, _ := strings.Cut(*handle, ".")
			b, err := base64.RawURLEncoding.DecodeString(body)
			r.Must(err)
			b = bytes.ReplaceAll(b, []byte(`"vera`), []byte(`"vert`))
			*handle = base64.RawURLEncoding.EncodeToString(b) + "." + mac
			return must(a.Create(options))
		},
		"no JSON":  func(*identitytest.Authenticator, []byte, *string) []byte { return []byte("{") },
		"an array": func(*identitytest.Authenticator, []byte, *string) []byte { return []byte("[]") },
		"empty":    func(*identitytest.Authenticator, []byte, *string) []byte { return nil },
		"deep":     func(*identitytest.Authenticator, []byte, *string) []byte { return bytes.Repeat([]byte("["), 30<<10) },
		"too large": func(*identitytest.Authenticator, []byte, *string) []byte {
			return bytes.Repeat([]byte(" "), identity.MaxCredential+1)
		},
		"cut CBOR": func(a *identitytest.Authenticator, o []byte, _ *string) []byte { return mangle(must(a.Create(o)), -20) },
		"hostile ID": func(a *identitytest.Authenticator, o []byte, _ *string) []byte {
			return bytes.ReplaceAll(must(a.Create(o)), []byte(`"rawId":"`), []byte(`"rawId":"AAAA`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			id := "vera-" + strings.ToLower(strings.ReplaceAll(name, " ", "-"))
			l := invite(r, id)
			options, handle, err := r.BeginRegistration(t.Context(), identitytest.Secret(l), "")
			r.Must(err)
			a := identitytest.NewAuthenticator(identitytest.Origin)
			answer := hostile(a, options, &handle)
			if _, _, err = r.FinishRegistration(t.Context(), handle, answer, identitytest.Browser); err == nil || core.KindOf(err) == core.KindInternal {
				t.Fatalf("it was %v", err)
			}
			if v, err := r.Get(t.Context(), person(id)); err != nil || len(v.Passkeys) != 0 || v.Sessions != 0 {
				t.Errorf("%+v, %v", v, err)
			}
			r.Open(l) // the link was not consumed
		})
	}
	// What was taken is not taken again.
	l := invite(r, "walt")
	options, handle, err := r.BeginRegistration(t.Context(), identitytest.Secret(l), "")
	r.Must(err)
	answer := must(identitytest.NewAuthenticator(identitytest.Origin).Create(options))
	_, _, err = r.FinishRegistration(t.Context(), handle, answer, identitytest.Browser)
	r.Must(err)
	_, _, err = r.FinishRegistration(t.Context(), handle, answer, identitytest.Browser)
	want(t, err, core.KindReplayed)
}

func must(b []byte, err error) []byte {
	if err != nil {
		return []byte(err.Error())
	}
	return b
}

// swapChallenge puts the challenge of one ceremony into the options of another.
func swapChallenge(into, from []byte) []byte {
	var a, b map[string]map[string]any
	if json.Unmarshal(into, &a) != nil || json.Unmarshal(from, &b) != nil {
		return nil
	}
	a["publicKey"]["challenge"] = b["publicKey"]["challenge"]
	out, _ := json.Marshal(a)
	return out
}

// mangle cuts the attestation object of an answer.
func mangle(answer []byte, n int) []byte {
	var m map[string]any
	if json.Unmarshal(answer, &m) != nil {
		return nil
	}
	res, _ := m["response"].(map[string]any)
	text, _ := res["attestationObject"].(string)
	res["attestationObject"] = text[:len(text)+n]
	out, _ := json.Marshal(m)
	return out
}

// TestSignInsThatAreRefused is the table of hostile answers to a sign-in.
func TestSignInsThatAreRefused(t *testing.T) {
	r := identitytest.New(t)
	owner, vera := r.Join(), r.Open(invite(r, "vera"))
	begin := func() ([]byte, string) {
		options, handle, err := r.BeginSignIn(t.Context())
		r.Must(err)
		return options, handle
	}
	for name, hostile := range map[string]func() (string, []byte){
		"replayed": func() (string, []byte) {
			options, handle := begin()
			answer := must(owner.Authenticator.Get(options))
			_, _, err := r.FinishSignIn(t.Context(), handle, answer, owner.Client)
			r.Must(err)
			return handle, answer
		},
		"answer to another": func() (string, []byte) {
			options, _ := begin()
			_, handle := begin()
			return handle, must(owner.Authenticator.Get(options))
		},
		"answer to a confirmation": func() (string, []byte) {
			options, _, err := r.BeginConfirm(t.Context(), owner.Session, [32]byte{1})
			r.Must(err)
			_, handle := begin()
			return handle, must(owner.Authenticator.Get(options))
		},
		"handle of a confirmation": func() (string, []byte) {
			options, handle, err := r.BeginConfirm(t.Context(), owner.Session, [32]byte{1})
			r.Must(err)
			return handle, must(owner.Authenticator.Get(options))
		},
		"another origin": func() (string, []byte) {
			options, handle := begin()
			a := *owner.Authenticator
			a.Origin, a.Counter = "https://localhost:7400", a.Counter+1
			return handle, must(a.Get(options))
		},
		"another RP": func() (string, []byte) {
			options, handle := begin()
			a := *owner.Authenticator
			a.RPID, a.Counter = "evil.example", a.Counter+1
			return handle, must(a.Get(options))
		},
		"user not verified": func() (string, []byte) {
			options, handle := begin()
			a := *owner.Authenticator
			a.Verified, a.Counter = false, a.Counter+1
			return handle, must(a.Get(options))
		},
		"vera's passkey as the owner": func() (string, []byte) {
			options, handle := begin()
			a := *vera.Authenticator
			k := *a.Keys[0]
			k.Handle, a.Keys = owner.Authenticator.Keys[0].Handle, []*identitytest.Key{&k}
			return handle, must(a.Get(options))
		},
		"the owner's id, vera's key": func() (string, []byte) {
			options, handle := begin()
			a := *vera.Authenticator
			k := *a.Keys[0]
			k.ID, k.Handle, a.Keys = owner.Authenticator.Keys[0].ID, owner.Authenticator.Keys[0].Handle, []*identitytest.Key{&k}
			a.Counter = owner.Authenticator.Counter + 5
			return handle, must(a.Get(options))
		},
		"a passkey of nobody": func() (string, []byte) {
			options, handle := begin()
			a := *vera.Authenticator
			k := *a.Keys[0]
			k.ID, a.Keys = bytes.Repeat([]byte{1}, 32), []*identitytest.Key{&k}
			return handle, must(a.Get(options))
		},
		"no handle": func() (string, []byte) { options, _ := begin(); return "", must(owner.Authenticator.Get(options)) },
		"no JSON":   func() (string, []byte) { _, handle := begin(); return handle, []byte("{") },
		"too large": func() (string, []byte) { _, handle := begin(); return handle, make([]byte, identity.MaxCredential+1) },
		"too late": func() (string, []byte) {
			options, handle := begin()
			r.Clock.Advance(5 * time.Minute)
			return handle, must(owner.Authenticator.Get(options))
		},
	} {
		t.Run(name, func(t *testing.T) {
			handle, answer := hostile()
			if _, cookie, err := r.FinishSignIn(t.Context(), handle, answer, owner.Client); err == nil || cookie != "" || core.KindOf(err) == core.KindInternal {
				t.Errorf("it was %v", err)
			}
		})
	}
	r.Must(r.SignIn(owner))
	r.Must(r.SignIn(vera))
	refusals := 0
	r.Must(r.Log.Replay(t.Context(), func(rec audit.Record) error {
		if rec.Header.Type == audit.TypeIntent && strings.HasPrefix(rec.Header.Actor, "stranger/") {
			refusals++
		}
		return nil
	}))
	if refusals != 0 {
		t.Errorf("strangers cost %d entries of their own", refusals)
	}
}

// TestRefusalsDoNotFillTheLog: whoever knows a passkey's id costs one entry a
// minute, not one a try.
func TestRefusalsDoNotFillTheLog(t *testing.T) {
	r := identitytest.New(t)
	owner, vera := r.Join(), r.Open(invite(r, "vera"))
	forged := *vera.Authenticator
	k := *forged.Keys[0]
	k.ID, k.Handle, forged.Keys = owner.Authenticator.Keys[0].ID, owner.Authenticator.Keys[0].Handle, []*identitytest.Key{&k}
	r.Drain()
	before := r.Log.Size()
	for range 50 {
		want(t, r.SignIn(&identitytest.User{Authenticator: &forged, Client: identitytest.Browser}), core.KindUnauthenticated)
	}
	if got := entries(r, "session.create"); r.Log.Size() != before+1 || got[len(got)-1] != "refused" {
		t.Errorf("50 tries cost %d entries: %v", r.Log.Size()-before, got)
	}
	r.Clock.Advance(time.Minute)
	want(t, r.SignIn(&identitytest.User{Authenticator: &forged, Client: identitytest.Browser}), core.KindUnauthenticated)
	if r.Drain(); r.Log.Size() != before+2 {
		t.Errorf("a minute later: %d entries", r.Log.Size()-before)
	}
}

// TestAClonedPasskey: a counter that goes back suspends the passkey, over
// restarts too, and is an alarm.
func TestAClonedPasskey(t *testing.T) {
	each(t, func(t *testing.T, r *identitytest.Rig) {
		u := r.Join()
		clone := *u.Authenticator
		for range 3 {
			r.Must(r.SignIn(u))
		}
		r.Drain()
		r.Start()
		thief := &identitytest.User{Authenticator: &clone, Client: u.Client}
		want(t, r.SignIn(thief), core.KindDenied)
		if !slices.Equal(r.Alarms(), []string{identity.AlarmCloned}) {
			t.Errorf("alarms %v", r.Alarms())
		}
		r.Drain()
		r.Start()
		if err := r.SignIn(u); err == nil {
			t.Error("a suspended passkey signs in")
		}
		if v, err := r.Get(t.Context(), identitytest.Owner); err != nil || v.Passkeys[0].State != "cloned" {
			t.Errorf("%+v, %v", v, err)
		}
		again := r.Join() // the socket is the way back
		r.Must(r.SignIn(again))
	})
}

// TestSyncedPasskeysHaveNoCounter and are no clones.
func TestSyncedPasskeysHaveNoCounter(t *testing.T) {
	r := identitytest.New(t)
	l := invite(r, "vera")
	u := &identitytest.User{Authenticator: identitytest.NewAuthenticator(identitytest.Origin), Client: identitytest.Browser}
	u.Authenticator.Synced = true
	options, handle, err := r.BeginRegistration(t.Context(), identitytest.Secret(l), "")
	r.Must(err)
	_, _, err = r.FinishRegistration(t.Context(), handle, must(u.Authenticator.Create(options)), u.Client)
	r.Must(err)
	r.Must(r.SignIn(u))
	r.Must(r.SignIn(u))
}
