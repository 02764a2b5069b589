package web

import "html/template"

// icons are paths in a box of 24 by 24, drawn with the text's colour.
var icons = map[string]string{
	"board":     `<path d="M4 5h7v8H4zM13 5h7v4h-7zM13 11h7v8h-7zM4 15h7v4H4z"/>`,
	"live":      `<path d="M3 12h4l3-8 4 16 3-8h4"/>`,
	"search":    `<circle cx="11" cy="11" r="6.5"/><path d="m16 16 4.5 4.5"/>`,
	"alerts":    `<path d="M12 4 3 19.5h18zM12 10v4.5M12 17.2v.1"/>`,
	"incidents": `<path d="M12 3.5 4.5 6.5v5c0 4.5 3.2 7.8 7.5 9 4.3-1.200 7.500-4.500 7.500-9v-5z"/><path d="M12 8.500v4.500M12 15.800v.1"/>`,
	"approvals": `<path d="M4.500 12.500 9 17 19.500 6.500"/>`,
	"devices":   `<rect x="4" y="4" width="16" height="7" rx="1.500"/><rect x="4" y="13" width="16" height="7" rx="1.500"/><path d="M7.500 7.500h.1M7.500 16.500h.1"/>`,
	"findings":  `<path d="M9 4h6v3H9zM7 5.500H5.500v15h13v-15H17M8.500 12.500l2 2 4-4M8.500 17.500h7"/>`,
	"rules":     `<path d="M4 6h10M4 12h6M4 18h10M17 9.500l2 2 3-3.500M17 17h4.500"/>`,
	"seal":      `<path d="M12 3.500l2.200 1.600 2.700-.2.800 2.600 2.200 1.600-.9 2.600.9 2.600-2.200 1.600-.8 2.600-2.700-.2-2.200 1.600-2.200-1.600-2.700.2-.8-2.600-2.200-1.600.9-2.600-.9-2.600 2.200-1.600.8-2.600 2.700.2z"/><path d="m9 11.200 2.200 2.200 3.800-4"/>`,
	"camera":    `<path d="M4 7.500h3.500L9 5h6l1.500 2.500H20v11.500H4z"/><circle cx="12" cy="13" r="3.500"/>`,
	"audit":     `<path d="M6 3.500h8.500L19 8v12.500H6zM14 3.500V8.500h5M9 13h7M9 16.500h7"/>`,
	"people":    `<circle cx="9" cy="8.500" r="3.500"/><path d="M2.500 20c.5-4 3-6 6.500-6s6 2 6.500 6M16 5.500a3.500 3.500 0 0 1 0 6.500M18 14.500c2 .8 3.200 2.700 3.500 5.500"/>`,
	"stop":      `<path d="M8.300 3h7.400L21 8.300v7.400L15.700 21H8.300L3 15.700V8.300z"/><path d="M8.500 12h7"/>`,
	"key":       `<circle cx="8" cy="15" r="4.500"/><path d="m11.500 11.500 8-8M16 7l3 3"/>`,
	"more":      `<path d="M4 7h16M4 12h16M4 17h16"/>`,
	"right":     `<path d="m9 5 7 7-7 7"/>`,
	"check":     `<path d="M4.500 12.500 9 17 19.500 6.500"/>`,
	"cross":     `<path d="M6 6l12 12M18 6 6 18"/>`,
	"clock":     `<circle cx="12" cy="12" r="8.500"/><path d="M12 7v5l3.500 2"/>`,
	"lock":      `<rect x="5" y="11" width="14" height="9" rx="1.500"/><path d="M8 11V8a4 4 0 0 1 8 0v3"/>`,
	"out":       `<path d="M14 4H5v16h9M10 12h11M17 8l4 4-4 4"/>`,
	"eye":       `<path d="M2.500 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12z"/><circle cx="12" cy="12" r="3"/>`,
	"chip":      `<rect x="7" y="7" width="10" height="10" rx="1"/><path d="M10 3v4M14 3v4M10 17v4M14 17v4M3 10h4M3 14h4M17 10h4M17 14h4"/>`,
	"info":      `<circle cx="12" cy="12" r="8.500"/><path d="M12 11v5M12 8v.1"/>`,
}

// icon draws a sign beside a word; it says nothing of its own.
func icon(name string) template.HTML {
	return template.HTML(`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">` + icons[name] + `</svg>`) //nolint:gosec // from the table above
}
