// Package docs holds the promises that the pages make. Reference pages say what
// the code says (write them anew with: go test ./test/docs -update), examples
// run against a real installation, command lines parse with the real grammar,
// links resolve, and one idea has one word.
//
// A fenced block is executed when the line before it is
//
//	<!-- run -->
//	<!-- run NAME ORDER -->
//
// The words after run are placeholders: what the reader fills in by hand, the
// test asks of a shell function of that name. A comment of several lines that
// begins with <!-- run holds shell that no reader sees: it makes what the page
// takes for granted, defines those functions, and checks what came out. All of a
// page is one shell session in an empty home of its own.
package docs
