// Package e2e runs the product as users get it, built without cgo and started
// as processes, and holds what it promises: against real clients, real kernels
// and real signals.
package e2e
