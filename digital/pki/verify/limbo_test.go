package verify_test

import (
	"bufio"
	"compress/gzip"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/digital/pki/verify"
)

// limboCase is what is read of a case of x509-limbo (testdata/README.md).
type limboCase struct {
	ID            string    `json:"id"`
	Trusted       []string  `json:"trusted_certs"`
	Intermediates []string  `json:"untrusted_intermediates"`
	Peer          string    `json:"peer_certificate"`
	Time          time.Time `json:"validation_time"`
	Expected      string    `json:"expected_result"`
	Name          *struct {
		Value string `json:"value"`
	} `json:"expected_peer_name"`
}

func limbo(t *testing.T) []limboCase {
	t.Helper()
	f, err := os.Open("testdata/limbo.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Testcases []limboCase `json:"testcases"`
	}
	if err := json.NewDecoder(z).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc.Testcases
}

// judge holds a case against the server profile, with the case's trusted
// certificates as our pins.
func (c limboCase) judge() error {
	want := verify.Want{Profile: verify.ProfileServer, Validity: verify.At(c.Time)}
	if c.Name != nil {
		want.Host = c.Name.Value
	}
	if want.Host == "" {
		want.Host = "host.example"
	}
	var chain []*x509.Certificate
	for i, text := range append(append([]string{c.Peer}, c.Intermediates...), c.Trusted...) {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			return errors.New("no PEM")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		chain = append(chain, cert)
		if i > len(c.Intermediates) {
			want.Pins = append(want.Pins, verify.PinOf(cert))
		}
	}
	_, err := verify.Chain(chain, want)
	return err
}

// reviewed reads the list of cases in which we differ on purpose.
func reviewed(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open("testdata/limbo-differs.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		id, why, ok := strings.Cut(s.Text(), "\t")
		if strings.HasPrefix(id, "#") || id == "" {
			continue
		}
		if !ok || why == "" || out[id] != "" {
			t.Fatalf("line %q gives no reason or stands twice", s.Text())
		}
		out[id] = why
	}
	return out
}

// TestLimbo: the verdicts on x509-limbo's cases, and the reviewed list of those
// that differ, are both exact. An entry that no longer differs has to go.
func TestLimbo(t *testing.T) {
	differs := reviewed(t)
	cases, accepted := limbo(t), 0
	for _, c := range cases {
		err := c.judge()
		if err == nil {
			accepted++
		}
		agrees := (err == nil) == (c.Expected == "SUCCESS")
		switch why := differs[c.ID]; {
		case agrees && why != "":
			t.Errorf("%s: agrees now, but is listed: %s", c.ID, why)
		case !agrees && why == "":
			t.Errorf("%s: limbo expects %s, got %v", c.ID, c.Expected, err)
		}
		delete(differs, c.ID)
	}
	for id := range differs {
		t.Errorf("%s is listed and no case", id)
	}
	if len(cases) < 280 || accepted < 20 {
		t.Errorf("%d cases, %d accepted: the suite is not whole", len(cases), accepted)
	}
}
