//go:build unix

package hunt

import "syscall"

// A file that was one when its folder was listed can be a pipe or a link when it
// is opened.
const (
	nonBlock = syscall.O_NONBLOCK
	noFollow = syscall.O_NOFOLLOW
)
