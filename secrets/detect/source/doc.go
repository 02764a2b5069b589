// Package source reads the places into which secrets leak, and asks a detector of
// each: folders, the history of git repositories, what is staged for a commit,
// archives, streams, and what a running machine is configured with.
//
// It stands on secrets/detect and knows nothing of findings, reports or a server.
// What it reads was made by others, so all of it is bounded: a link never leads out
// of the scope, a pipe never holds it up, a sparse file is read where it has data,
// an archive may unpack to so many bytes and no more, and a repository's own
// configuration runs no program. What is cut off, unreadable or not understood is
// told as a [Gap]; nothing is left out in silence.
//
// Leaks and gaps come in the order of what is read (paths by byte, commits' files by
// path and age) whatever the number of workers, and while it is read: memory does not
// grow with the size of the tree.
package source
