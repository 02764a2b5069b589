package httpd

import (
	"net"
	"net/http"
	"net/http/pprof"
	"slices"

	"github.com/interlock-security/interlock/core"
)

// The management listener's exposure levels (X09).
const (
	ExposureMinimal  = "minimal"  // health only
	ExposureStandard = "standard" // and metrics
	ExposureFull     = "full"     // and profiles
)

// Management serves health, metrics and profiles on a listener of its own.
// Whoever reaches it may read it, so it listens on loopback unless the operator
// says otherwise.
type Management struct {
	Exposure string
	// Health returns the state of each part.
	Health func() map[string]core.Health
	// Metrics serves the OpenMetrics text.
	Metrics http.Handler
}

// Handler returns the routes that the exposure level allows.
func (m Management) Handler() *Mux {
	mux := NewMux(Options{Authenticate: func(*http.Request) (core.Principal, error) {
		return core.Principal{Kind: core.KindStranger, ID: "loopback"}, nil
	}})
	mux.Handle("GET /health", "health.read", http.HandlerFunc(m.health))
	if m.Exposure != ExposureMinimal && m.Metrics != nil {
		mux.Handle("GET /metrics", "metrics.read", m.Metrics)
	}
	if m.Exposure == ExposureFull {
		mux.Handle("GET /debug/pprof/", "debug.read", http.HandlerFunc(pprof.Index))
		mux.Handle("GET /debug/pprof/profile", "debug.read", http.HandlerFunc(pprof.Profile))
		mux.Handle("GET /debug/pprof/trace", "debug.read", http.HandlerFunc(pprof.Trace))
	}
	return mux
}

// health answers 200 only while every part is healthy.
func (m Management) health(w http.ResponseWriter, r *http.Request) {
	parts := m.Health()
	worst := Worst(parts)
	w.Header().Set("Content-Type", "application/json")
	if worst != core.HealthHealthy {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if err := WriteJSON(w, map[string]any{"health": worst, "parts": parts}); err != nil {
		WriteError(w, r, err)
	}
}

// Worst is how all parts are together. A word outside the list is the worst:
// unknown is never healthy.
func Worst(parts map[string]core.Health) core.Health {
	order := []core.Health{core.HealthHealthy, core.HealthStarting, core.HealthDegraded, core.HealthUnhealthy}
	worst := 0
	for _, h := range parts {
		at := slices.Index(order, h)
		if at < 0 {
			at = len(order) - 1
		}
		worst = max(worst, at)
	}
	return order[worst]
}

// LoopbackOnly reports whether address names a loopback interface, so that a
// configuration that exposes the management listener can be refused or warned
// of.
func LoopbackOnly(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
