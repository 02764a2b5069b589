package files

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"unicode/utf8"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/rules/internal/look"
)

// manifests are what Kubernetes and containers are told.
func manifests() []format {
	yaml := []string{"*.yaml", "*.yml", "*.json", "*.yaml.tpl", "*.yml.tpl"}
	return []format{
		{
			id: "kubernetes-secret-yaml", title: "value in a Kubernetes secret", kind: detect.KindPassword, severity: critical,
			names: yaml, needs: "Secret", read: kubernetesSecret,
		},
		{
			id: "kubeconfig-credential", title: "credentials of a Kubernetes user", kind: detect.KindCloudKey, severity: critical,
			names:    []string{"config", "kubeconfig", "kubeconfig*", "*.kubeconfig", "*kubeconfig*", "admin.conf", "kubelet.conf", "controller-manager.conf", "scheduler.conf", "*.yaml", "*.yml", "super-admin.conf"},
			needs:    "users:",
			patterns: []string{`(?m)^[ \t\-]*client-key-data:[ \t]*([A-Za-z0-9+/]{40,}={0,2})`, `(?m)^[ \t]+(?:id-token|refresh-token):[ \t]*` + toEnd, `(?ms)^[ \t\-]*user:[ \t]*\n[ \t]+(?:[\w\-]+:[^\n]*\n[ \t]+){0,6}?(?:token|password):[ \t]*` + toEnd},
		},
		{
			id: "compose-environment-secret", title: "secret in a container's environment", kind: detect.KindPassword, severity: high,
			names: []string{"docker-compose*.yml", "docker-compose*.yaml", "compose*.yml", "compose*.yaml", "*compose.yml", "*compose.yaml", "*stack.yml"}, read: composeEnvironment, keep: notDefault,
		},
		{
			id: "dockerfile-secret", title: "secret in a container's recipe", kind: detect.KindPassword, severity: high,
			names: []string{"dockerfile", "dockerfile.*", "*.dockerfile", "containerfile"}, read: dockerfile, keep: notDefault,
		},
	}
}

var (
	secretKind = regexp.MustCompile(`(?m)(?:^[ \t]*-?[ \t]*kind:[ \t]*["']?Secret["']?[ \t]*\r?$|"kind"[ \t]*:[ \t]*"Secret")`)
	dataBlock  = regexp.MustCompile(`(?m)^([ \t]*)(data|stringData):[ \t]*\r?$`)
	entry      = regexp.MustCompile(`^([ \t]+)["']?([\w.\-]+)["']?:[ \t]*([^\r\n]*)$`)
	jsonData   = regexp.MustCompile(`"(?:data|stringData)"[ \t]*:[ \t\r\n]*\{([^{}]*)\}`)
	jsonEntry  = regexp.MustCompile(`"([\w.\-]+)"[ \t]*:[ \t]*"((?:[^"\\\n]|\\.)+)"`)
)

// kubernetesSecret reads the documents of kind Secret in a file.
func kubernetesSecret(body []byte, emit func(start, end int)) {
	at := 0
	for at <= len(body) {
		end := len(body)
		if i := bytes.Index(body[at:], []byte("\n---")); i >= 0 {
			end = at + i + 1
		}
		if doc := body[at:end]; couldBeSecret(doc) && secretKind.Match(doc) {
			for _, m := range dataBlock.FindAllSubmatchIndex(doc, -1) {
				entries(body, at+m[1], end, m[3]-m[2], string(doc[m[4]:m[5]]) == "data", emit)
			}
			jsonSecret(doc, at, emit)
		}
		at = end + 4
	}
}

// couldBeSecret looks for what every match of secretKind has, as most manifests
// only refer to secrets, and the pattern is slow on large ones.
func couldBeSecret(doc []byte) bool {
	for {
		i := bytes.Index(doc, []byte("Secret"))
		if i < 0 {
			return false
		}
		if before := bytes.TrimRight(doc[:i], "\"': \t"); len(before) < i && bytes.HasSuffix(before, []byte("kind")) {
			return true
		}
		doc = doc[i+len("Secret"):]
	}
}

func jsonSecret(doc []byte, at int, emit func(start, end int)) {
	for _, m := range jsonData.FindAllSubmatchIndex(doc, -1) {
		for _, e := range jsonEntry.FindAllSubmatchIndex(doc[m[2]:m[3]], -1) {
			start, end := m[2]+e[4], m[2]+e[5]
			if telling(string(doc[m[2]+e[2]:m[2]+e[3]]), doc[start:end], true) {
				emit(at+start, at+end)
			}
		}
	}
}

