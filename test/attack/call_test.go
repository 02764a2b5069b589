package attack

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/interlock-security/interlock/platform/httpd"
)

// call is a request that the route's handler would take from somebody who may.
type call struct{ id, body string }

// path fills a route's pattern in.
func (c call) path(pattern string) string {
	_, path, _ := strings.Cut(pattern, " ")
	return strings.ReplaceAll(path, "{id}", url.PathEscape(c.id))
}

func method(pattern string) string { m, _, _ := strings.Cut(pattern, " "); return m }

func effect(r httpd.Route) bool { return method(r.Pattern) != http.MethodGet }
