package crypt

import (
	"fmt"
	"slices"

	"github.com/interlock-security/interlock/core"
)

// KeyState is where a key stands in its life (NIST SP 800-57 part 1). What a
// state allows here:
//
//	pre-active   nothing yet
//	active       seal and open; a keyring has one
//	suspended    nothing, until a person says how it goes on
//	deactivated  open
//	compromised  only Rewrap, to move values away from it
//	destroyed    nothing; the bytes are gone, the record stays
type KeyState string

// The key states.
const (
	PreActive   KeyState = "pre-active"
	Active      KeyState = "active"
	Suspended   KeyState = "suspended"
	Deactivated KeyState = "deactivated"
	Compromised KeyState = "compromised"
	Destroyed   KeyState = "destroyed"
)

// KeyStates lists them; the position of a state is its byte in the keyring file.
var KeyStates = []KeyState{PreActive, Active, Suspended, Deactivated, Compromised, Destroyed}

// moves is the whole table: what is not in it is refused. Active is reached by
// Rotate alone, or again from suspended, so that there is never a second one.
var moves = map[KeyState][]KeyState{
	PreActive:   {Compromised, Destroyed},
	Active:      {Suspended, Compromised},
	Suspended:   {Active, Deactivated, Compromised},
	Deactivated: {Compromised, Destroyed},
	Compromised: {Destroyed},
}

func (s KeyState) mayBecome(next KeyState) bool { return slices.Contains(moves[s], next) }

func (s KeyState) opens() bool { return s == Active || s == Deactivated }

func (s KeyState) rewraps() bool { return s.opens() || s == Compromised }

func refuseState(op string, id KeyID, s KeyState) error {
	e := core.E(core.KindDenied, op, fmt.Sprintf("key %s is %s", id, s))
	switch s {
	case Suspended:
		return e.WithHint("a suspended key opens again when it is set active or deactivated")
	case Compromised:
		return e.WithHint("values of a compromised key can only be rewrapped to the active key")
	}
	return e
}
