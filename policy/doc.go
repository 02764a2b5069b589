// Package policy decides who may do what. It holds the closed list of actions,
// the Cedar policies that grant them, and the [Guard] that stands in front of
// every effect.
//
// Three layers answer a question, the first that says no wins:
//
//  1. Rules in code (rules.go), which no policy file can loosen: an unknown
//     action is denied; nobody acts in another tenant; a person or a token acts
//     only on sites of its own; a device acts only on itself; a program or a
//     token never stops a machine (TRUST F04).
//  2. Cedar policies (default/*.cedar or the site's own): deny by default, a
//     forbid wins, and an error in any policy denies. [Set.Evaluate] is these
//     two layers; it is pure, so the keys process and the device run the same
//     code.
//  3. The caps on containment ([Caps]): how many objects one actor may contain
//     in an hour. They are state, so they stand outside Cedar, in the [Guard].
//
// The order is turned round for one closed list of acts, the stop and a device's
// reflex: they are decided in code alone, before Cedar and without waiting for
// the record, so that neither a broken policy nor a full disk can refuse a stop
// (TRUST F06).
//
// # The three classes of act
//
// A stop is open to any person on the own sites and to a device on itself. What
// contains is open to responders and playbooks, under a cap. What loosens or
// destroys needs a threshold of approvers, which is checked where the effect is
// (by the device, by the keys process): a permit of such an action here means
// that the principal may ask for it, no more.
//
// # When the policies are broken
//
// [Guard.Load] refuses a set that does not parse, naming file, line and column,
// and the last good set stays in force. A server that starts without any good
// set has a Guard with a nil set: stops work, devices report, administrators may
// do what [RepairActions] lists, and nothing else happens.
//
// Names in policies: principals are Person, Device, Service, Token or Stranger
// and stand in Role::"viewer", "operator", "security-officer" or
// "administrator" (each of the last three includes viewer); actions are
// Action::"device.quarantine" and stand in the group of their class,
// Action::"contain"; the resource is an Object::"device/press-7" with the
// attributes type, id, site, self and what the caller states in
// core.Resource.Attrs. Every policy carries @id, which becomes evidence in the
// audit log, and should carry @reason, one sentence for people.
package policy
