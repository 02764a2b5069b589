package httpd_test

import (
	"net"
	"testing"

	"github.com/interlock-security/interlock/platform/httpd"
)

func TestSources(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1:4711":              "192.0.2.1",
		"[::ffff:192.0.2.1]:4711":     "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:4711": "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1]:4711": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:4711":         "fe80::/64",
		"[::1]:4711":                  "::1",
		"@":                           "@",
	} {
		if got := httpd.Source(address); got != want {
			t.Errorf("%s is of %s, want %s", address, got, want)
		}
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan string, 10)
	l := httpd.Limit(inner, httpd.Limits{Total: 3, PerSource: 2}, func(source string) { refused <- source })
	defer func() { _ = l.Close() }()
	accepted := make(chan net.Conn, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	dial()
	first := <-accepted
	dial()
	<-accepted
	third := dial()
	if got := <-refused; got != "127.0.0.1" {
		t.Errorf("refused %s", got)
	}
	if n, err := third.Read(make([]byte, 1)); err == nil {
		t.Errorf("a connection over the limit said %d bytes", n)
	}
	_ = first.Close()
	_ = first.Close() // counts once
	dial()
	<-accepted
	dial()
	<-refused
	if d := httpd.DefaultLimits(); d.Total < 1 || d.PerSource < 1 || d.PerSource > d.Total {
		t.Errorf("default limits %+v", d)
	}
}
