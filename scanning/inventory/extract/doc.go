// Package extract is what an extractor of packages is made of: it says which
// files it wants, is given one of them with a bound on everything, and tells a
// [Sink] what stands in it. One small package per ecosystem stands beside this
// one; scanning/inventory walks a tree and asks them.
//
// It promises the extractors that no read leaves the scope, that a file is read
// whole only up to its limit, and that a name that could harm a reader never
// gets through. It asks of them that whatever they cannot read is a fault with
// its line, never silence.
package extract
