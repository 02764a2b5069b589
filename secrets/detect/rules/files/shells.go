package files

import (
	"bytes"
	"strings"

	"github.com/interlock-security/interlock/secrets/detect"
)

// shells are files of variables.
func shells() []format {
	return []format{
		{
			id: "dotenv-secret", title: "secret in an environment file", kind: detect.KindPassword, severity: high,
			names: []string{".env", ".env.*", "*.env", ".envrc", "environment", ".renviron", "config", "env.sh", ".flaskenv", "vars.sh"},
			read:  variables,
		},
		{
			id: "shell-profile-secret", title: "secret in a shell's profile", kind: detect.KindPassword, severity: high,
			names: []string{".bashrc", ".bash_profile", ".profile", ".zshrc", ".zshenv", ".zprofile", ".bash_aliases", ".kshrc", ".cshrc", ".tcshrc", ".exports", ".rprofile", "config.fish", ".bash_login", ".zlogin"},
			read:  variables,
		},
		{
			id: "shell-history-secret", title: "secret in a shell's history", kind: detect.KindPassword, severity: high,
			names: []string{".bash_history", ".zsh_history", ".sh_history", ".history", ".ash_history", "fish_history", ".local_history"},
			read:  variables,
		},
	}
}

// variables reads assignments of a shell one by one: the name decides.
func variables(body []byte, emit func(start, end int)) {
	for at := 0; at < len(body); {
		end := at + bytes.IndexByte(body[at:], '\n')
		if end < at {
			end = len(body)
		}
		if start, stop, ok := variable(body, at, end); ok {
			emit(start, stop)
		}
		at = end + 1
	}
}

func variable(body []byte, at, end int) (int, int, bool) {
	line := body[at:end]
	eq := bytes.IndexByte(line, '=')
	if eq < 1 {
		return 0, 0, false
	}
	name := line[:eq]
	if i := bytes.LastIndexAny(name, " \t;:"); i >= 0 && i < eq-1 {
		lead := bytes.TrimSpace(name[:i])
		if len(lead) > 0 && (lead[0] == '#' || !declares(lead)) {
			return 0, 0, false
		}
		name = name[i+1:]
	}
	if !secretVariable(string(bytes.TrimSpace(name))) {
		return 0, 0, false
	}
	start, stop := at+eq+1, end
	if start < stop && body[start] != '"' && body[start] != '\'' && body[start] != ' ' {
		if i := bytes.IndexAny(body[start:stop], " \t;"); i > 0 {
			stop = start + i
		}
	}
	return start, stop, start < stop && !small(bytes.Trim(body[start:stop], `"' `))
}

func declares(lead []byte) bool {
	words := bytes.Fields(lead)
	switch string(words[len(words)-1]) {
	case "export", "set", "setenv", "-x", "env", "declare", "typeset", "0", "-gx", "-Ux":
		return true
	}
	return bytes.HasSuffix(lead, []byte(";")) || lead[0] == ':' // zsh's history: ": 1600000000:0;export X=…"
}

// secretVariable reports a name that says its value is a secret, not where the
// secret is kept nor what it is called.
func secretVariable(name string) bool {
	s := strings.ReplaceAll(strings.ToUpper(strings.Trim(name, `"'$-`)), "-", "_")
	if s == "" || len(s) > 80 {
		return false
	}
	for _, end := range []string{"_FILE", "_PATH", "_ID", "_NAME", "_URL", "_URI", "_HOST", "_PORT", "_USER", "_USERNAME", "_TTL", "_EXPIRY", "_EXPIRES", "_LENGTH", "_DIR", "_TYPE", "_ENABLED", "_REQUIRED", "_ALGORITHM", "_HEADER", "_REGION", "_TIMEOUT", "_POLICY", "_COUNT", "_SIZE", "_LIMIT", "_SECONDS", "_MINUTES", "_HOURS", "_DAYS", "_AGE", "_LIFETIME", "_FORMAT", "_FIELD", "_PREFIX", "_ENDPOINT", "_ISSUER", "_AUDIENCE", "_VERSION", "_HASHER", "_ROUNDS", "_COST", "_MIN", "_MAX", "_MODE", "_CLASS", "_REF", "_ARN", "_VAULT", "_EMAIL"} {
		if strings.HasSuffix(s, end) {
			return false
		}
	}
	if strings.Contains(s, "PUBLIC") || strings.Contains(s, "PUBLISHABLE") || strings.Contains(s, "KEYBOARD") || strings.Contains(s, "COMPASS") || strings.Contains(s, "BYPASS") {
		return false
	}
	for _, word := range []string{"PASS", "PWD", "SECRET", "TOKEN", "API_KEY", "APIKEY", "APP_KEY", "ACCESS_KEY", "AUTH_KEY", "PRIVATE_KEY", "PRIV_KEY", "SIGNING_KEY", "ENCRYPTION_KEY", "MASTER_KEY", "CREDENTIAL", "_SALT", "JWT_KEY", "SERVICE_KEY", "ACCOUNT_KEY"} {
		if strings.Contains(s, word) && s != "PWD" && s != "OLDPWD" {
			return true
		}
	}
	return s == "KEY" || s == "AUTH"
}

// small reports a short number: a setting, whatever its name.
func small(b []byte) bool { return len(b) < 5 && len(bytes.Trim(b, "0123456789")) == 0 }
