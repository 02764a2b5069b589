// Package provenance says whether an artifact is what its maker signed, and
// whether it was built where and from what it should be. It needs no network:
// keys, identities and Sigstore's trusted root are the operator's.
//
//	result, err := provenance.Verify(ctx, provenance.Artifact{
//		Name: "shop.tar.gz", Open: func() (io.ReadCloser, error) { return os.Open(path) },
//		Evidence: []provenance.Evidence{{Name: "shop.tar.gz.sigstore.json", Data: bundle}},
//	}, policy)
//
// # What is understood
//
// minisign signatures (prehashed and legacy; the trusted comment is checked),
// Sigstore bundles (signatures and attestations), DSSE envelopes signed with
// given keys, in-toto statements, and in them SLSA provenance v0.2 and v1.
//
// # What counts
//
// A result has three states, and the first is what it is until shown otherwise:
// not verified (no signature, no key for it, an unknown predicate), failed
// (something is wrong: other bytes, another identity, another builder) and
// verified. One failed check fails the artifact, whatever else is right. A policy
// that names no key and no identity verifies nothing. There is no "any identity":
// a Sigstore signature counts only with an exact issuer and a name that the
// policy demands, with proof that it is in a transparency log.
//
// An error means that nothing could be checked: the artifact can't be read, the
// policy is malformed. The state is then not verified, too.
package provenance
