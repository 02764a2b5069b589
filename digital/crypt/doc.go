// Package crypt is the one place where values are encrypted at rest. It stands
// on the standard library's AES-GCM alone; every folder that keeps a secret,
// a key or personal data seals it here, most of them through [core.Sealer].
//
// A [Keyring] holds versioned keys. [Keyring.Seal] takes a fresh data key for
// each value, wraps it under the active key and binds the caller's context
// string, so a value moved to another row does not open there. [Keyring.Rotate]
// makes a new active key and keeps the old ones for reading;
// [Keyring.Rewrap] moves a value to the active key without touching its
// ciphertext.
//
// There are two keyrings (TRUST F13). The host keyring ([OpenHost]) opens
// unattended: audit, journal, state and link hang from it. The vault keyring
// ([OpenVault]) stands behind a seal and holds the CA and secrets. Each is one
// file, wrapped as a whole by a [KEK]: a key file ([FileKEK]) or a passphrase
// ([PassphraseKEK]).
//
// What is not promised: an older copy of the keyring file put back in place is
// not noticed here, and key bytes live in the process's memory while it runs.
package crypt
