package samples_test

import (
	"bytes"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/samples"
)

var (
	key      = &detect.Rule{ID: "private-key", Kind: detect.KindPrivateKey}
	password = &detect.Rule{ID: "assigned-password", Kind: detect.KindPassword}
	dsn      = &detect.Rule{ID: "dsn-password", Kind: detect.KindConnection}
	hash     = &detect.Rule{ID: "account-password-hash", Kind: detect.KindHash}
	token    = &detect.Rule{ID: "assigned-token", Kind: detect.KindToken}
	jwt      = &detect.Rule{ID: "jwt", Kind: detect.KindToken}
	issued   = &detect.Rule{ID: "aws-access-token", Kind: detect.KindCloudKey}
)

// What a generator makes, and what somebody thinks up.
const (
	strong = "kV9#tq2LmZ0x!rB7"
	weak   = "zebra" + "fish"
)

// rows are texts with a mark before and behind the secret.
var rows = []struct {
	rule       *detect.Rule
	path, text string
	sample     bool
}{
	// A folder of tests' data: all that anybody could make up.
	{key, "pkg/tls/fixtures/key.pem", "‹k›", true},
	{key, "openpgp/keys_test_data.go", "x = `‹k›", true},
	{key, "internal/testutils/keystore/root_key", "‹k›", true},
	{key, "signer/test-data/rsa-key", "‹k›", true},
	{key, "certs/testclientkey.pem", "‹k›", true},
	{password, "srv/testonly/keys.go", `p = "‹` + strong + `›"`, true},
	{token, "models/examples-1.json", `"t": "‹` + strong + `›"`, true},
	// What a provider issued is in use, wherever it stands.
	{issued, "internal/testutils/copy.sh", "id=‹" + strong + "›", false},
	// A key in a place of tests or examples; elsewhere one that is named for it.
	{key, "contrib/integration/nginx/ca.key", "‹k›", true},
	{key, "examples/tls/server.key", "‹k›", true},
	{key, "cmd/e2eutil/util.go", "‹k›", true},
	{key, "deploy/tls/server.key", "‹k›", false},
	{key, "srv/server.go", "const testKey = `‹k›", true},
	{key, "srv/server.go", "const signingKey = `‹k›", false},
	{key, "deploy/environments/test/server.key", "‹k›", false},
	{key, "docs/runbook.md", "‹k›", false},
	// A path alone makes no sample of a value that nobody makes up for one.
	{password, "config/sample.yaml", "password: ‹" + strong + "›", false},
	{password, "examples/deploy/app.env", "PASSWORD=‹" + strong + "›", false},
	{password, "examples/deploy/app.env", "PASSWORD=‹" + weak + "›", true},
	{password, "examples/k8s/secret.yaml", "password: ‹emVicmE=›", true},
	{password, "deploy/app.env", "PASSWORD=‹" + weak + "›", false},
	{password, "config/test.env", "PASSWORD=‹" + weak + "›", false},
	{password, "environments/test/app.env", "PASSWORD=‹" + weak + "›", false},
	{password, "ci/integration-test.yml", "PASSWORD: ‹app_test›", true},
	// An account named for tests.
	{dsn, "compose.yml", "dsn=test:‹" + weak + "›@tcp(db)/x", true},
	{dsn, "compose.yml", "dsn=test:‹" + strong + "›@tcp(db)/x", false},
	{dsn, "db/mongoid.yml", "uri: db://testuser:‹testpass›@ds1.host.net:484/main", false},
	{dsn, "db/x.go", "test:‹" + weak + "›@tcp(127.0.0.1:3306)/test", true},
	{key, "keys/tool-example.ppk", "‹k›", false},
	{dsn, "compose.yml", "dsn=latest:‹" + weak + "›@tcp(db)/x", false},
	{hash, "etc/htpasswd", "testuser:‹$apr1$x$0123456789abcdefghijk.›", true},
	{hash, "docs/auth.md", "alice:‹$apr1$x$0123456789abcdefghijk.›", true},
	{key, "tls/benchmark-ca-key.pem", "‹k›", true},
	{hash, "etc/htpasswd", "alice:‹$apr1$x$0123456789abcdefghijk.›", false},
	// What the text itself presents as an example.
	{password, "api/kv.go", `// Put stores it (e.g. {"password": "‹` + strong + `›"})`, true},
	{password, "api/kv.go", "// For example:\n// password: ‹" + strong + "›", true},
	{dsn, "api/kv.go", "// url = db://app:‹" + strong + "›@db.example.net", false},
	{token, ".npmrc", "//r.example.net/:_authToken=‹" + strong + "›", false},
	{password, "api/kv.go", `// password := "‹` + strong + `›"`, false},
	{token, "api/doc.go", "//\ttoken: ‹" + strong + "›", true},
	{token, "api/openapi.yaml", "a:\n  example:\n    b:\n      token: ‹" + strong + "›", true},
	{token, "api/openapi.yaml", "example:\n  x: 1\nb:\n  token: ‹" + strong + "›", false},
	{token, "api/x.json", "{\n  \"examples\": {\n    \"token\": \"‹" + strong + "›\"", true},
	{key, "srv/server.go", "const latestKey = `‹k›", false},
	{token, "srv/client.go", `const TestAgentToken = "‹` + strong + `›"`, true},
	{token, "srv/client.go", `const agentToken = "‹` + strong + `›"`, false},
	{password, "srv/client.go", `const testPassword = "‹` + strong + `›"`, false},
	{password, "etc/x.conf", `# e.g. --password=‹` + strong + `›`, true},
	{password, "etc/x.conf", "# set it, e.g. by hand\npassword=‹" + strong + "›", false},
	{token, "website/acl.mdx", "curl -H 'X-Token: ‹" + strong + "›'", true},
	{token, "docs/acl.md", "---\ntitle: x\n---\ntoken: ‹" + strong + "›", true},
	{password, "docs/acl.md", "---\ntitle: x\n---\npassword: ‹" + strong + "›", false},
	{token, "docs/acl.md", "token: ‹" + strong + "›", false},
	{jwt, "docs/use.md", "Bearer ‹" + strong + "›", true},
	{jwt, "deploy/use.sh", "Bearer ‹" + strong + "›", false},
}

func TestWhatIsASample(t *testing.T) {
	for _, row := range rows {
		before, rest, _ := bytes.Cut([]byte(row.text), []byte("‹"))
		secret, after, _ := bytes.Cut(rest, []byte("›"))
		s := &detect.Suspect{Rule: row.rule, Path: row.path, Body: bytes.Join([][]byte{before, secret, after}, nil), At: len(before), Secret: secret}
		if got := samples.Judge(s); got != row.sample {
			t.Errorf("%s in %s, %q: sample %v, want %v", row.rule.ID, row.path, row.text, got, row.sample)
		}
	}
}

func FuzzJudge(f *testing.F) {
	for _, row := range rows {
		f.Add(row.path, []byte(row.text), uint(1))
	}
	f.Fuzz(func(_ *testing.T, path string, body []byte, at uint) {
		i := int(at % uint(len(body)+1)) //nolint:gosec // a text of a test
		for _, r := range []*detect.Rule{key, password, dsn, token} {
			samples.Judge(&detect.Suspect{Rule: r, Path: path, Body: body, At: i, Secret: body[i:]})
		}
	})
}
