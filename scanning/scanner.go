package scanning

import (
	"context"
	"io/fs"
)

// Scanner is the slot into which a scanner fits. It is stateless: everything it
// needs comes with the target or with its own configuration, so that two targets
// can be scanned at once.
type Scanner interface {
	// Describe says who it is and what it can scan; it does no work.
	Describe() Description
	// Scan reads the target and fills the report: findings, packages, gaps and
	// counts. An error means that the whole report is worthless; anything less
	// is a gap.
	Scan(ctx context.Context, target Target, report *Report) error
}

// Description is what a scanner declares before it runs.
type Description struct {
	Tool    Tool
	Classes []Class
	// Scopes are the kinds of target it takes.
	Scopes []ScopeKind
	// Needs are what must be there: "git", "network", "advisories". What is
	// missing is a gap of reason missing-tool and not a clean report.
	Needs []string
}

// Target is what is to be scanned.
type Target struct {
	Scope Scope
	// Dir is the absolute path of a folder or a repository, or of the image's
	// tarball; "" where there is none.
	Dir string
	// FS is the tree to read: a folder's, a host's root, an image's layers
	// flattened. Scanners that need no more than a tree read only this.
	FS fs.FS
	// Progress, if set, is called now and then with what is done so far.
	Progress func(done, total int64, what string)
}