// entries reads the members of a data block, which stand deeper than it.
func entries(body []byte, at, limit, indent int, encoded bool, emit func(start, end int)) {
	for at < limit {
		end := at + bytes.IndexByte(body[at:limit], '\n')
		if end < at {
			end = limit
		}
		line := bytes.TrimRight(body[at:end], "\r")
		m := entry.FindSubmatchIndex(line)
		switch {
		case len(bytes.TrimSpace(line)) == 0 || bytes.TrimSpace(line)[0] == '#':
		case m == nil || m[3]-m[2] <= indent:
			if leading(line) <= indent {
				return
			}
		default:
			start, stop := bare(body, at+m[6], at+m[7])
			if telling(string(line[m[4]:m[5]]), body[start:stop], encoded) {
				emit(start, stop)
			}
		}
		at = end + 1
	}
}

func leading(line []byte) int { return len(line) - len(bytes.TrimLeft(line, " \t")) }

var (
	publicName = regexp.MustCompile(`(?i)^(?:user(?:name)?|host(?:name)?|port|ca(?:\.crt|-cert|\.pem)?|tls\.crt|.*\.crt|.*\.pub|namespace|region|bucket|email|database|db(?:-?name)?|url|endpoint|type|name|id|client[_\-]?id|project[_\-]?id)$`)
	secretish  = regexp.MustCompile(`(?i)pass|pwd|secret|token|key|cred|auth|salt|dsn|conn|private|cert|cookie|hash|webhook|config`)
)

// telling reports an entry that is a secret by its name or by its look.
func telling(name string, value []byte, encoded bool) bool {
	if publicName.MatchString(name) || len(value) < 4 || look.Template(value) || value[0] == '|' || value[0] == '>' || value[0] == '&' {
		return false
	}
	plain := value
	if encoded {
		b, err := base64.StdEncoding.DecodeString(string(value))
		if err != nil || len(b) < 3 {
			return false
		}
		plain = bytes.TrimSpace(b)
	}
	if bytes.HasPrefix(plain, []byte("-----BEGIN")) {
		return bytes.Contains(plain[:min(len(plain), 60)], []byte("PRIVATE"))
	}
	if utf8.Valid(plain) && look.Standin(plain) {
		return false
	}
	return secretish.MatchString(name) || len(plain) >= 20 && !bytes.ContainsAny(plain, " /")
}

var composeEntry = regexp.MustCompile(`(?m)^[ \t]+(?:-[ \t]*["']?([A-Za-z_][A-Za-z0-9_]*)=|["']?([A-Za-z_][A-Za-z0-9_]*)["']?[ \t]*:[ \t]+)([^\r\n]+)`)

// defaults are what images are started with on a desk.
var defaults = map[string]bool{
	"root": true, "password": true, "secret": true, "test": true, "postgres": true, "mysql": true, "admin": true, "minio": true,
	"minioadmin": true, "example": true, "guest": true, "rabbitmq": true, "redis": true, "mongo": true, "pass": true, "demo": true,
	"user": true, "dev": true, "local": true, "localhost": true, "foobar": true, "foo": true, "bar": true, "mariadb": true, "token": true,
	"devpassword": true, "testpassword": true, "rootpassword": true, "keycloak": true, "elastic": true, "grafana": true, "toor": true,
}

func notDefault(secret []byte) bool {
	return notSetting(secret) && !defaults[string(bytes.ToLower(secret))]
}

func composeEnvironment(body []byte, emit func(start, end int)) {
	named(body, composeEntry, emit)
}

var dockerVariable = regexp.MustCompile(`(?m)(?:^[ \t]*(?i:ENV|ARG)[ \t]+([A-Za-z_][A-Za-z0-9_]*)(?:=|[ \t]+)|[ \t]([A-Za-z_][A-Za-z0-9_]*)=)("[^"\n]*"|'[^'\n]*'|[^\s"']+)`)

func dockerfile(body []byte, emit func(start, end int)) {
	named(body, dockerVariable, emit)
}

func named(body []byte, re *regexp.Regexp, emit func(start, end int)) {
	for _, m := range re.FindAllSubmatchIndex(body, -1) {
		name := m[2:4]
		if name[0] < 0 {
			name = m[4:6]
		}
		if secretVariable(string(body[name[0]:name[1]])) {
			start, end := m[len(m)-2], m[len(m)-1]
			if body[end-1] == '"' && body[start] != '"' {
				end--
			}
			if start < end {
				emit(start, end)
			}
		}
	}
}
