//go:build !amd64

package scan

// index classifies the bytes of b, whose length is a multiple of 64.
func index(b []byte, masks []mask) { indexGo(b, masks) }
