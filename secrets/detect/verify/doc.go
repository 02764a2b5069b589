// Package verify says what can be known of a found secret without asking
// anybody: whether its checksum holds, whose account it names, when it expires,
// whether a private key parses and which certificate it belongs to.
//
// It stands below secrets/detect/rules, whose checks are made of it. It reads
// nothing but what it is given and never uses the network; asking the provider
// is the affair of verify/online.
package verify
