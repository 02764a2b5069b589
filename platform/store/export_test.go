package store

// For tests in the package's own language.
var (
	Fault = fault
)
