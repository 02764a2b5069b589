package web

import (
	"fmt"
	"html/template"
	"math"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
)

// funcs are what templates call. Each returns text that is safe where it stands.
var funcs = template.FuncMap{
	"plain": plain, "text": plainText, "clip": clip,
	"when": when, "clock": clock, "ago": ago, "age": age, "seconds": seconds,
	"severity": severity, "badge": badge, "tone": toneOf, "label": label,
	"number": number, "unit": unitOf, "riskTone": riskTone, "num": num, "short": short, "plural": plural, "join": strings.Join, "part": PartName, "add": func(a, b int) int { return a + b },
	"asset": assetPath, "icon": icon, "dict": dict, "lines": lines, "entryPath": entryPath, "spark": sparkline, "at": func(of map[core.Severity]int, s string) int { return of[core.Severity(s)] },
}

// templates returns the pages by name: each file of templates that is no layout
// and no partial, with those.
var templates = sync.OnceValue(func() map[string]*template.Template {
	base := template.Must(template.New("layout.html").Funcs(funcs).ParseFS(files, "templates/layout.html", "templates/partial_*.html"))
	pages := map[string]*template.Template{}
	entries, err := files.ReadDir("templates")
	if err != nil {
		return pages // an embedded folder that exists can be read
	}
	for _, e := range entries {
		if e.Name() == "layout.html" || strings.HasPrefix(e.Name(), "partial_") {
			continue
		}
		page := template.Must(template.Must(base.Clone()).ParseFS(files, "templates/"+e.Name()))
		pages[strings.TrimSuffix(e.Name(), path.Ext(e.Name()))] = page
	}
	return pages
})

// when is a moment with its date, exact to the second, which the script shows in
// the reader's own time zone.
func when(t time.Time) template.HTML {
	if t.IsZero() {
		return `<span class="muted">never</span>`
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" data-when>%s</time>`, t.Format("2006-01-02T15:04:05.000Z"), t.Format("2006-01-02 15:04:05 UTC"))) //nolint:gosec // formatted numbers
}

// clock is a moment of a list that is about now: to the millisecond, the day in
// its title.
func clock(t time.Time) template.HTML {
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%[1]s" data-clock>%s</time>`, //nolint:gosec // formatted numbers
		t.Format("2006-01-02T15:04:05.000Z"), t.Format("15:04:05.000")))
}

// ago is a moment as the time since then; the exact one is in its title.
func ago(now, t time.Time) template.HTML {
	if t.IsZero() {
		return `<span class="muted">never</span>`
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s" data-ago>%s</time>`, //nolint:gosec // formatted numbers
		t.Format("2006-01-02T15:04:05.000Z"), t.Format("2006-01-02 15:04:05 UTC"), since(now.Sub(t))))
}

// since is a time that has passed, in words.
func since(d time.Duration) string {
	if d < 0 {
		return "in " + age(-d)
	}
	if d < 5*time.Second {
		return "just now"
	}
	return age(d) + " ago"
}

// age is a span in its largest two units.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// seconds is a measured span: "0.42 s", "3 min".
func seconds(s float64) string {
	if math.IsNaN(s) || s < 0 {
		return "unknown"
	}
	if s < 60 {
		return strconv.FormatFloat(math.Round(s*100)/100, 'f', -1, 64) + " s"
	}
	return age(time.Duration(min(s, 1e9) * float64(time.Second)))
}

// severity is the badge of a severity; what is not on the scale is unknown.
func severity(s core.Severity) template.HTML {
	if s.Rank() < 0 {
		return `<span class="sev sev-unknown">unknown</span>`
	}
	return template.HTML(`<span class="sev sev-` + string(s) + `">` + string(s) + `</span>`) //nolint:gosec // one of five words
}

