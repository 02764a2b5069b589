// Package link is what a device and its server say to each other, byte for
// byte: trust root, order, approval, batch, result and receipt. Both ends
// import it; it imports neither.
package link
