package keys

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// A frame is four bytes of length, big endian, and that many bytes of JSON.
// The length is judged before a byte of the rest is read.
const maxFrame = 512 << 10

// op is what is asked for. The list is closed.
type op string

const (
	opStatus          op = "status"
	opPublicInfo      op = "public_info"
	opAdoptRoot       op = "adopt_root"
	opUnseal          op = "unseal"
	opSetPassphrase   op = "set_passphrase"
	opSignOrder       op = "sign_order"
	opIssueManagement op = "issue_management"
	opIssueWorkload   op = "issue_workload"
	opIssueServer     op = "issue_server"
)

type request struct {
	V    int             `json:"v"` // 1
	ID   uint64          `json:"id"`
	Op   op              `json:"op"`
	Body json.RawMessage `json:"body"`
}

type response struct {
	V     int             `json:"v"` // 1
	ID    uint64          `json:"id"`
	Error *wireError      `json:"error,omitempty"`
	Body  json.RawMessage `json:"body"`
}

type wireError struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// empty is the body of a request or answer that says nothing.
type empty struct{}

// wireWarrant is Warrant on the wire. Attributes are told apart by their JSON
// type: string, bool, integer.
type wireWarrant struct {
	Principal core.Principal             `json:"principal"`
	Action    core.Action                `json:"action"`
	Type      string                     `json:"type"`
	ID        string                     `json:"id"`
	Tenant    core.TenantID              `json:"tenant"`
	Site      core.SiteID                `json:"site"`
	Attrs     map[string]json.RawMessage `json:"attrs"`
	Params    string                     `json:"params"`
	Leaf      []byte                     `json:"leaf"`
	Proof     []byte                     `json:"proof"`
}

type wireOrder struct {
	Warrant wireWarrant `json:"warrant"`
	Payload []byte      `json:"payload"`
}

type wireIssue struct {
	Warrant  wireWarrant    `json:"warrant"`
	Tenant   core.TenantID  `json:"tenant"`
	Device   core.DeviceID  `json:"device"`
	Workload core.ServiceID `json:"workload"`
	Hosts    []string       `json:"hosts"`
	CSR      []byte         `json:"csr"`
}

type wireRoot struct {
	Envelope []byte `json:"envelope"`
	Proof    []byte `json:"proof"`
}

type wirePassphrase struct {
	Passphrase []byte `json:"passphrase"`
}

type wireSignature struct {
	Signature link.Signature `json:"signature"`
}

type wireChain struct {
	Chain []byte `json:"chain"`
}

func (w Warrant) wire() (wireWarrant, error) {
	out := wireWarrant{
		Principal: w.Principal, Action: w.Action, Type: w.Resource.Type, ID: w.Resource.ID, Tenant: w.Resource.Tenant,
		Site: w.Resource.Site, Params: w.Resource.Params, Attrs: map[string]json.RawMessage{}, Leaf: w.Leaf, Proof: w.Proof,
	}
	for name, v := range w.Resource.Attrs {
		switch v.(type) {
		case string, bool, int64:
		default:
			return out, core.E(core.KindInvalid, "keys.Warrant", fmt.Sprintf("attribute %q is a %T; string, bool and int64 can be sent", name, v))
		}
		b, err := json.Marshal(v)
		if err != nil {
			return out, core.Wrap(core.KindInvalid, "keys.Warrant", err)
		}
		out.Attrs[name] = b
	}
	return out, nil
}

func (w wireWarrant) warrant() (Warrant, error) {
	out := Warrant{
		Principal: w.Principal, Action: w.Action, Leaf: w.Leaf, Proof: w.Proof,
		Resource: core.Resource{Type: w.Type, ID: w.ID, Tenant: w.Tenant, Site: w.Site, Params: w.Params},
	}
	if len(w.Attrs) > 0 {
		out.Resource.Attrs = make(map[string]any, len(w.Attrs))
	}
	for name, raw := range w.Attrs {
		v, err := attribute(raw)
		if err != nil {
			return out, fmt.Errorf("attribute %q: %w", name, err)
		}
		out.Resource.Attrs[name] = v
	}
	return out, nil
}

func attribute(raw json.RawMessage) (any, error) {
	var (
		s string
		b bool
		n int64
	)
	switch {
	case link.DecodeStrict(raw, &s) == nil:
		return s, nil
	case link.DecodeStrict(raw, &b) == nil:
		return b, nil
	case link.DecodeStrict(raw, &n) == nil:
		return n, nil
	}
	return nil, core.E(core.KindInvalid, "keys.attribute", "neither text, truth value nor integer")
}

// readFrame returns io.EOF where the other side closed between two frames.
func readFrame(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxFrame {
		return nil, core.E(core.KindTooLarge, "keys.readFrame", fmt.Sprintf("a frame of %d bytes; 1 to %d are allowed", n, maxFrame))
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("keys.readFrame: %w", errors.Join(io.ErrUnexpectedEOF, err))
	}
	return b, nil
}

// writeFrame encodes v and writes it in one piece.
func writeFrame(w io.Writer, v any) error {
	b, err := link.Encode(v)
	if err != nil {
		return err
	}
	defer clear(b) // a passphrase may be in it
	if len(b) > maxFrame || len(b) > math.MaxInt32 {
		return core.E(core.KindTooLarge, "keys.writeFrame", fmt.Sprintf("a frame of %d bytes; at most %d are allowed", len(b), maxFrame))
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)), uint32(len(b)))
	frame = append(frame, b...)
	defer clear(frame)
	_, err = w.Write(frame)
	return err
}

// toWire keeps of an error what its reader can use.
func toWire(err error) *wireError {
	return &wireError{Kind: core.KindOf(err).String(), Message: err.Error(), Hint: core.HintOf(err)}
}

func (e *wireError) err() error {
	kind := core.KindInternal
	for k := core.KindInternal; k <= core.KindDamaged; k++ {
		if k.String() == e.Kind {
			kind = k
		}
	}
	return core.E(kind, "keys", e.Message).WithHint(e.Hint)
}
