package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
)

// signIn tells where the console is: with a link while the owner has no passkey
// yet. The link comes over the socket as every link does, whose root is the user
// there.
func signIn(ctx context.Context, e *env, s *app.Server, owner core.PersonID) (string, error) {
	address := s.Config.Listen.ConsoleURL()
	if address == "" {
		return "", nil
	}
	p, err := s.People.Get(ctx, owner)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(p.Passkeys, func(k identity.Passkey) bool { return k.State == "active" }) {
		return address + " (another link: interlock people link)", nil
	}
	var l api.SignInLink
	if err := e.client().Post(ctx, "/v1/people/link", struct{}{}, &l); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s\n  Opens the console and makes your passkey; good once, until %s", l.URL, l.Expires.Local().Format("15:04")), nil
}

// tellConsole says where to sign in; that it can't be said ends nothing.
func (c *upCmd) tellConsole(ctx context.Context, e *env, s *app.Server, line func(string, ...any)) {
	who, err := s.Owner(os.Getuid())
	var text string
	if err == nil {
		var owner core.PersonID
		if owner, err = core.ParseID[core.PersonID](who.ID); err == nil {
			text, err = signIn(ctx, e, s, owner)
		}
	}
	switch {
	case err != nil:
		line("\nThe console has no sign-in link for you: %v", err)
	case text != "":
		line("\nSign in:\n  %s", text)
	}
}
