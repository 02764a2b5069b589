//go:build !amd64

package scan

func ways() []func([]byte, []mask) { return []func([]byte, []mask){index, indexGo} }
