package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
)

// Register adds an operation to the route table: the one way to huma. The mux
// authenticates, asks the Guard at the door where the action's class says so,
// and writes errors as it does for every other route; huma reads the parameters
// and describes the operation.
func Register[I, O any](a *API, action core.Action, op huma.Operation, do func(context.Context, *I) (*O, error)) {
	a.describe(&op, action)
	op.SkipValidateBody = true    // link.DecodeStrict is stricter
	op.MaxBodyBytes = 2 * maxBody // the adapter has held it against maxBody
	op.BodyReadTimeout = -1       // the listener has one
	op.DefaultStatus = http.StatusOK
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		v, err := do(ctx, in)
		if err != nil {
			if c, ours := ctx.Value(callKey{}).(*call); ours {
				c.err = err
			}
			return nil, refused{}
		}
		return v, nil
	})
}

// stream adds a route whose answer is no JSON document: it is described like an
// operation and served by a handler of its own, which gets the query as it was
// checked.
func (a *API) stream(action core.Action, op huma.Operation, serve func(w http.ResponseWriter, r *http.Request, query url.Values) error) {
	a.describe(&op, action)
	a.huma.OpenAPI().AddOperation(&op)
	a.mux.HandleFunc(op.Method+" "+op.Path, action, func(w http.ResponseWriter, r *http.Request) error {
		q, err := strictQuery(r, &op)
		if err != nil {
			return err
		}
		return serve(w, r, q)
	})
}

// describe fills in what is the same for all operations.
func (a *API) describe(op *huma.Operation, action core.Action) {
	op.Metadata = map[string]any{actionKey: action}
	op.Extensions = map[string]any{"x-interlock-action": string(action)}
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	registry := a.huma.OpenAPI().Components.Schemas
	op.Responses["default"] = &huma.Response{
		Description: "A problem (RFC 9457): title is the kind, next says what to do",
		Content: map[string]*huma.MediaType{
			"application/problem+json": {Schema: registry.Schema(reflect.TypeFor[httpd.Problem](), true, "Problem")},
		},
	}
}

const actionKey = "action"

// format is how documents are written and read.
var format = huma.Format{Marshal: marshal, Unmarshal: link.DecodeStrict}

// newHuma returns huma over our mux: one format, no pages and no links of its
// own.
func newHuma(mux *httpd.Mux) huma.API {
	return huma.NewAPI(huma.Config{
		OpenAPI: &huma.OpenAPI{OpenAPI: "3.1.0", Info: &huma.Info{
			Title: "Interlock operator API", Version: "1",
			Description: "What operators do, over the server's unix socket. Every operation has one action, which the policies decide about; it stands in x-interlock-action. " +
				"Bodies are read strictly: an unknown, missing or repeated key is refused.",
		}, Components: &huma.Components{Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName)}},
		// "json" is what huma makes of application/problem+json.
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json", Transformers: []huma.Transformer{transform},
	}, adapter{mux})
}

// schemaName names a type. What a scanner says has the names of what is made of
// it, so it stands apart.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := huma.DefaultSchemaNamer(t, hint)
	if strings.HasSuffix(t.PkgPath(), "/scanning") {
		return "Scanned" + name
	}
	return name
}

// marshal writes what [transform] has encoded.
func marshal(w io.Writer, v any) error {
	b, encoded := v.(json.RawMessage)
	if !encoded {
		return core.E(core.KindInternal, "api", fmt.Sprintf("a %T was not encoded", v))
	}
	_, err := w.Write(append(b, '\n'))
	return err
}

// adapter registers huma's operations on our mux.
type adapter struct{ mux *httpd.Mux }

