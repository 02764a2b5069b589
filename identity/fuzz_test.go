package identity_test

import (
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity/identitytest"
)

// FuzzAnswers: whatever a browser sends as an authenticator's answer, nobody is
// signed in by it, and the server says so in words of its own.
func FuzzAnswers(f *testing.F) {
	r := identitytest.New(f)
	owner := r.Join()
	options, _, err := r.BeginSignIn(f.Context())
	r.Must(err)
	answer, err := owner.Authenticator.Get(options)
	r.Must(err)
	created, err := identitytest.NewAuthenticator(identitytest.Origin).Create(options)
	r.Must(err)
	f.Add(answer)
	f.Add(created)
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{}}`))
	link := invite(r, "vera")
	f.Fuzz(func(t *testing.T, b []byte) {
		_, signIn, err := r.BeginSignIn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, cookie, err := r.FinishSignIn(t.Context(), signIn, b, identitytest.Browser); err == nil || cookie != "" || core.KindOf(err) == core.KindInternal {
			t.Errorf("%q: %v", b, err)
		}
		_, register, err := r.BeginRegistration(t.Context(), identitytest.Secret(link), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, cookie, err := r.FinishRegistration(t.Context(), register, b, identitytest.Browser); err == nil || cookie != "" || core.KindOf(err) == core.KindInternal {
			t.Errorf("%q: %v", b, err)
		}
	})
}
