// Package verify decides whether a certificate is what its holder says. It
// stands under digital/pki, which issues, and is all of it that runs on a
// device; it imports core and the standard library.
//
// Trust comes from pins: SHA-256 hashes of root public keys, out of the
// enrolment string or the trust root. Peers send their whole chain, the root
// included, and [Chain] takes as anchor only a root whose key is pinned and
// which signed itself.
//
// The standard library's verifier builds the chain; it is lenient in what a
// leaf may be, so [Chain] then holds the leaf against an explicit [Profile]:
// one extended key usage and no more, no CA, ECDSA P-256, the names that the
// profile knows and no others.
//
// Time comes in one of two forms. [At] asks whether everything is valid at a
// moment: that is the server. [Since] asks whether there is a moment not before
// a trusted lower bound at which everything is valid: that is a device, whose
// clock a thief sets (TRUST F09). Its answer does not depend on the clock.
//
// [ServerTLS] and [AgentTLS] are the two ends of the agent listener: TLS 1.3
// and nothing older, no session tickets, our verifier in place of the default.
package verify
