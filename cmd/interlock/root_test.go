package main

import (
	"crypto/ed25519"
	"encoding"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// TestNoChangeOfARootIsHidden changes each field of a trust root, one at a time,
// and wants the person who signs to be told. A field that is added to the
// document fails here until it is shown.
func TestNoChangeOfARootIsHidden(t *testing.T) {
	count := len(leaves(reflect.ValueOf(fullRoot(t)).Elem(), ""))
	if count < 24 {
		t.Errorf("only %d fields", count)
	}
	for i := range count {
		changed := fullRoot(t)
		leaf := leaves(reflect.ValueOf(changed).Elem(), "")[i]
		leaf.alter(t)
		if got := changes(fullRoot(t), changed); len(got) == 0 {
			t.Errorf("a change of %s is not shown", leaf.path)
		}
	}
	if got := changes(fullRoot(t), fullRoot(t)); len(got) > 0 {
		t.Errorf("the same root twice: %v", got)
	}
}

// leaf is a field that holds no other.
type leaf struct {
	path  string
	value reflect.Value
}

func leaves(v reflect.Value, path string) (list []leaf) {
	switch {
	case v.Kind() == reflect.Struct && v.Type().PkgPath() == reflect.TypeFor[link.Root]().PkgPath():
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "V" { // the decoder takes one value only
				list = append(list, leaves(v.Field(i), path+"."+name)...)
			}
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			list = append(list, leaves(v.Index(i), fmt.Sprintf("%s.%d", path, i))...)
		}
	default:
		list = append(list, leaf{path, v})
	}
	return list
}

func (l leaf) alter(t *testing.T) {
	t.Helper()
	switch {
	case l.value.Kind() == reflect.String:
		l.value.SetString(l.value.String() + "x")
	case l.value.CanInt():
		l.value.SetInt(l.value.Int() + 1)
	case l.value.CanUint():
		l.value.SetUint(l.value.Uint() + 1)
	default:
		id, ok := l.value.Addr().Interface().(encoding.TextUnmarshaler)
		if !ok {
			t.Fatalf("%s: how is a %s changed?", l.path, l.value.Type())
		}
		if err := id.UnmarshalText([]byte("other")); err != nil {
			t.Fatal(err)
		}
	}
}

func testAuthorized(t *testing.T, name string) string {
	t.Helper()
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(testSeed(name)).Public())
	if err != nil {
		t.Fatal(err)
	}
	return link.AuthorizedKey(key)
}

func fullRoot(t *testing.T) *link.Root {
	id := core.MustID[core.PersonID]
	return &link.Root{
		V: 1, Installation: "test", Tenant: core.MustID[core.TenantID]("main"), Version: 3, Mode: link.ModeQuorum, Issued: 1e15, ReviewBy: 2e15,
		Persons:    []link.Person{{ID: id("anna"), Name: "Anna", Keys: []string{testAuthorized(t, "a")}}},
		Roles:      []link.Role{{Name: link.RoleRoot, Threshold: 2, Members: []core.PersonID{id("anna")}, KeyIDs: []string{"SHA256:x"}, KeysThreshold: 2}},
		CommandKey: testAuthorized(t, "c"), StopKey: testAuthorized(t, "s"), LogKey: "vkey", LogOrigin: "origin", Witness: "witness a\n",
		CAPins: []string{"aa"}, Servers: []string{"a:1"}, MinAgent: "1.0.0", ReleaseDelay: 600, RecoveryDelay: 7200,
	}
}

func TestKnownSinceCountsFromTheFirstSight(t *testing.T) {
	dir, hash := t.TempDir(), strings.Repeat("ab", 32)
	if waited, err := knownSince(dir, hash); err != nil || waited != 0 {
		t.Fatalf("%s, %v", waited, err)
	}
	before := time.Now().Add(-80 * time.Hour)
	if err := os.Chtimes(waitingFile(dir, hash), before, before); err != nil {
		t.Fatal(err)
	}
	if waited, err := knownSince(dir, hash); err != nil || waited < 80*time.Hour || waited > 81*time.Hour {
		t.Errorf("%s, %v", waited, err)
	}
	if waited, err := knownSince(dir, strings.Repeat("cd", 32)); err != nil || waited != 0 {
		t.Errorf("another root: %s, %v", waited, err)
	}
}
