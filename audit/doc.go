// Package audit is the tamper-evident log: what somebody may do and why, before
// it happens (intents), what happened (facts), who may do what (authority), and
// the receipts of devices. It stands on platform/wal and below everything that
// has an effect worth proving.
//
// [Log.Append] returns after the entry, the RFC 6962 tree over all entries and a
// checkpoint signed over that tree are on disk in one frame. Tiles, proofs and
// searches are made when asked for, off that path. The formats are C2SP's, byte
// for byte (tlog-checkpoint, tlog-tiles, tlog-proof, signed notes), so public
// tools verify the log without us.
//
// # Leaf, version 1
//
// A leaf is one line of JSON, exactly as below and nowhere else a blank, then a
// newline, then ciphertext:
//
//	{"v":1,"type":"authority","time":1700000000000000,"actor":"person/~<32 hex>",
//	"action":"device.quarantine","object":"device/press-7","revision":3,
//	"outcome":"permitted","class":"security","key":"<32 hex>",
//	"intent":"<origin>#12","outbox":0,"salt":"<32 hex>","mac":"<64 hex>"}
//
// The line holds no personal data: persons stand under the id of their subject
// key, other names that are not technical as an HMAC. The ciphertext is
// AES-256-GCM (nonce: the first 12 bytes of salt; associated data: the line with
// its newline) under a key derived from the subject key named by "key". mac is
// HMAC-SHA256 over salt and plaintext under another key derived from it: it
// commits to the content and tells nothing to who has no key. Destroying the
// subject key ([Log.Erase]) leaves every proof valid and the content gone.
//
// # Damage
//
// What fails its proof is never repaired and never cut. The log that is damaged,
// or smaller than or different from what is known elsewhere, stays as it is;
// what must be recorded goes into a log of its own after it, and only entries
// marked [Entry.Vital] are taken ([ModeStopOnly]). A succession, signed by the
// persons of the root role, ends that: a new origin whose first entry names
// origin, size and root of all that was before.
//
// # What it cannot do
//
// A signer who holds the key can write a lie. A folder put back whole to
// yesterday's state, with everything that remembers more, looks whole: sizes
// known to devices and witnesses ([Config.Known]) are what tells.
package audit
