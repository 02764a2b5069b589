// Package link is what a device and its server say to each other, byte for
// byte: trust root, order, approval, batch, result and receipt. Both ends
// import it; it imports neither, and of the house only core.
//
// Everything signed travels in an [Envelope]: the exact payload bytes and SSHSIG
// signatures over them, each made in one of four namespaces. A verifier works
// on the bytes as received, then decodes them with [DecodeStrict]; nothing is
// ever encoded again to be checked. So there is one reading of what a person
// signed, and a signature made for one purpose says nothing in another.
//
//	who signs          namespace              what
//	people             NamespaceApproval      orders, with `interlock approve`
//	recovery keys      NamespaceRoot          trust roots, with `interlock root sign`
//	command, stop key  NamespaceOrder         orders that tighten, contain; that stop
//	device             NamespaceBatch         batches and results
//
// A [Trust] is a verified trust root and the only judge here. A device asks it
// two things: may this root follow you ([Trust.Succeed]), and may I carry out
// this order ([Trust.CheckOrder]). Which way an order goes stands in the
// direction table of this package and not in the order. TRUST.md's rules F01 to
// F03, F07, F18, F22 and F23 are the ones proved in the tests.
//
// The bytes are decided for good: testdata holds them. A change of a format is
// a new version number beside the old one.
package link
