// Package publicproof holds the test that a proof of ours needs nothing of ours
// to be verified: it imports public modules only.
package publicproof
