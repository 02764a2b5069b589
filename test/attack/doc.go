// Package attack tries to break the product from where an attacker would stand:
// with a captured server's disk in hand, at every door without the right, and
// with every kind of bad input that its issue names. It runs the real programs,
// started as processes, and looks at what happened on the device, in the
// journal and in the audit log, never at what an answer claims.
package attack
