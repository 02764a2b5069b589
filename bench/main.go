// Command bench prints the product's figures, one tab-separated line each:
// name, value, unit, compared with, ratio, spread. docs/reference/bench.md says
// how to read them.
//
// It is a module of its own so that what we compare ourselves with never
// becomes a dependency of the product.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// Exit codes: a bar that is missed is not a fault of the measurement.
const (
	exitMissed = 1
	exitFailed = 2
)

func main() {
	check := flag.Bool("check", false, "exit with 1 if a ratio misses its bar")
	chart := flag.String("chart", "", "only measure what an event costs as rules grow, and draw it into this SVG file")
	flag.Parse()
	if *chart != "" {
		if err := sigmaChart(*chart, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(exitFailed)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	misses, err := run(ctx, os.Stdout, flag.Arg(0))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(exitFailed)
	}
	failed := false
	for _, m := range misses {
		fmt.Fprintln(os.Stderr, "bench:", m)
		failed = failed || m.ratio
	}
	if *check && failed {
		os.Exit(exitMissed)
	}
}

// run measures what only selects and returns the bars that were missed. All
// files live below BENCH_DIR, or where the system keeps temporary ones.
func run(ctx context.Context, out io.Writer, only string) ([]miss, error) {
	dir, err := os.MkdirTemp(os.Getenv("BENCH_DIR"), "interlock-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	trials, err := choose(figures(), only)
	if err != nil {
		return nil, err
	}
	from, err := machine(dir)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(out, "# %s\n# name\tvalue\tunit\tcompared with\tratio\tspread\n", from); err != nil {
		return nil, err
	}
	var misses []miss
	for i, t := range trials {
		m, err := measure(ctx, out, t, only, filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			return nil, err
		}
		misses = append(misses, m...)
	}
	return misses, nil
}

// figures lists everything that is measured, in the order of printing. A new
// area adds a line here and a file beside it.
func figures() []trial {
	return append([]trial{
		auditAppend64(), auditAppend1(),
		journalSQLite(), journalPostgres(),
		guard1000(),
		batchVerify(),
		detectSSHD(),
	}, append(append(append(correlateTrials(), sigmaTrials()...), advisoryTrial()), secretTrials()...)...)
}

// choose narrows the trials to those with a figure that only selects.
func choose(all []trial, only string) ([]trial, error) {
	var chosen []trial
	for _, t := range all {
		if t.selected(only) {
			chosen = append(chosen, t)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("no figure's name begins with " + only)
	}
	return chosen, nil
}