// tones maps the words of states to how they look. Only what is known to be
// good is green; a word that is not here is unknown.
var tones = map[string]string{
	"healthy": "ok", "online": "ok", "ok": "ok", "active": "ok", "approved": "ok", "done": "ok", "closed": "ok", "reviewed": "ok", "running": "ok", "normal": "ok", "pass": "ok", "verified": "ok", "confirmed": "ok", "executed": "ok", "succeeded": "ok", "armed": "ok", "quorum": "ok", "intact": "ok",
	"alarm": "bad", "offline": "bad", "refused": "bad", "fault": "bad", "unhealthy": "bad", "failed": "bad", "fail": "bad", "revoked": "bad", "lost": "bad", "damaged": "bad", "stop-only": "bad", "tampered": "bad", "rejected": "bad", "stopped": "bad", "quarantined": "bad", "suspended": "bad", "broken": "bad", "missing": "bad", "mismatch": "bad",
	"introduced": "warn", "discovered": "warn", "affected": "bad", "remediating": "warn", "fixed-pending-verification": "warn", "risk-accepted": "warn",
	"stale": "warn", "warning": "warn", "awaiting": "warn", "maintenance": "warn", "signing": "warn", "degraded": "warn", "bypassed": "warn", "waiting": "warn", "pending": "warn", "proposed": "warn", "open": "warn", "new": "warn", "triaged": "warn", "contained": "warn", "eradicating": "warn", "recovering": "warn", "verifying": "warn", "reopened": "warn", "uncertain": "warn", "incomplete": "warn", "requested": "warn", "expired": "warn", "unwitnessed": "warn", "single-operator": "warn", "not-confirmed": "warn",
	"starting": "info", "queued": "info", "superseded": "info", "used": "info", "sent": "info", "delivered": "info", "acknowledged": "info", "acked": "info", "merged": "info", "simulated": "info", "signed": "info", "calm": "info", "disarmed": "warn", "transport": "warn", "overdue": "warn", "removed": "info", "replaced": "info", "skipped": "unknown", "retired": "info", "false-positive": "info", "withdrawn": "info",
}

// toneOf returns "ok", "bad", "warn", "info" or "unknown".
func toneOf(state any) string {
	if tone, known := tones[strings.ToLower(fmt.Sprint(state))]; known {
		return tone
	}
	return "unknown"
}

// badge shows a state with its tone. The word always stands there: colour alone
// says nothing.
func badge(state any) template.HTML {
	text := fmt.Sprint(state)
	if text == "" {
		text = "unknown"
	}
	return template.HTML(`<span class="badge tone-`+toneOf(text)+`">`) + plain(label(text)) + `</span>` //nolint:gosec // plain escapes
}

var partNames = map[string]string{
	"audit": "audit log", "collect": "collectors", "events": "event store", "keys": "keys process", "listener": "agent listener", "state": "database",
}

// PartName is what people call a part of the server.
func PartName(part string) string {
	if name, known := partNames[part]; known {
		return name
	}
	return label(part)
}

// label turns a word of the wire into one for people.
func label(word string) string {
	return strings.NewReplacer("_", " ", "-", " ").Replace(word)
}

// num writes a count with thin spaces between thousands.
func num(v any) string {
	s := fmt.Sprint(v)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// number writes a measured value with four digits that count.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// units are UCUM's that people write in another way.
var units = map[string]string{"Cel": "°C", "[g]": "g", "deg/s": "°/s", "/min": "rpm"}

func unitOf(u string) template.HTML {
	if text, known := units[u]; known {
		u = text
	}
	return plain(u)
}

// short is the part of an identifier that people compare.
func short(v any) string {
	s := fmt.Sprint(v)
	if len(s) <= 12 {
		return s
	}
	return s[:8] + "…" + s[len(s)-4:]
}

// plural is a count with its noun: plural 1 "device" "devices".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return num(n) + " " + many
}

// dict makes the argument of a partial: dict "key" value ….
func dict(pairs ...any) (map[string]any, error) {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, core.E(core.KindInternal, "web.dict", fmt.Sprintf("key %v is no string", pairs[i]))
		}
		m[key] = pairs[i+1]
	}
	return m, nil
}