// ServeHTTP implements [huma.Adapter].
func (a adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// Handle implements [huma.Adapter]. What huma would have answered is held back
// until it is known whether it is an answer: an error goes the mux's way.
func (a adapter) Handle(op *huma.Operation, handle func(huma.Context)) {
	action, _ := op.Metadata[actionKey].(core.Action) // none panics in the mux
	a.mux.HandleFunc(op.Method+" "+op.Path, action, func(w http.ResponseWriter, r *http.Request) error {
		c := &call{op: op, header: http.Header{}, status: http.StatusOK}
		var err error
		if c.query, err = strictQuery(r, op); err != nil {
			return err
		}
		if op.RequestBody != nil {
			if c.body, err = readJSON(w, r); err != nil {
				return err
			}
		}
		c.r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
		handle(c)
		if c.err != nil {
			return c.err
		}
		return c.answer(w)
	})
}

// readJSON reads a body whole, within the limit and before anything is parsed.
func readJSON(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if text := r.Header.Get("Content-Type"); text != "" {
		if t, _, err := mime.ParseMediaType(text); err != nil || t != "application/json" {
			return nil, core.E(core.KindInvalid, "api", "the content type is not application/json")
		}
	}
	body, err := httpd.ReadBody(w, r, maxBody)
	if err == nil && len(body) == 0 {
		err = core.E(core.KindInvalid, "api", "the body is empty")
	}
	return body, err
}

// strictQuery reads the query: each parameter known, at most once, valid text.
// What is no text must not be empty either, so that nothing is taken for its
// default.
func strictQuery(r *http.Request, op *huma.Operation) (url.Values, error) {
	bad := func(format string, args ...any) error {
		return core.E(core.KindInvalid, "api", "query: "+fmt.Sprintf(format, args...))
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, bad("not to be read")
	}
	for name, values := range q {
		at := slices.IndexFunc(op.Parameters, func(p *huma.Param) bool { return p.In == "query" && p.Name == name })
		switch {
		case at < 0:
			return nil, bad("there is no parameter %.40q here", name)
		case len(values) != 1:
			return nil, bad("%s stands there %d times", name, len(values))
		case len(values[0]) > maxQuery:
			return nil, core.E(core.KindTooLarge, "api", fmt.Sprintf("query: %s has %d bytes, at most %d are allowed", name, len(values[0]), maxQuery))
		case !utf8.ValidString(values[0]) || strings.ContainsRune(values[0], 0):
			return nil, bad("%s is no text", name)
		case values[0] == "" && !isText(op.Parameters[at].Schema):
			return nil, bad("%s is empty", name)
		}
	}
	return q, nil
}

func isText(s *huma.Schema) bool { return s != nil && s.Type == huma.TypeString && s.Format == "" }

// transform encodes an answer, and keeps what is wrong for the mux to answer:
// what huma found, and what could not be encoded, which would be a panic later.
func transform(ctx huma.Context, _ string, v any) (any, error) {
	none := json.RawMessage("null")
	c, ours := ctx.(*call)
	if !ours || c.err != nil {
		return none, nil
	}
	if m, wrong := v.(*huma.ErrorModel); wrong {
		c.err = problemOf(m)
		return none, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		c.err = core.Wrap(core.KindInternal, "api", err)
		return none, nil
	}
	return json.RawMessage(b), nil
}

// problemOf is what huma found wrong as an error of ours. What was sent is not
// told back: it may be long, and it may be anything.
func problemOf(m *huma.ErrorModel) error {
	said := make([]string, 0, len(m.Errors))
	for _, e := range m.Errors[:min(len(m.Errors), 5)] {
		if e == nil {
			continue
		}
		said = append(said, strings.TrimPrefix(fmt.Sprintf("%.60s: %.300s", e.Location, e.Message), ": "))
	}
	if len(said) == 0 {
		said = []string{m.Detail}
	}
	kind := core.KindInvalid
	if m.Status >= http.StatusInternalServerError {
		kind = core.KindInternal
	}
	return core.E(kind, "api", strings.Join(said, "; "))
}

// refused ends a call in huma; the error that was meant stands in the call.
type refused struct{}

// Error implements error.
func (refused) Error() string { return "refused" }

// GetStatus implements [huma.StatusError].
func (refused) GetStatus() int { return http.StatusInternalServerError }

type callKey struct{}

// call is one request as huma sees it. It implements [huma.Context].
type call struct {
	op     *huma.Operation
	r      *http.Request
	query  url.Values
	body   []byte
	header http.Header
	status int
	out    bytes.Buffer
	err    error
}

func (c *call) answer(w http.ResponseWriter) error {
	maps.Copy(w.Header(), c.header)
	w.WriteHeader(c.status)
	_, err := w.Write(c.out.Bytes())
	return err
}

func (c *call) Operation() *huma.Operation          { return c.op }
func (c *call) Context() context.Context            { return c.r.Context() }
func (c *call) TLS() *tls.ConnectionState           { return c.r.TLS }
func (c *call) Method() string                      { return c.r.Method }
func (c *call) Host() string                        { return c.r.Host }
func (c *call) RemoteAddr() string                  { return c.r.RemoteAddr }
func (c *call) URL() url.URL                        { return *c.r.URL }
func (c *call) Param(name string) string            { return c.r.PathValue(name) }
func (c *call) Query(name string) string            { return c.query.Get(name) }
func (c *call) Header(string) string                { return "" } // no operation has header parameters; there is one format
func (c *call) EachHeader(func(name, value string)) {}
func (c *call) BodyReader() io.Reader               { return bytes.NewReader(c.body) }
func (c *call) SetReadDeadline(time.Time) error     { return nil } // the body has been read
func (c *call) SetStatus(code int)                  { c.status = code }
func (c *call) Status() int                         { return c.status }
func (c *call) SetHeader(name, value string)        { c.header.Set(name, value) }
func (c *call) AppendHeader(name, value string)     { c.header.Add(name, value) }
func (c *call) BodyWriter() io.Writer               { return &c.out }

func (c *call) Version() huma.ProtoVersion {
	return huma.ProtoVersion{Proto: c.r.Proto, ProtoMajor: c.r.ProtoMajor, ProtoMinor: c.r.ProtoMinor}
}

func (c *call) GetMultipartForm() (*multipart.Form, error) {
	return nil, errors.New("no operation takes a form")
}
