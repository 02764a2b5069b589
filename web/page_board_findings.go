package web

import (
	"context"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

// inspection is what the board says of findings.
type inspection struct {
	// Allowed says that the person may see them, Known that the database
	// answered, Scanned that a scan ever reported.
	Allowed, Known, Scanned bool
	Stats                   lifecycle.Stats
	First                   []lifecycle.Finding // what to fix first
	Base                    database
	Trend                   string
	Spark                   template.HTML
}

const (
	// inspectionLife is how old the figures of findings may be: they are counted
	// from many rows, and change with scans.
	inspectionLife = 5 * time.Second
	// firstShown is how many findings the board names.
	firstShown = 3
	// trendDays is what the trend looks back on.
	trendDays = 7
)

// inspectionNow returns the figures of findings for the one who asks. What the
// database does not answer is not known; the rest of the board stands.
func (c *Console) inspectionNow(ctx context.Context) inspection {
	if c.permitted(ctx, policy.FindingRead, "*") != nil || c.API.Parts.Findings == nil {
		return inspection{}
	}
	ctx, cancel := context.WithTimeout(ctx, boardPatience)
	defer cancel()
	select {
	case c.boards.one <- struct{}{}:
		defer func() { <-c.boards.one }()
	case <-ctx.Done():
		return inspection{Allowed: true}
	}
	tenant := httpd.PrincipalOf(ctx).Tenant
	if age := c.Clock.Now().Sub(c.boards.inspected); c.boards.inspectedOf == tenant && age >= 0 && age <= inspectionLife {
		return c.boards.inspection
	}
	v, err := c.inspect(ctx)
	if err != nil {
		return inspection{Allowed: true}
	}
	if v.Scanned { // the first scan is seen at once
		c.boards.inspection, c.boards.inspected, c.boards.inspectedOf = v, c.Clock.Now(), tenant
	}
	return v
}

func (c *Console) inspect(ctx context.Context) (inspection, error) {
	v := inspection{Allowed: true, Known: true}
	stats, err := c.API.FindingStats(ctx, &api.FindingStatsInput{Days: burnDays})
	if err != nil {
		return v, err
	}
	list, err := c.API.Findings(ctx, &api.FindingsInput{Limit: firstShown})
	if err != nil {
		return v, err
	}
	v.Stats, v.First, v.Scanned = stats.Body, list.Body.Items, len(stats.Body.States) > 0
	if c.API.Advisories != nil {
		v.Base = databaseOf(c.API.Advisories.Lists(), c.Clock.Now())
	}
	if !v.Scanned { // nothing found, or nobody looked?
		fresh, err := c.API.Freshness(ctx, &api.None{})
		if err != nil {
			return v, err
		}
		v.Scanned = len(fresh.Body.Scans) > 0 || fresh.Body.Inventories > 0
	}
	v.Trend, v.Spark = trend(v.Stats.Days)
	return v, nil
}

// trend says how the number of open findings went, in words and for the eye.
func trend(days []lifecycle.Day) (string, template.HTML) {
	values := make([]int, 0, len(days))
	for _, d := range days {
		values = append(values, total(d.Open))
	}
	if len(values) <= trendDays {
		return "", ""
	}
	now, before := values[len(values)-1], values[len(values)-1-trendDays]
	then := fmt.Sprintf("%d days ago", trendDays)
	switch {
	case now > before:
		return num(now-before) + " more than " + then, sparkline(values)
	case now < before:
		return num(before-now) + " fewer than " + then, sparkline(values)
	}
	return "as many as " + then, sparkline(values)
}

// Open is how many want something of somebody.
func (v inspection) Open() int { return total(v.Stats.Open) }

// Levels counts the open ones by severity, the worst first.
func (v inspection) Levels() (list []severityCount) {
	for i := len(core.Severities) - 1; i >= 0; i-- {
		s := core.Severities[i]
		list = append(list, severityCount{s, v.Stats.Open[s], v.Known})
	}
	return list
}

// findingsFigure is green only where something was scanned.
func findingsFigure(v inspection) figure {
	f := figure{Name: "findings", Label: "Open findings", Icon: "findings", Href: "/findings", Value: "—", Tone: "unknown", Note: "not known just now"}
	switch {
	case !v.Known:
		return f
	case !v.Scanned:
		f.Note = "nothing was scanned yet"
		return f
	}
	f.Value, f.Tone, f.Note = num(v.Open()), "ok", "of what was scanned"
	if v.Open() == 0 {
		return f
	}
	f.Tone = "warn"
	if v.Stats.Overdue+v.Stats.Exploited+v.Stats.Open[core.SeverityCritical] > 0 {
		f.Tone = "bad"
	}
	f.Note = worstOf(v.Stats)
	if v.Stats.Overdue > 0 {
		f.Href = "/findings?which=overdue"
	}
	return f
}

// worstOf names what of the open ones is worst.
func worstOf(st lifecycle.Stats) string {
	var said []string
	for _, one := range []struct {
		n    int
		what string
	}{{st.Overdue, "past their day"}, {st.Exploited, "exploited"}, {st.Open[core.SeverityCritical], "critical"}, {st.Open[core.SeverityHigh], "high"}} {
		if one.n > 0 && len(said) < 3 {
			said = append(said, num(one.n)+" "+one.what)
		}
	}
	if len(said) == 0 {
		return "none is high or critical"
	}
	return strings.Join(said, ", ")
}
