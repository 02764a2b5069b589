package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/digital/crypt"
)

const origin = "interlock.local/4f2a/serve/main"

var start = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func seed() core.Secret { return core.NewSecret(bytes.Repeat([]byte{7}, 32)) }

// config is a log in dir/log with its host keyring in dir/keys.
func config(t testing.TB, dir string) audit.Config {
	t.Helper()
	keys := filepath.Join(dir, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	sealer, err := crypt.OpenHost(keys)
	if err != nil {
		t.Fatal(err)
	}
	return audit.Config{
		Dir: filepath.Join(dir, "log"), Origin: origin, Seed: seed(), Sealer: sealer,
		Clock: clocktest.New(start), SegmentSize: audit.MinSegmentSize,
	}
}

func open(t testing.TB, c audit.Config) *audit.Log {
	t.Helper()
	l, err := audit.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// copyDir copies files with their modes.
func copyDir(t testing.TB, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(to, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Chmod(path, 0o600)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fact is a small entry that says which one it is.
func fact(i int) audit.Entry {
	return audit.Entry{
		Type: audit.TypeFact, Actor: "person/anna", Action: "device.seen", Object: fmt.Sprintf("device/press-%d", i),
		Outcome: "ok", Class: audit.ClassSecurity, Body: map[string]any{"n": i},
	}
}

func appendAll(t testing.TB, l *audit.Log, from, to int) []audit.Result {
	t.Helper()
	var list []audit.Result
	for i := from; i < to; i++ {
		r, err := l.Append(context.Background(), fact(i))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

// expect checks that the current log holds exactly facts 0..n-1 and that its
// signed root is the root over their leaves.
func expect(t *testing.T, l *audit.Log, n int) {
	t.Helper()
	if l.Size() != uint64(n) {
		t.Fatalf("the log has %d entries, want %d", l.Size(), n)
	}
	var leaves [][]byte
	for i := range n {
		r, err := l.Entry(t.Context(), core.Position{Index: uint64(i)})
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(`{"n":%d}`, i); string(r.Body) != want || r.Actor != "person/anna" {
			t.Errorf("entry %d: %s by %s, want %s", i, r.Body, r.Actor, want)
		}
		leaves = append(leaves, r.Leaf)
	}
	if head := l.Checkpoint(); tlog.Hash(head.Root) != treeRoot(t, leaves) {
		t.Errorf("the checkpoint of %d entries is not over them", n)
	}
}

// treeRoot computes the RFC 6962 root with x/mod alone.
func treeRoot(t testing.TB, leaves [][]byte) tlog.Hash {
	t.Helper()
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	for i, leaf := range leaves {
		h, err := tlog.StoredHashes(int64(i), leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, h...)
	}
	root, err := tlog.TreeHash(int64(len(leaves)), reader)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// The log crosses segments, so hashes come from memory and from sidecars, and
// a restart reads the last segment only.
func TestAppendReopenAndReadBack(t *testing.T) {
	dir := t.TempDir()
	l := open(t, config(t, dir))
	const n = 700
	appendAll(t, l, 0, n)
	for range 2 {
		expect(t, l, n)
		if err := l.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = open(t, config(t, dir))
	}
	segments, err := filepath.Glob(filepath.Join(dir, "log", "0001", "wal", "*.wal"))
	if err != nil || len(segments) < 4 {
		t.Errorf("%d segments, %v: the test does not cross any", len(segments), err)
	}
	appendAll(t, l, n, n+50)
	expect(t, l, n+50)
}

// Lost or broken sidecars are made again, because they prove nothing.
func TestSidecarsAreACache(t *testing.T) {
	dir := t.TempDir()
	l := open(t, config(t, dir))
	appendAll(t, l, 0, 500)
	for name, spoil := range map[string]func(path string) error{
		"removed": os.Remove,
		"cut":     func(path string) error { return os.Truncate(path, 100) },
		"flipped": func(path string) error {
			b, err := os.ReadFile(path)
			if err == nil {
				b[70] ^= 1
				err = os.WriteFile(path, b, 0o600)
			}
			return err
		},
	} {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		sides, err := filepath.Glob(filepath.Join(dir, "log", "0001", "hashes", "*.side"))
		if err != nil || len(sides) < 2 {
			t.Fatalf("%d sidecars, %v", len(sides), err)
		}
		for _, path := range sides {
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
		}
		l = open(t, config(t, dir))
		if mode, reason := l.Mode(); mode != audit.ModeNormal {
			t.Errorf("%s: %s, %s", name, mode, reason)
		}
		expect(t, l, 500)
		if err := l.Verify(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConcurrentAppendsAreEachThereOnce(t *testing.T) {
	l := open(t, config(t, t.TempDir()))
	const writers, each = 32, 20
	var mu sync.Mutex
	seen := map[uint64]int{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				r, err := l.Append(t.Context(), fact(w*each+i))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := l.InclusionPath(r.Position.Index, r.Size); err != nil {
					t.Error(err)
				}
				mu.Lock()
				seen[r.Position.Index] = w*each + i
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != writers*each || l.Size() != writers*each {
		t.Fatalf("%d places for %d entries, size %d", len(seen), writers*each, l.Size())
	}
	for index, i := range seen {
		r, err := l.Entry(t.Context(), core.Position{Origin: origin, Index: index})
		if err != nil || string(r.Body) != fmt.Sprintf(`{"n":%d}`, i) {
			t.Errorf("entry %d: %s, %v, want %d", index, r.Body, err, i)
		}
	}
}

func TestAppendRefusesWhatNobodyCouldRead(t *testing.T) {
	l := open(t, config(t, t.TempDir()))
	tests := map[string]struct {
		change func(*audit.Entry)
		want   core.Kind
	}{
		"type":               {func(e *audit.Entry) { e.Type = "gossip" }, core.KindInvalid},
		"no type":            {func(e *audit.Entry) { e.Type = "" }, core.KindInvalid},
		"class":              {func(e *audit.Entry) { e.Class = "" }, core.KindInvalid},
		"vital":              {func(e *audit.Entry) { e.Vital = "please" }, core.KindInvalid},
		"no actor":           {func(e *audit.Entry) { e.Actor = "" }, core.KindInvalid},
		"sentence outcome":   {func(e *audit.Entry) { e.Outcome = "Anna said no" }, core.KindInvalid},
		"action with quote":  {func(e *audit.Entry) { e.Action = `a"b` }, core.KindInvalid},
		"intent":             {func(e *audit.Entry) { e.Intent = &core.Position{Origin: "a b"} }, core.KindInvalid},
		"authority revision": {func(e *audit.Entry) { e.Type = audit.TypeAuthority }, core.KindInvalid},
		"batch object":       {func(e *audit.Entry) { e.Type = audit.TypeBatch }, core.KindInvalid},
		"tombstone":          {func(e *audit.Entry) { e.Type = audit.TypeTombstone }, core.KindDenied},
		"succession":         {func(e *audit.Entry) { e.Type = audit.TypeSuccession }, core.KindDenied},
		"before 1970":        {func(e *audit.Entry) { e.Time = time.Unix(-1, 0) }, core.KindInvalid},
		"body not JSON":      {func(e *audit.Entry) { e.Body = func() {} }, core.KindInvalid},
		"too large":          {func(e *audit.Entry) { e.Body = strings.Repeat("x", audit.MaxLeaf) }, core.KindTooLarge},
	}
	for name, tt := range tests {
		e := fact(0)
		tt.change(&e)
		if _, err := l.Append(t.Context(), e); core.KindOf(err) != tt.want {
			t.Errorf("%s: %v, want kind %v", name, err, tt.want)
		}
	}
	if l.Size() != 0 {
		t.Errorf("%d entries got in", l.Size())
	}
	e := fact(0)
	e.Body = strings.Repeat("x", audit.MaxLeaf-600)
	if _, err := l.Append(t.Context(), e); err != nil {
		t.Errorf("a large leaf: %v", err)
	}
}

func TestOddNamesAreHiddenNotRefused(t *testing.T) {
	l := open(t, config(t, t.TempDir()))
	for _, object := range []string{"", "device/press-7", "device/../../etc", "secret/db password", "tenant", `x"y/z`, "user/Anna Müller", strings.Repeat("long/", 100)} {
		e := fact(0)
		e.Object = object
		res, err := l.Append(t.Context(), e)
		if err != nil {
			t.Errorf("object %q: %v", object, err)
			continue
		}
		r, err := l.Entry(t.Context(), res.Position)
		if err != nil || r.Object != object {
			t.Errorf("object %q comes back as %q, %v", object, r.Object, err)
		}
		if object == "device/press-7" != bytes.Contains(r.Leaf, []byte(`"object":"device/press-7"`)) {
			t.Errorf("object %q in clear: %.200s", object, r.Leaf)
		}
	}
}

func TestSearch(t *testing.T) {
	dir := t.TempDir()
	c := config(t, dir)
	clock := clocktest.New(start)
	c.Clock = clock
	l := open(t, c)
	for i := range 30 {
		e := fact(i % 3)
		e.Actor = []string{"person/anna", "person/ben", "stranger/203.0.113.7", "service/audit", "token/ci"}[i%5]
		e.Outcome = []string{"ok", "refused"}[i%2]
		if _, err := l.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Minute)
	}
	tests := map[string]struct {
		q    audit.Query
		want int
	}{
		"everything":       {audit.Query{}, 30},
		"newest":           {audit.Query{Limit: 7}, 7},
		"person":           {audit.Query{Actor: "person/anna"}, 6},
		"stranger":         {audit.Query{Actor: "stranger/203.0.113.7"}, 6},
		"token":            {audit.Query{Actor: "token/ci"}, 6},
		"nobody":           {audit.Query{Actor: "person/nobody"}, 0},
		"object":           {audit.Query{Object: "device/press-2"}, 10},
		"outcome":          {audit.Query{Outcome: "refused"}, 15},
		"action":           {audit.Query{Action: "device.seen"}, 30},
		"other action":     {audit.Query{Action: "device.lost"}, 0},
		"since":            {audit.Query{Since: start.Add(20 * time.Minute)}, 10},
		"until":            {audit.Query{Until: start.Add(20 * time.Minute)}, 20},
		"type":             {audit.Query{Type: audit.TypeIntent}, 0},
		"actor and object": {audit.Query{Actor: "person/ben", Object: "device/press-1"}, 2},
	}
	for name, tt := range tests {
		hits, err := l.Search(t.Context(), tt.q)
		if err != nil || len(hits) != tt.want {
			t.Errorf("%s: %d hits, %v, want %d", name, len(hits), err, tt.want)
		}
		for i := 1; i < len(hits); i++ {
			if hits[i].Position.Index >= hits[i-1].Position.Index {
				t.Errorf("%s: hits out of order", name)
			}
		}
	}
	hits, err := l.Search(t.Context(), audit.Query{Limit: 1})
	if err != nil || hits[0].Position != (core.Position{Origin: origin, Index: 29}) || hits[0].Actor != "token/ci" {
		t.Errorf("newest: %+v, %v", hits, err)
	}
}

// After erasure nothing tells who it was, and every proof holds.
func TestErase(t *testing.T) {
	dir := t.TempDir()
	c := config(t, dir)
	l := open(t, c)
	e := fact(1)
	e.Body = map[string]string{"mail": "anna@example.com"}
	res, err := l.Append(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	other := fact(2)
	other.Actor = "person/ben"
	if _, err := l.Append(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	by := audit.Entry{Actor: "person/officer", Class: audit.ClassCompliance, Outcome: "erased"}
	if _, err := l.Erase(t.Context(), by, "person/anna"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r, err := l.Entry(t.Context(), res.Position)
		if err != nil || r.Body != nil || strings.Contains(r.Actor, "anna") {
			t.Errorf("after erasure: %s by %s, %v", r.Body, r.Actor, err)
		}
		if !bytes.Equal(r.Leaf, res.Leaf) {
			t.Error("the leaf changed")
		}
		if r, err := l.Entry(t.Context(), core.Position{Index: 1}); err != nil || r.Actor != "person/ben" || r.Body == nil {
			t.Errorf("somebody else's entry: %s by %s, %v", r.Body, r.Actor, err)
		}
		if err := l.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = open(t, c)
	}
	if _, err := l.Erase(t.Context(), by, "person/anna"); core.KindOf(err) != core.KindNotFound {
		t.Errorf("erased twice: %v", err)
	}
	again, err := l.Append(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	was, _, _ := audit.ParseLeaf(res.Leaf)
	is, _, _ := audit.ParseLeaf(again.Leaf)
	if was.Actor == is.Actor || was.Key == is.Key {
		t.Error("the same pseudonym after erasure")
	}
}

// Nothing about a person stands in the files in clear, and equal contents do
// not look equal.
func TestNoPersonalDataInClear(t *testing.T) {
	dir := t.TempDir()
	l := open(t, config(t, dir))
	e := fact(1)
	e.Actor, e.Object, e.Subject = "person/canary-anna", "user/canary-login", "person/canary-ben"
	e.Body = map[string]string{"name": "canary-name", "address": "canary-street 1"}
	var leaves [2][]byte
	for i := range leaves {
		r, err := l.Append(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		leaves[i] = r.Leaf
	}
	a, _, _ := audit.ParseLeaf(leaves[0])
	b, _, _ := audit.ParseLeaf(leaves[1])
	if a.MAC == b.MAC || a.Salt == b.Salt || a.Actor != b.Actor {
		t.Error("equal contents can be seen to be equal, or one actor as two")
	}
	err := filepath.WalkDir(filepath.Join(dir, "log"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte("canary")) {
			t.Errorf("%s names a person", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A key is durable before the first entry under it: a keyring that does not
// save fails the append.
func TestNoEntryWithoutItsDurableKey(t *testing.T) {
	dir := t.TempDir()
	c := config(t, dir)
	l := open(t, c)
	appendAll(t, l, 0, 1)
	subjects := filepath.Join(dir, "log", "subjects")
	if err := os.Remove(subjects); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(subjects, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	e := fact(1)
	e.Actor = "person/new"
	if _, err := l.Append(t.Context(), e); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("append: %v", err)
	}
	appendAll(t, l, 1, 2) // an existing key still serves
}

// Without its keys the log's content is lost, its proofs hold, and what keeps
// people safe is recorded under new keys.
func TestALostKeyringMeansStopOnly(t *testing.T) {
	base := t.TempDir()
	l := open(t, config(t, base))
	appendAll(t, l, 0, 2)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(base, "log", "subjects"))
	if err != nil {
		t.Fatal(err)
	}
	for i := -1; i < len(whole); i += 11 {
		flipped := bytes.Clone(whole)
		flipped[max(i, 0)] ^= 0x20
		for _, spoiled := range [][]byte{flipped, whole[:i+1]} {
			dir := t.TempDir()
			copyDir(t, dir, base)
			if err := os.WriteFile(filepath.Join(dir, "log", "subjects"), spoiled, 0o600); err != nil {
				t.Fatal(err)
			}
			expectStopOnly(t, open(t, config(t, dir)), "subject keys")
		}
	}
	if err := os.Remove(filepath.Join(base, "log", "subjects")); err != nil {
		t.Fatal(err)
	}
	expectStopOnly(t, open(t, config(t, base)), "subject keys")
}

func TestFoldPutsARepeatedRevisionIntoStopOnly(t *testing.T) {
	l := open(t, config(t, t.TempDir()))
	for _, step := range []struct {
		object   string
		revision uint64
	}{{"lock/a", 1}, {"lock/b", 1}, {"lock/a", 2}, {"lock/b", 3}, {"lock/a", 2}, {"lock/b", 4}, {"lock/a", 3}} {
		e := fact(0)
		e.Type, e.Object, e.Revision = audit.TypeAuthority, step.object, step.revision
		if _, err := l.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	appendAll(t, l, 0, 1) // facts are passed over
	f := audit.NewFold()
	if err := l.Replay(t.Context(), func(r audit.Record) error { f.Add(r); return nil }); err != nil {
		t.Fatal(err)
	}
	if b := f.Object("lock/b"); b.Revision != 4 || b.At.Index != 5 || b.Conflict != "" {
		t.Errorf("lock/b: %+v", b)
	}
	if a := f.Object("lock/a"); !strings.Contains(a.Conflict, "revision 2") || !strings.Contains(a.Conflict, "#4") {
		t.Errorf("lock/a: %+v", a)
	}
	if c := f.Conflicts(); len(c) != 1 {
		t.Errorf("conflicts %v", c)
	}
	if f.Object("lock/c") != (audit.Folded{}) {
		t.Error("the log knows lock/c")
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*audit.Config){
		"origin with blank": func(c *audit.Config) { c.Origin = "a b" },
		"origin with plus":  func(c *audit.Config) { c.Origin = "a+b" },
		"no origin":         func(c *audit.Config) { c.Origin = "" },
		"short seed":        func(c *audit.Config) { c.Seed = core.NewSecret([]byte("short")) },
		"tiny segments":     func(c *audit.Config) { c.SegmentSize = 5000 },
		"no sealer":         func(c *audit.Config) { c.Sealer = nil },
	} {
		c := config(t, t.TempDir())
		change(&c)
		if _, err := audit.Open(t.Context(), c); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRawBodiesAreTakenAsTheyAre(t *testing.T) {
	l := open(t, config(t, t.TempDir()))
	for body, want := range map[any]string{nil: "null", "text": `"text"`, 7: "7"} {
		e := fact(0)
		e.Body = body
		res, err := l.Append(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := l.Entry(t.Context(), res.Position); err != nil || string(r.Body) != want {
			t.Errorf("body %v: %s, %v", body, r.Body, err)
		}
	}
	e := fact(0)
	e.Body = json.RawMessage(`{"b":1,"a":2}`)
	res, err := l.Append(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := l.Entry(t.Context(), res.Position); err != nil || string(r.Body) != `{"b":1,"a":2}` {
		t.Errorf("raw body: %s, %v", r.Body, err)
	}
}
