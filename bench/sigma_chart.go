package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/valyala/fastjson"
)

// ruleCounts are the points of the chart.
var ruleCounts = []int{100, 300, 1000, 2000, 3700}

// curve is what an event costs, in microseconds of processor time, by the
// number of rules.
type curve struct {
	name, color string
	cost        []float64
}

// sigmaChart measures what an event costs as rules grow, and draws it.
func sigmaChart(path string, out io.Writer) error {
	windows, err := costs(windowsEvents, out, "windows-2.4k")
	if err != nil {
		return err
	}
	syslog, err := costs(syslogEvents, out, "syslog-0.5k")
	if err != nil {
		return err
	}
	curves := []curve{
		{"Windows events of 2.4 kB", "#1f6feb", windows[1:]},
		{"only parsing them", "#9dbdf0", flat(windows[0])},
		{"syslog events of 0.5 kB", "#b35900", syslog[1:]},
		{"only parsing them", "#e6bf94", flat(syslog[0])},
	}
	return os.WriteFile(path, drawCurves(curves), 0o644)
}

func flat(cost float64) []float64 {
	out := make([]float64, len(ruleCounts))
	for i := range out {
		out[i] = cost
	}
	return out
}

// costs are the medians of several rounds in turn: of parsing alone, then by
// number of rules.
func costs(load func() (*salted, error), out io.Writer, name string) ([]float64, error) {
	events, err := load()
	if err != nil {
		return nil, err
	}
	var parser fastjson.Parser
	ops := []func([]byte) error{func(event []byte) error {
		_, err := parser.ParseBytes(event)
		return err
	}}
	for _, n := range ruleCounts {
		engine, err := sigmaEngine(n)
		if err != nil {
			return nil, err
		}
		ops = append(ops, judged(engine))
	}
	samples := make([][]float64, len(ops))
	for round := range rounds + 3 { // the first ones build programs and learn
		events.salt()
		for i, op := range ops {
			begin := processorTime()
			if err := events.pass(op); err != nil {
				return nil, err
			}
			if round >= 3 {
				samples[i] = append(samples[i], (processorTime()-begin).Seconds()*1e6/float64(len(events.events)))
			}
		}
	}
	medians := make([]float64, len(ops))
	for i, s := range samples {
		medians[i] = median(s)
	}
	_, err = fmt.Fprintf(out, "%s\tparse-only %.2f us\trules %v: %.2f us\n", name, medians[0], ruleCounts, medians[1:])
	return medians, err
}

// The chart's paper, in pixels.
const (
	chartWide, chartHigh = 640, 360
	chartLeft, chartTop  = 56, 24
	plotWide, plotHigh   = 380, 280
)

func drawCurves(curves []curve) []byte {
	top := 1.0
	for _, c := range curves {
		for _, v := range c.cost {
			top = max(top, v*1.1)
		}
	}
	x := func(rules int) float64 { return chartLeft + float64(rules)/4000*plotWide }
	y := func(cost float64) float64 { return chartTop + plotHigh*(1-cost/top) }
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#57606a">`+"\n", chartWide, chartHigh)
	fmt.Fprintf(&b, `<title>Processor time for an event by number of Sigma rules</title><rect width="%d" height="%d" fill="#ffffff"/>`+"\n", chartWide, chartHigh)
	for i := range 5 {
		v := top * float64(i) / 4
		fmt.Fprintf(&b, `<path d="M%d %.1fh%d" stroke="#d0d7de"/><text x="%d" y="%.1f" text-anchor="end">%.1f</text>`+"\n", chartLeft, y(v), plotWide, chartLeft-6, y(v)+4, v)
	}
	for _, n := range ruleCounts {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n", x(n), chartTop+plotHigh+18, n)
	}
	fmt.Fprintf(&b, `<text x="%d" y="14">µs of one processor for an event</text><text x="%d" y="%d" text-anchor="middle">rules</text>`+"\n", chartLeft, chartLeft+plotWide/2, chartTop+plotHigh+38)
	for _, c := range curves {
		c.draw(&b, x, y)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (c curve) draw(b *bytes.Buffer, x func(int) float64, y func(float64) float64) {
	fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, c.color)
	for i, n := range ruleCounts {
		fmt.Fprintf(b, "%.1f,%.1f ", x(n), y(c.cost[i]))
	}
	last := c.cost[len(c.cost)-1]
	fmt.Fprintf(b, `"/><text x="%.1f" y="%.1f" fill="%s">%s: %.1f</text>`+"\n", x(ruleCounts[len(ruleCounts)-1])+8, y(last)+4, c.color, c.name, last)
}
