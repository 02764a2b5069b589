// Package hush keeps the event store's libraries quiet in the processes that
// don't use them. The binary holds them all, and one of them prints a line to
// the standard logger while it is initialised, on machines whose control groups
// tell no pressure: each verb would begin with it.
//
// Packages are initialised in the order of their import paths as far as their
// own imports allow. Package first imports os alone and so comes before "log",
// which takes what it finds in os.Stderr for its own. [Restore] gives both their
// stream back; package main calls it first.
package hush

import (
	"log/slog"
	"os"

	"github.com/interlock-security/interlock/platform/events/hush/first"
)

// Restore gives os.Stderr the stream that the process was started with, and the
// standard loggers a default that writes to it.
func Restore() {
	os.Stderr = first.Stderr
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
}
