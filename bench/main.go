// Command bench prints the product's figures, one tab-separated line each:
// name, value, unit, compared with, ratio, spread over the rounds.
//
// It is a module of its own so that what we compare ourselves with never
// becomes a dependency of the product.
package main

import (
	"fmt"
	"os"
)

func main() {
	only := ""
	if len(os.Args) > 1 {
		only = os.Args[1]
	}
	if err := run(only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
}

func run(only string) error {
	dir, err := os.MkdirTemp(os.Getenv("BENCH_DIR"), "interlock-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	fmt.Println("# name\tvalue\tunit\tcompared with\tratio\tspread")
	for _, f := range figures(dir) {
		if !selected(only, f.name) {
			continue
		}
		if err := measure(os.Stdout, f); err != nil {
			return err
		}
	}
	return nil
}
