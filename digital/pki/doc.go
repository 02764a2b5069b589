// Package pki is the certificate authority: a root that signs intermediates, an
// intermediate that signs leaves, and one entry through which every leaf comes,
// [Authority.Issue]. Protocols (enrolment, ACME, EST) are callers of it and
// have no second way in.
//
// Names come from whoever authorised the certificate, never from the request:
// of a CSR only the public key is taken, after its signature proved possession
// ([PublicKeyOf]).
//
// Private keys lie in the authority's directory, sealed by the vault keyring.
// The root key is read for the moment in which it signs an intermediate. A
// second root key is made at the beginning and never used: its pin is handed
// out with the first, so that a root can be replaced on a fleet that is not
// reachable from one place (the rotation itself is a later part).
//
// Every serial number is in the issuance record before the certificate is
// signed ([Recorder]): a certificate that is not in the record is forged, an
// entry without a certificate is a crash. The package stands on digital/crypt's
// keyring (as [core.Sealer]) and digital/pki/verify, which reads what is issued
// here and runs on devices too.
package pki
