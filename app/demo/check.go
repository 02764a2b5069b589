package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/audit/verify"
	"github.com/interlock-security/interlock/core"
)

// get reads a resource through the operator API.
func get[T any](ctx context.Context, st *story, path string) (T, error) {
	var v T
	var raw []byte
	if err := st.api.Get(ctx, path, nil, &raw); err != nil {
		return v, err
	}
	if st.o.Tamper != nil {
		raw = st.o.Tamper(st.chapter, path, raw)
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, core.Wrap(core.KindDamaged, "demo: GET "+path, err)
	}
	return v, nil
}

// await asks until fn is content, or patience ends; then it returns what fn
// said last.
func (st *story) await(ctx context.Context, fn func() error) error {
	ctx, cancel := context.WithTimeout(ctx, st.o.Patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := fn()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("not within %s", st.o.Patience), err)
		case <-tick.C:
		}
	}
}

// told prints a line that was checked.
func (st *story) told(format string, args ...any) {
	st.lines++
	_, _ = fmt.Fprintf(st.o.Out, "   ok  %s\n", fmt.Sprintf(format, args...))
}

// said is what an entry of the log must say for a line to be told. The outcome
// "" is one that the line does not tell.
type said struct{ action, object, outcome string }

// proven prints a line with the audit entry that proves it, after that proof
// was fetched and verified against the log key of the trust root, and the entry
// found to say what the line says.
func (st *story) proven(ctx context.Context, at core.Position, want said, format string, args ...any) error {
	var file []byte
	path := "/v1/audit/proofs/" + strconv.FormatUint(at.Index, 10) + "?origin=" + url.QueryEscape(at.Origin)
	if err := st.api.Get(ctx, path, nil, &file); err != nil {
		return err
	}
	if st.o.Tamper != nil {
		file = st.o.Tamper(st.chapter, path, file)
	}
	p, err := verify.Proof(file, st.trust.Root().LogKey)
	if err != nil {
		return fmt.Errorf("proof of entry %d: %w", at.Index, err)
	}
	got := said{string(p.Header.Action), p.Header.Object, p.Header.Outcome}
	if want.outcome == "" {
		got.outcome = ""
	}
	if p.Position != at || got != want {
		return core.E(core.KindDamaged, "demo", fmt.Sprintf("entry %d says %v, told was %v", at.Index, got, want))
	}
	st.lines++
	_, _ = fmt.Fprintf(st.o.Out, "   #%-4d %s\n", at.Index, fmt.Sprintf(format, args...))
	return nil
}

// list reads a list page by page.
func list[T any](ctx context.Context, st *story, path string, q url.Values) (items []T, err error) {
	if q == nil {
		q = url.Values{}
	}
	for {
		page, err := get[api.Page[T]](ctx, st, path+"?"+q.Encode())
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if page.Next == "" || q.Get("limit") == "1" {
			return items, nil
		}
		q.Set("after", page.Next)
	}
}

// entry finds the newest audit entry of an action on an object.
func (st *story) entry(ctx context.Context, action, object string) (api.AuditEntry, error) {
	q := url.Values{"action": {action}, "limit": {"1"}}
	if object != "" {
		q.Set("object", object)
	}
	found, err := list[api.AuditEntry](ctx, st, "/v1/audit/entries", q)
	if err != nil {
		return api.AuditEntry{}, err
	}
	if len(found) == 0 {
		return api.AuditEntry{}, core.E(core.KindNotFound, "demo", "the audit log has no "+strings.TrimSpace(action+" "+object))
	}
	return found[0], nil
}

// recorded is [story.proven] for the newest entry of an action on an object.
func (st *story) recorded(ctx context.Context, action, object, format string, args ...any) error {
	var e api.AuditEntry
	err := st.await(ctx, func() (err error) {
		e, err = st.entry(ctx, action, object)
		return err
	})
	if err != nil {
		return err
	}
	return st.proven(ctx, e.Position, said{action, object, ""}, format, args...)
}
