package samples_test

import (
	"bytes"
	"encoding/base64"
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

// Tokens with an end, and without one.
var (
	ending  = "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":1700000000}`)) + ".AAAA"
	endless = "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"app"}`)) + ".AAAA"
)

// rows are texts with a mark before and behind the secret.
var rows = []struct {
	rule       *detect.Rule
	path, text string
	sample     bool
}{
	// A folder of tests' data: keys, and what can be guessed.
	{key, "pkg/tls/fixtures/key.pem", "‹k›", true},
	{key, "openpgp/keys_test_data.go", "x = `‹k›", true},
	{key, "internal/testutils/keystore/root_key", "‹k›", true},
	{key, "signer/test-data/rsa-key", "‹k›", true},
	{key, "certs/testclientkey.pem", "‹k›", true},
	{key, "srv/testonly/keys.go", "x = `‹k›", true},
	{password, "srv/testonly/keys.go", `p = "‹` + weak + `›"`, true},
	{password, "srv/testutils/keys.go", `p = "‹` + strong + `›"`, false},
	{password, "packer/golden/vars.env", "P=‹" + strong + "›", false},
	{password, "mock/vars.env", "P=‹" + strong + "›", false},
	{password, "images/login.svg", "P=‹" + strong + "›", false},
	{password, "test-support/app.env", "P=‹" + strong + "›", false},
	{password, "test-ca/app.env", "P=‹" + strong + "›", false},
	{key, "test-infra/agent_key", "‹k›", false},
	{key, "environments/test-ca/ca.key", "‹k›", false},
	{password, "environments/test-infra/terraform.tfvars", "p = ‹" + weak + "›", false},
	{password, "environments/demo/secrets.yml", "p: ‹" + weak + "›", false},
	{password, "prod/mock/app.env", "P=‹" + weak + "›", false},
	{password, "website/.env", "DB_PASSWORD=‹" + weak + "›", false},
	{token, "models/examples-1.json", `"t": "‹` + strong + `›"`, false},
	{token, "models/examples-1.json", `{ "version": "1.0", "examples": { "Put": [ { "t": "‹` + strong + `›"`, true},
	{token, "models/x.json", `{ "version": "1.0", "examples": { "password": "‹` + strong + `›"`, false},
	// What a provider issued is in use, wherever it stands.
	{issued, "internal/testutils/copy.sh", "id=‹" + strong + "›", false},
	// A key in a place of tests or examples; elsewhere one that is named for it.
	{key, "contrib/integration/nginx/ca.key", "‹k›", false},
	{key, "examples/tls/server.key", "‹k›", false},
	{key, "examples/tls/server.py", "KEY = '‹k›", true},
	{key, "examples/tls/README.md", "‹k›", true},
	{key, "clusters/demo/tls.key", "‹k›", false},
	{key, "demo/id.pem", "‹k›", false},
	{key, "clusters/demo/main.py", "KEY = '‹k›", false},
	{key, "cmd/e2eutil/util.go", "‹k›", true},
	{key, "deploy/tls/server.key", "‹k›", false},
	{key, "srv/server.go", "const testKey = `‹k›", true},
	{key, "srv/server.go", "const signingKey = `‹k›", false},
	{key, "srv/server.go", "var testKey = []byte(\n`‹k›", true},
	{key, "srv/server.go", "var testKey []byte = []byte(`‹k›", true},
	{key, "srv/server.ts", "testKey: string = `‹k›", true},
	{key, "srv/Main.java", `String TEST_KEY = "‹k›`, true},
	{key, "srv/server.ts", `{ mode: "Sample", privateKey: ` + "`‹k›", false},
	{key, "srv/server.ts", `if (env !== "test") { key = ` + "`‹k›", false},
	{key, "srv/server.ts", "key = dev ? cfg.test : `‹k›", false},
	{key, "srv/server.py", "if env != test: return '‹k›", false},
	{key, "srv/server.go", "/* test */ const signingKey = `‹k›", false},
	{key, "srv/server.py", `test_key = "x" if TEST else "‹k›`, false},
	{token, "src/auth.py", `api_token = "x" if TEST else "‹` + strong + `›"`, false},
	{token, "src/auth.py", `test_token = "x" if TEST else "‹` + strong + `›"`, false},
	{key, "deploy/environments/test/server.key", "‹k›", false},
	{key, "docs/runbook.md", "‹k›", false},
	// A path alone makes no sample of a value that nobody makes up for one.
	{password, "config/sample.yaml", "password: ‹" + strong + "›", false},
	{password, "examples/deploy/app.env", "PASSWORD=‹" + strong + "›", false},
	{password, "examples/deploy/app.env", "PASSWORD=‹" + weak + "›", true},
	{password, "examples/k8s/secret.yaml", "password: ‹emV" + "icmE=›", true},
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
	{hash, "etc/htpasswd", "testuser:‹$apr1$x$0123456789abcdefghijk.›", false},
	{hash, "docs/auth.md", "alice:‹$apr1$x$0123456789abcdefghijk.›", true},
	{key, "tls/benchmark-ca-key.pem", "‹k›", false},
	{hash, "etc/htpasswd", "alice:‹$apr1$x$0123456789abcdefghijk.›", false},
	// What the text itself presents as an example.
	{password, "api/kv.go", `// Put stores it (e.g. {"password": "‹` + weak + `›"})`, true},
	{password, "api/kv.go", `// Put stores it (e.g. {"password": "‹` + strong + `›"})`, false},
	{password, "api/kv.go", "// For example:\n// password: ‹" + weak + "›", true},
	{password, "prod/settings.env", "# yandex: DB_PASSWORD=‹" + weak + "›", false},
	{password, "prod/settings.env", "# regex: DB_PASSWORD=‹" + strong + "›", false},
	{password, "prod/settings.env", "# e.g. DB_PASSWORD=‹" + strong + "›", false},
	{dsn, "api/kv.go", "// url = db://app:‹" + strong + "›@db.example.net", false},
	{token, ".npmrc", "//r.example.net/:_authToken=‹" + strong + "›", false},
	{password, "api/kv.go", `// password := "‹` + strong + `›"`, false},
	{token, "api/doc.go", "//\ttoken: ‹" + weak + "›", true},
	{token, "api/doc.go", "//\ttoken: ‹" + strong + "›", false},
	{token, "api/api.json", "{\n  \"openapi\": \"3.0.1\",\n  \"examples\": {\n    \"token\": \"‹" + strong + "›\"", true},
	{password, "compose.yml", "services:\n  example:\n    environment:\n      DB_PASSWORD: ‹" + strong + "›", false},
	{password, "compose.yml", "services:\n  example:\n    environment:\n      DB_PASSWORD: ‹" + weak + "›", true},
	{password, "application.yml", "swagger:\n  enabled: true\ndb:\n  example:\n    password: ‹" + strong + "›", false},
	{token, "api/openapi.yaml", "openapi: 3.0.0\na:\n  example:\n    b:\n      token: ‹" + strong + "›", true},
	{token, "api/openapi.yaml", "example:\n  x: 1\nb:\n  token: ‹" + strong + "›", false},
	{token, "api/x.json", "{\n  \"examples\": {\n    \"token\": \"‹" + strong + "›\"", false},
	{key, "srv/server.go", "const latestKey = `‹k›", false},
	{token, "srv/client.go", `const TestAgentToken = "‹` + strong + `›"`, false},
	{token, "srv/client.go", `const agentToken = "‹` + strong + `›"`, false},
	{password, "srv/client.go", `const testPassword = "‹` + strong + `›"`, false},
	{password, "etc/x.conf", `# e.g. --password=‹` + weak + `›`, true},
	{password, "etc/x.conf", "# set it, e.g. by hand\npassword=‹" + strong + "›", false},
	{token, "docs/acl.mdx", "curl -H 'X-Token: ‹" + strong + "›'", false},
	{key, "website/acl.mdx", "‹k›", true},
	{key, "docs/acl.md", "---\ntitle: x\n---\n‹k›", true},
	{password, "docs/acl.md", "---\ntitle: x\n---\npassword: ‹" + strong + "›", false},
	{token, "docs/acl.md", "token: ‹" + strong + "›", false},
	{jwt, "docs/use.md", "Bearer ‹" + ending + "›", true},
	{jwt, "docs/use.md", "Bearer ‹" + endless + "›", false},
	{jwt, "tests/values.yaml", "Bearer ‹" + ending + "›", false},
	{jwt, "deploy/use.sh", "Bearer ‹" + ending + "›", false},
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
