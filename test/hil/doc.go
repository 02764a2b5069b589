// Package hil is the hardware-in-the-loop test: a virtual machine boots Debian's
// kernel with the real agent in it, enrolled with a real server on this host.
// The case is opened by a simulated GPIO chip, chips on a simulated bus feel a
// world that the guest plays, and QEMU's monitor plugs in keyboards, cards and
// memory, swaps disks and pulls the network cable. What server, device and persons
// then do is checked, one line a check.
//
// `make hil` runs it alone. docs/howto/hardware-in-the-loop.md says what is
// real in it, what is not, and what it needs.
package hil
