// Package keys is the keys process: the only holder of the CA's and the
// order-signing private keys (TRUST F11). serve starts it ([Supervise]) over an
// inherited socketpair and asks it, through a [Client], to sign an order or to
// issue a certificate. No request exports a private key and none signs bytes
// that keys did not read itself.
//
// A captured serve is what this process is built against. Each request with an
// effect carries a [Warrant]: who wants what, and the audit intent that was made
// durable for it, with its inclusion proof. keys evaluates its own copy of the
// policy, verifies the proof under the log key that it adopted on the first
// run, holds the intent's clear header against the request, and takes each
// intent for one act (the same order, byte for byte, may be asked for again:
// serve may have died with the answer). Orders it decodes strictly and signs only if their direction is
// tighten or contain, within caps of its own; loosening and destroying are
// signed by people, stops by serve's stop key.
//
// What it owns lies in one directory, 0700:
//
//	host.kek host.keyring    opens at boot; seals the order key
//	vault.kek vault.keyring  the seal; holds the CA. Without vault.kek the
//	                         passphrase is asked for (Unseal); till then
//	                         certificates are refused and orders are signed
//	order.key                the order-signing key, sealed
//	ca/                      the authority (digital/pki)
//	root.sealed              the adopted trust root
//	ledger/                  intents used, orders signed, certificates issued
//
// What this cannot do: who the principal is and what roles it holds is serve's
// word, and serve holds the log key, so a captured serve can have orders signed
// that tighten or contain, as fast as the caps allow and each of them in the
// log. It cannot have anything loosened.
//
// The protocol is ours: a length, then strict JSON, one answer for each request
// (wire.go). The package imports no parser of outside formats beside
// crypto/x509, no HTTP, no store. The process is not dumpable, makes no core,
// locks its memory where it may and ends with its parent ([Main]).
package keys
