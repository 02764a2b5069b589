package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// DefaultTimeout bounds a request whose context has no deadline of its own.
const DefaultTimeout = 10 * time.Second

// Client asks the keys process. While that is down every call is an error of
// kind unavailable; the rest of the server goes on. Safe for concurrent use.
type Client struct {
	mu      sync.Mutex
	current *session
}

// NewClient returns a client on one connection, which it owns.
func NewClient(conn net.Conn) *Client {
	c := new(Client)
	c.use(newSession(conn))
	return c
}

// use makes s the session of later calls; nil means that there is none.
func (c *Client) use(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil {
		c.current.end(errDown())
	}
	c.current = s
}

// Close ends the connection, and with it the process at the other end.
func (c *Client) Close() { c.use(nil) }

// Status asks how the process is.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, c, opStatus, empty{})
}

// PublicInfo asks for the public keys.
func (c *Client) PublicInfo(ctx context.Context) (PublicInfo, error) {
	return call[PublicInfo](ctx, c, opPublicInfo, empty{})
}

// AdoptRoot hands over a trust root: the first one in the ceremony, with no
// proof, each later one with the proof that a device wants too. Handing over
// the one in force again does nothing.
func (c *Client) AdoptRoot(ctx context.Context, envelope, proof []byte) error {
	_, err := call[empty](ctx, c, opAdoptRoot, wireRoot{envelope, proof})
	return err
}

// Unseal opens the vault by its passphrase; a wrong one is of kind denied.
func (c *Client) Unseal(ctx context.Context, passphrase core.Secret) error {
	_, err := call[empty](ctx, c, opUnseal, wirePassphrase{passphrase.Reveal()})
	return err
}

// SetPassphrase puts the vault behind a passphrase.
func (c *Client) SetPassphrase(ctx context.Context, passphrase core.Secret) error {
	_, err := call[empty](ctx, c, opSetPassphrase, wirePassphrase{passphrase.Reveal()})
	return err
}

// SignOrder returns the server-command signature over the order.
func (c *Client) SignOrder(ctx context.Context, r SignOrder) (link.Signature, error) {
	w, err := r.Warrant.wire()
	if err != nil {
		return link.Signature{}, err
	}
	out, err := call[wireSignature](ctx, c, opSignOrder, wireOrder{w, r.Payload})
	return out.Signature, err
}

// IssueManagement returns the chain in PEM: leaf, intermediate, root.
func (c *Client) IssueManagement(ctx context.Context, r IssueManagement) ([]byte, error) {
	return c.issue(ctx, opIssueManagement, r.Warrant, wireIssue{Tenant: r.Tenant, Device: r.Device, CSR: r.CSR})
}

// IssueWorkload returns the chain in PEM.
func (c *Client) IssueWorkload(ctx context.Context, r IssueWorkload) ([]byte, error) {
	return c.issue(ctx, opIssueWorkload, r.Warrant, wireIssue{Tenant: r.Tenant, Device: r.Device, Workload: r.Workload, CSR: r.CSR})
}

// IssueServer returns the chain in PEM.
func (c *Client) IssueServer(ctx context.Context, r IssueServer) ([]byte, error) {
	return c.issue(ctx, opIssueServer, r.Warrant, wireIssue{Hosts: r.Hosts, CSR: r.CSR})
}

func (c *Client) issue(ctx context.Context, o op, w Warrant, in wireIssue) (_ []byte, err error) {
	if in.Warrant, err = w.wire(); err != nil {
		return nil, err
	}
	out, err := call[wireChain](ctx, c, o, in)
	return out.Chain, err
}

func call[Out any](ctx context.Context, c *Client, o op, in any) (out Out, err error) {
	c.mu.Lock()
	s := c.current
	c.mu.Unlock()
	if s == nil {
		return out, errDown()
	}
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultTimeout)
		defer cancel()
	}
	body, err := link.Encode(in)
	if err != nil {
		return out, err
	}
	defer clear(body) // a passphrase may be in it
	answer, err := s.ask(ctx, o, body)
	if err != nil {
		return out, err
	}
	err = link.DecodeStrict(answer, &out)
	return out, core.Wrap(core.KindInternal, "keys.Client", err)
}

func errDown() error {
	return core.E(core.KindUnavailable, "keys.Client", "the keys process is not running").WithHint("it is started again by itself; `interlock status` says why it ended. Stops work without it")
}

// session is one connection. Answers are matched to requests by id, so that one
// that comes after its asker gave up is dropped.
type session struct {
	conn net.Conn
	done chan struct{}

	writing sync.Mutex

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan response
	cause   error
}

func newSession(conn net.Conn) *session {
	s := &session{conn: conn, done: make(chan struct{}), waiting: map[uint64]chan response{}}
	go s.read()
	return s
}

func (s *session) ask(ctx context.Context, o op, body json.RawMessage) ([]byte, error) {
	id, ch := s.begin()
	defer s.forget(id)
	if err := s.send(ctx, request{V: 1, ID: id, Op: o, Body: body}); err != nil {
		return nil, err
	}
	select {
	case r := <-ch:
		if r.Error != nil {
			return nil, r.Error.err()
		}
		return r.Body, nil
	case <-s.done:
		return nil, s.why()
	case <-ctx.Done():
		return nil, unanswered(o, ctx.Err())
	}
}

func unanswered(o op, cause error) error {
	e := core.E(core.KindUnavailable, "keys.Client", fmt.Sprintf("no answer to %s", o)).WithHint("the intent may have been used; ask the Guard for another before trying again")
	e.Err = cause
	return e
}

func (s *session) begin() (uint64, chan response) {
	ch := make(chan response, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	s.waiting[s.last] = ch
	return s.last, ch
}

func (s *session) forget(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, id)
}

func (s *session) send(ctx context.Context, r request) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	deadline, _ := ctx.Deadline()
	if err := s.conn.SetWriteDeadline(deadline); err != nil {
		return errors.Join(errDown(), err)
	}
	err := writeFrame(s.conn, r)
	if err != nil && core.KindOf(err) != core.KindTooLarge {
		s.end(err) // half a frame may be out: nothing after it would be read
		return errors.Join(errDown(), err)
	}
	return err
}

func (s *session) read() {
	for {
		frame, err := readFrame(s.conn)
		if err != nil {
			s.end(err)
			return
		}
		var r response
		if err := link.DecodeStrict(frame, &r); err != nil || r.V != 1 {
			s.end(core.E(core.KindInternal, "keys.Client", "the keys process answered something that is no answer"))
			return
		}
		s.deliver(r)
	}
}

func (s *session) deliver(r response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch, ok := s.waiting[r.ID]; ok {
		delete(s.waiting, r.ID)
		ch <- r
	}
}

func (s *session) end(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return
	}
	s.cause = cause
	_ = s.conn.Close()
	close(s.done)
}

func (s *session) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func (s *session) why() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if core.KindOf(s.cause) == core.KindUnavailable {
		return s.cause
	}
	e := core.E(core.KindUnavailable, "keys.Client", "the keys process ended").WithHint(core.HintOf(errDown()))
	e.Err = s.cause
	return e
}
