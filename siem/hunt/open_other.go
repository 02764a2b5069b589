//go:build !unix

package hunt

const (
	nonBlock = 0
	noFollow = 0
)
