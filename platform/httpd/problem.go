package httpd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/interlock-security/interlock/core"
)

// Problem is an RFC 9457 problem document.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Next tells a person what to do.
	Next string `json:"next,omitempty"`
}

var statuses = map[core.Kind]int{
	core.KindInvalid:         http.StatusBadRequest,
	core.KindTooLarge:        http.StatusRequestEntityTooLarge,
	core.KindUnauthenticated: http.StatusUnauthorized,
	core.KindDenied:          http.StatusForbidden,
	core.KindNotFound:        http.StatusNotFound,
	core.KindConflict:        http.StatusConflict,
	core.KindExpired:         http.StatusGone,
	core.KindReplayed:        http.StatusConflict,
	core.KindUnavailable:     http.StatusServiceUnavailable,
	core.KindUncertain:       http.StatusConflict,
	core.KindDamaged:         http.StatusUnprocessableEntity,
	core.KindInternal:        http.StatusInternalServerError,
}

// ProblemOf maps an error to its document. The text of an internal error stays
// inside: it may hold paths and statements.
func ProblemOf(err error) Problem {
	kind := core.KindOf(err)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		kind = core.KindTooLarge
	}
	p := Problem{
		Type:   "https://interlock-security.github.io/problems/" + kind.String(),
		Title:  kind.String(),
		Status: statuses[kind],
		Detail: err.Error(),
		Next:   core.HintOf(err),
	}
	if kind == core.KindInternal {
		p.Detail = "the server failed; its log has the cause"
	}
	return p
}

// WriteError answers with the problem document of err.
func WriteError(w http.ResponseWriter, _ *http.Request, err error) {
	p := ProblemOf(err)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the peer may be gone
}

// WriteJSON answers 200 with v.
func WriteJSON(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return core.Wrap(core.KindInternal, "httpd.WriteJSON", err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(b, '\n'))
	return err
}

// ReadBody reads a whole body of at most limit bytes; one byte more is an error
// of kind too-large, and nothing is parsed before that is known.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, core.E(core.KindTooLarge, "httpd.ReadBody", fmt.Sprintf("body of %s is over %d bytes", r.URL.Path, limit))
	}
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, "httpd.ReadBody", err)
	}
	return b, nil
}

// ErrorOf turns a problem answer back into an error of the same kind, for
// clients of our own.
func ErrorOf(op string, res *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return core.Wrap(core.KindUnavailable, op, err)
	}
	var p Problem
	if json.Unmarshal(body, &p) != nil || p.Title == "" {
		return core.E(core.KindUnavailable, op, fmt.Sprintf("status %d: %.200s", res.StatusCode, body))
	}
	for kind := range statuses {
		if kind.String() == p.Title {
			return core.E(kind, op, p.Detail).WithHint(p.Next)
		}
	}
	return core.E(core.KindInternal, op, p.Detail)
}
