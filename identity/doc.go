// Package identity knows the people: who they are, which roles and sites they
// have, by which passkeys they prove it, which sessions they hold, and what two
// of them agreed on.
//
// The user of a machine's unix socket, named in the configuration, is the root
// of trust. From there a one-time link leads to a passkey, a passkey to a
// session, and a session to a principal that the Guard is asked about:
//
//	uid ─► link (32 random bytes, once) ─► passkey ─► session ─► Principal ─► Guard
//	                                          │
//	                                          └─► confirmation of exactly one act
//
// What is believed of people is a fold over the audit log and stands in memory
// (TRUST F12). The table identity_records is its cache: it makes a change and
// its entry durable in one transaction, and shows who was there where the log
// was lost. A row gives nobody a right. A row that says other than the log is an
// alarm, and puts the person that it is about into stop-only: their sessions may
// request stops and nothing else until somebody has looked ([People.Restore]).
// The log itself is not believed where it grants without a permit: entries come
// to it through a table, the Guard's permits do not.
//
// A passkey of the console proves a person to this server and to nobody else. It
// approves what the server alone enforces, never an order that a device or the
// keys process checks (TRUST F02); for those there is package link.
package identity
