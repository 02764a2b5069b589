package events_test

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/app/vlinsert"
	"github.com/VictoriaMetrics/VictoriaLogs/app/vlinsert/insertutil"
	"github.com/VictoriaMetrics/VictoriaLogs/app/vlselect"
	"github.com/VictoriaMetrics/VictoriaLogs/app/vlstorage"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/httpserver"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logger"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/procutil"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/events"
)

// victoriaLogs is the body of VictoriaLogs' own program, flags and all: the test
// binary runs as each of a cluster's nodes.
func victoriaLogs(address string, flags []string) error {
	if err := flag.CommandLine.Parse(flags); err != nil {
		return err
	}
	logger.InitNoLogFlags()
	vlstorage.Init()
	vlselect.Init()
	insertutil.SetLogRowsStorage(&vlstorage.Storage{})
	vlinsert.Init()
	go httpserver.Serve([]string{address}, func(w http.ResponseWriter, r *http.Request) bool {
		return vlinsert.RequestHandler(w, r) || vlselect.RequestHandler(w, r) || vlstorage.RequestHandler(w, r)
	}, httpserver.ServeOptions{})
	procutil.WaitForSigterm()
	return nil
}

// cluster is two storage nodes behind one process that takes rows and one that
// searches.
type cluster struct {
	t        *testing.T
	password string
	said     *said
	client   *events.Client
	nodes    [2]*node
}

// node is a VictoriaLogs process.
type node struct {
	address, dir string
	cmd          *exec.Cmd
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, password: filepath.Join(t.TempDir(), "password"), said: new(said)}
	if err := os.WriteFile(c.password, []byte("0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.said.String())
		}
	})
	for i := range c.nodes {
		c.nodes[i] = &node{address: freePort(t), dir: t.TempDir()}
		c.run(c.nodes[i])
	}
	fronts := [2]*node{}
	for i := range fronts {
		fronts[i] = &node{address: freePort(t), dir: t.TempDir()}
		c.run(fronts[i], "-storageNode="+c.nodes[0].address+","+c.nodes[1].address, "-storageNode.username=interlock,interlock",
			"-storageNode.passwordFile="+c.password+","+c.password)
	}
	c.client = events.NewClient(events.Config{
		Insert: "http://" + fronts[0].address, Select: "http://" + fronts[1].address, User: "interlock", Password: core.NewSecret([]byte("0123456789abcdef")),
		Installation: core.MustID[core.ServiceID]("test"), Lag: events.ClusterLag,
	})
	await(t, "the cluster", func() bool { return c.client.Health(t.Context()) == nil })
	return c
}

func (c *cluster) run(n *node, more ...string) {
	c.t.Helper()
	n.cmd = exec.Command(os.Args[0], append([]string{
		"victoria-logs", n.address, "-storageDataPath=" + n.dir, "-httpAuth.username=interlock", "-httpAuth.password=file://" + c.password,
		"-inmemoryDataFlushInterval=1s", "-memory.allowedBytes=32MiB", "-retentionPeriod=90d", "-loggerLevel=WARN",
	}, more...)...)
	n.cmd.Stdout, n.cmd.Stderr = c.said, c.said
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	cmd := n.cmd
	c.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	await(c.t, "a node", func() bool {
		conn, err := net.DialTimeout("tcp", n.address, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// freePort returns a loopback address that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestAClusterAnswersAsTheChildDoes asks both the same and holds the answers
// against each other.
func TestAClusterAnswersAsTheChildDoes(t *testing.T) {
	s, c := newStore(t), newCluster(t)
	base := time.Now().UTC().Add(-time.Hour).Truncate(time.Minute)
	var rows []events.Row
	for i := range 600 {
		tenant := ours
		if i%3 == 2 {
			tenant = theirs
		}
		r := row(tenant, uint64(1+i/100), i%100, base.Add(time.Duration(i)*time.Second), fmt.Sprintf("event %d of the press", i),
			events.Field{Name: "type", Value: []string{"case_intrusion", "heartbeat"}[i%2]}, events.Field{Name: "n", Value: fmt.Sprint(i)})
		r.Source = fmt.Sprintf("device/press-%d", i%7) // several streams, so that both nodes get some
		rows = append(rows, r)
	}
	for name, client := range map[string]*events.Client{"child": s.Client(), "cluster": c.client} {
		if err := client.Insert(t.Context(), rows); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := client.Flush(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	ask := func(client *events.Client, text string) string {
		hits, err := client.Search(t.Context(), events.Query{Tenant: ours, LogsQL: text, From: base, To: base.Add(time.Hour), Limit: 1000})
		if err != nil {
			return core.KindOf(err).String()
		}
		var b strings.Builder
		for _, h := range hits {
			delete(h.Fields, "_stream_id")
			fmt.Fprintln(&b, h.Time, h.Fields)
		}
		return b.String()
	}
	for _, text := range []string{
		"*", "type:case_intrusion", `"event 7 of"`, "n:>590", `source:"device/press-3"`, "* | stats by (source) count() n | sort by (source)", "* | stats count_uniq(n) n", "(", "tenant:theirs",
		`n:in(tenant:theirs | fields n)`, "* | union (n:7) | fields n | sort by (n) | limit 3", "* | sort by (n) desc | limit 5 | fields n", "nothing",
	} {
		if one, two := ask(s.Client(), text), ask(c.client, text); one != two {
			t.Errorf("%s: the child says\n%.500s\nthe cluster\n%.500s", text, one, two)
		}
	}
	q := events.Query{Tenant: ours, From: base, To: base.Add(20 * time.Minute)}
	one, err := s.Client().Histogram(t.Context(), q, time.Minute)
	two, err2 := c.client.Histogram(t.Context(), q, time.Minute)
	if err != nil || err2 != nil || fmt.Sprint(one) != fmt.Sprint(two) || one[0].Count != 40 {
		t.Errorf("%v %v\n%v\n%v", err, err2, one, two)
	}
	for name, client := range map[string]*events.Client{"child": s.Client(), "cluster": c.client} {
		found, err := client.Stored(t.Context(), ours, 0, 2, 3, base, base.Add(time.Hour))
		n, err2 := client.Count(t.Context(), ours, 0, 2, 3, base, base.Add(time.Hour))
		if err != nil || err2 != nil || len(found) != 133 && len(found) != 134 || n != uint64(len(found)) {
			t.Errorf("%s: %d places, %d rows: %v %v", name, len(found), n, err, err2)
		}
	}
	c.oneNodeAway()
}

// oneNodeAway shows that a cluster that lost a node says so and gives no half
// answers.
func (c *cluster) oneNodeAway() {
	c.t.Helper()
	n := c.nodes[1]
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
	hits, err := c.client.Search(c.t.Context(), events.Query{Tenant: ours})
	if core.KindOf(err) != core.KindUnavailable || hits != nil {
		c.t.Errorf("with one of two nodes the cluster gives %d hits: %v", len(hits), err)
	}
	c.run(n)
	await(c.t, "the node", func() bool {
		hits, err := c.client.Search(c.t.Context(), events.Query{Tenant: ours, Limit: 1000})
		return err == nil && len(hits) == 400
	})
}
