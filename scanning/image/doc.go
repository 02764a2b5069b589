// Package image reads container images without an engine: an OCI layout (folder
// or tarball) or what docker save wrote, old and new, with layers plain, gzip or
// zstd. An [Image] is a tree that scanners read as any other ([Image.FS]), each
// layer by itself ([Image.Layers]) for what a later one deleted, and its
// configuration.
//
// It fails closed: every blob is held against its digest and every layer against
// what the configuration says it expands to, before anything in it is believed.
// Nothing is unpacked: layers are expanded into nameless temporary files and read
// by offset, so no path in an image ever reaches the file system. What an archive
// holds besides the image that is read (other platforms, other images) and what
// in it cannot be read is told by [Image.Gaps].
package image
