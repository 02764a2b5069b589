package web

import (
	"fmt"
	"html/template"
	"strings"
	"time"
)

// bar is a bucket of a histogram. A bucket with Href leads to what is in it.
type bar struct {
	From  time.Time
	Count int
	Href  string
}

// The histogram's box, in units of its own; the style sheet stretches it.
const (
	barsWide, barsHigh = 1000.0, 120.0
	leastBar           = 3.0 // so that one event among thousands is still seen
	layerGap           = 1.5
)

// histogram draws counts over time. It has a title for those who can't see it;
// the page beside it says the same in numbers.
func histogram(title string, bars []bar) template.HTML {
	if len(bars) == 0 {
		return ""
	}
	top := 1
	for _, b := range bars {
		top = max(top, b.Count)
	}
	var s strings.Builder
	fmt.Fprintf(&s, `<svg class="bars" viewBox="0 0 %g %g" preserveAspectRatio="none" role="img"><title>%s</title>`, barsWide, barsHigh, template.HTMLEscapeString(plainText(title)))
	wide := barsWide / float64(len(bars))
	for i, b := range bars {
		writeBar(&s, b, float64(i)*wide, wide, float64(top))
	}
	s.WriteString(`</svg>`)
	return template.HTML(s.String()) //nolint:gosec // numbers, and text that was escaped
}

func writeBar(s *strings.Builder, b bar, x, wide, top float64) {
	if b.Count == 0 {
		return
	}
	high := max(leastBar, barsHigh*float64(b.Count)/top)
	gap := min(2, wide/4)
	rect := fmt.Sprintf(`<rect class="bar" x="%.2f" y="%.2f" width="%.2f" height="%.2f"><title>%s: %d</title></rect>`,
		x+gap/2, barsHigh-high, max(wide-gap, 0.5), high, b.From.UTC().Format("2006-01-02 15:04:05 UTC"), b.Count)
	if b.Href != "" {
		rect = `<a href="` + template.HTMLEscapeString(b.Href) + `">` + rect + `</a>`
	}
	s.WriteString(rect)
}

// layer is one part of a stacked bar: how many, in the style of a class, and
// what they are called.
type layer struct {
	Class, Name string
	Count       int
}

// stack is one bar of a chart of stacked bars; Text is all of it in words.
type stack struct {
	Layers []layer
	Text   string
}

// stacked draws bars of layers, the first layer at the bottom, up to top. A gap
// parts the layers, so that nobody has to tell them by colour, and each bar says
// its numbers to a pointer; the page beside it says them to everybody.
func stacked(title string, stacks []stack, top int) template.HTML {
	if len(stacks) == 0 {
		return ""
	}
	var s strings.Builder
	fmt.Fprintf(&s, `<svg class="bars" viewBox="0 0 %g %g" preserveAspectRatio="none" role="img"><title>%s</title>`, barsWide, barsHigh, template.HTMLEscapeString(plainText(title)))
	fmt.Fprintf(&s, `<path class="rule" d="M0 0H%[1]gM0 %[2]gH%[1]g"/>`, barsWide, barsHigh/2)
	wide := barsWide / float64(len(stacks))
	for i, one := range stacks {
		writeStack(&s, one, float64(i)*wide, wide, float64(max(top, 1)))
	}
	s.WriteString(`</svg>`)
	return template.HTML(s.String()) //nolint:gosec // numbers, words of ours, and text that was escaped
}

func writeStack(s *strings.Builder, one stack, x, wide, top float64) {
	gap := min(4, wide/5)
	fmt.Fprintf(s, `<g><title>%s</title><rect class="bar-room" x="%.2f" y="0" width="%.2f" height="%g"/>`, template.HTMLEscapeString(plainText(one.Text)), x, wide, barsHigh)
	foot := barsHigh
	for _, l := range one.Layers {
		if l.Count <= 0 {
			continue
		}
		high := leastBar + (barsHigh-leastBar*float64(len(one.Layers)))*float64(l.Count)/top // never higher than the box
		foot -= high
		fmt.Fprintf(s, `<rect class="%s" x="%.2f" y="%.2f" width="%.2f" height="%.2f"/>`, l.Class, x+gap/2, foot, wide-gap, max(high-layerGap, 1))
	}
	s.WriteString(`</g>`)
}

// sparkline draws values in a row, oldest first, for the eye only: the number
// stands beside it.
func sparkline(values []int) template.HTML {
	if len(values) < 2 {
		return ""
	}
	top := 1
	for _, v := range values {
		top = max(top, v)
	}
	var line strings.Builder
	for i, v := range values {
		fmt.Fprintf(&line, "%.1f,%.1f ", float64(i)*100/float64(len(values)-1), 23-22*float64(v)/float64(top))
	}
	points := strings.TrimSpace(line.String())
	return template.HTML(`<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true" focusable="false">` + //nolint:gosec // numbers
		`<polygon class="spark-area" points="0,24 ` + points + ` 100,24"/><polyline class="spark-line" points="` + points + `"/></svg>`)
}
