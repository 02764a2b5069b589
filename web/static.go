package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
)

//go:embed static templates
var files embed.FS

// asset is a file that browsers may keep for ever: its name holds its hash.
type asset struct {
	kind string
	body []byte
}

var assetKinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// assets returns the files by the name in their address, and that name by the
// file's own.
var assets = sync.OnceValues(func() (map[string]asset, map[string]string) {
	byName, names := map[string]asset{}, map[string]string{}
	entries, err := files.ReadDir("static")
	if err != nil {
		return byName, names // an embedded folder that exists can be read
	}
	for _, e := range entries {
		body, err := files.ReadFile("static/" + e.Name())
		kind, known := assetKinds[path.Ext(e.Name())]
		if err != nil || !known {
			continue
		}
		sum := sha256.Sum256(body)
		base, ext := strings.TrimSuffix(e.Name(), path.Ext(e.Name())), path.Ext(e.Name())
		hashed := base + "." + hex.EncodeToString(sum[:8]) + ext
		byName[hashed], names[e.Name()] = asset{kind, body}, hashed
	}
	return byName, names
})

// assetPath returns the address of a static file.
func assetPath(name string) string {
	_, names := assets()
	return "/static/" + names[name]
}

func staticRoutes(c *Console) {
	c.mux.HandleFunc("GET /static/{name}", policy.HealthRead, c.static)
}

func (c *Console) static(w http.ResponseWriter, r *http.Request) error {
	byName, _ := assets()
	a, known := byName[r.PathValue("name")]
	if !known {
		return core.E(core.KindNotFound, "web.static", "no such file")
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, err := w.Write(a.body)
	return err
}
