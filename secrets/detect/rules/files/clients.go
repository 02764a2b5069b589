package files

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/rules/internal/look"
)

// clients are the dotfiles of command line programs.
func clients() []format {
	return []format{
		{
			id: "netrc-password", title: "password in a .netrc", kind: detect.KindPassword, severity: high,
			names:    []string{".netrc", "_netrc", "netrc", ".authinfo", "*.netrc"},
			patterns: []string{`\bpassword[ \t\r\n]+("[^"\r\n]+"|[^\s"]+)`},
		},
		{
			id: "pgpass-password", title: "password in a .pgpass", kind: detect.KindPassword, severity: high,
			names:    []string{".pgpass", "pgpass", "pgpass.conf", "*.pgpass"},
			patterns: []string{`(?m)^[^#:\r\n](?:\\.|[^:\\\r\n])*:[0-9*]+:(?:\\.|[^:\\\r\n])*:(?:\\.|[^:\\\r\n])*:` + toEnd},
		},
		{
			id: "mysql-client-password", title: "password in a MySQL client's options", kind: detect.KindPassword, severity: high,
			names:    []string{".my.cnf", "my.cnf", "mysql.cnf", "client.cnf", "debian.cnf", "my.ini", ".mylogin", "*.my.cnf", "mysqld.cnf", "mariadb.cnf"},
			patterns: []string{`(?mi)^[ \t]*(?:loose-)?(?:password|master-password|wsrep_sst_auth|ssl-key-password)[ \t]*=[ \t]*` + toEnd},
		},
		{
			id: "npmrc-auth", title: "registry credentials in a .npmrc", kind: detect.KindToken, severity: critical,
			names:    []string{".npmrc", "npmrc", ".yarnrc", ".yarnrc.yml", "*.npmrc"},
			patterns: []string{`(?mi)(?:^|:)_(?:authToken|auth|password)[ \t]*=[ \t]*` + toEnd, `(?mi)\bnpmAuth(?:Token|Ident):[ \t]*` + toEnd},
		},
		{
			id: "pypirc-password", title: "registry password in a .pypirc", kind: detect.KindPassword, severity: critical,
			names:    []string{".pypirc", "pypirc", "*.pypirc"},
			patterns: []string{`(?mi)^[ \t]*password[ \t]*[=:][ \t]*` + toEnd},
		},
		{
			id: "git-credentials-password", title: "password in stored Git credentials", kind: detect.KindPassword, severity: critical,
			names:    []string{".git-credentials", "git-credentials", ".gitcredentials", "*.git-credentials"},
			patterns: []string{`(?mi)^https?://[^:/@\s]*:([^@\s]+)@`, `(?mi)^https?://([\w\-]{20,255})@`},
		},
		{
			id: "hub-oauth-token", title: "token of a GitHub client", kind: detect.KindToken, severity: critical,
			names:    []string{"hub", ".hub", "hosts.yml", "hosts.yaml", "gh.yml", ".gist", "lab.toml", "glab.yml"},
			patterns: []string{`(?mi)^[ \t\-]*(?:oauth_token|private_token|token)["']?[ \t]*[:=][ \t]*` + toEnd},
		},
		{
			id: "docker-config-auth", title: "registry credentials of Docker", kind: detect.KindPassword, severity: critical,
			names: []string{".dockercfg", "dockercfg", "config.json", ".dockerconfigjson", "dockerconfig.json", "*dockerconfig*", "auth.json", "*.dockercfg"}, needs: `"auth"`,
			patterns: []string{`"auth"[ \t]*:[ \t]*"([A-Za-z0-9+/]{8,}={0,2})"`}, keep: userAndPassword,
		},
		{
			id: "docker-identity-token", title: "identity token of Docker", kind: detect.KindToken, severity: critical,
			names: []string{".dockercfg", "config.json", ".dockerconfigjson", "auth.json"}, needs: `identitytoken`,
			patterns: []string{`"identitytoken"[ \t]*:[ \t]*"([^"\n]{16,})"`},
		},
		{
			id: "composer-auth", title: "credentials of Composer", kind: detect.KindToken, severity: high,
			names: []string{"auth.json"}, needs: `-`,
			patterns: []string{`"password"[ \t]*:[ \t]*"([^"\n]+)"`, `"(?:github-oauth|gitlab-token|bearer)"[ \t]*:[ \t\n]*\{[ \t\r\n]*"[^"\n]+"[ \t]*:[ \t]*"([^"\n]+)"`},
		},
	}
}

// transfers are settings of programs that fetch, send and talk.
func transfers() []format {
	return []format{
		{
			id: "curlrc-password", title: "password in a download tool's settings", kind: detect.KindPassword, severity: high,
			names:    []string{".curlrc", "_curlrc", ".wgetrc", "wgetrc", "aria2.conf", ".lftprc"},
			patterns: []string{`(?mi)^[ \t]*-{0,2}(?:proxy-)?user[ \t=]+["']?[^:\s"']+:([^\r\n"']+)`, `(?mi)^[ \t]*(?:(?:http|ftp|proxy|ftp_proxy|http_proxy)[_\-])?passw(?:or)?d[ \t]*=[ \t]*` + toEnd, `(?mi)^rpc-secret=` + toEnd},
		},
		{
			id: "hgrc-password", title: "password of a version control client", kind: detect.KindPassword, severity: high,
			names:    []string{".hgrc", "hgrc", "mercurial.ini"},
			patterns: []string{`(?mi)^[\w.\-]+\.password[ \t]*=[ \t]*` + toEnd},
		},
		{
			id: "svn-simple-password", title: "password stored by Subversion", kind: detect.KindPassword, severity: high,
			names: []string{"*"}, in: "auth/svn.simple/",
			patterns: []string{`(?m)^K 8\r?\npassword\r?\nV [0-9]+\r?\n` + toEnd},
		},
		{
			id: "cvspass-password", title: "password stored by CVS", kind: detect.KindPassword, severity: medium,
			names: []string{".cvspass"}, patterns: []string{`(?m)^/1 \S+ A(\S+)`},
		},
		{
			id: "rclone-password", title: "credentials of rclone", kind: detect.KindPassword, severity: high,
			names:    []string{"rclone.conf", ".rclone.conf"},
			patterns: []string{`(?mi)^(?:pass(?:word2?)?|client_secret|secret_access_key|service_account_credentials|key)[ \t]*=[ \t]*` + toEnd, `"(?:access|refresh)_token":"([^"]+)"`},
		},
		{
			id: "irc-client-password", title: "password of a chat client", kind: detect.KindPassword, severity: high,
			names:    []string{"irc.conf", "sec.conf", "servers.conf", "hexchat.conf", "servlist.conf", ".irssi", "irssi.conf", "weechat.conf", "servlist_.conf"},
			patterns: []string{`(?mi)^[ \t]*[\w.\-]*(?:passw(?:or)?d|passphrase)[ \t]*=[ \t]*` + toEnd, `(?m)^P=` + toEnd},
		},
		{
			id: "irssi-password", title: "password of irssi", kind: detect.KindPassword, severity: high,
			names: []string{"config"}, in: ".irssi/", patterns: []string{`(?mi)\b(?:password|sasl_password|autosendcmd)[ \t]*=[ \t]*("[^"\r\n]+")`},
		},
	}
}

// userAndPassword asks that base64 holds a user, a colon and a password.
func userAndPassword(secret []byte) bool {
	b, err := base64.RawStdEncoding.DecodeString(string(bytes.TrimRight(secret, "=")))
	_, pass, found := bytes.Cut(b, []byte(":"))
	return err == nil && found && utf8.Valid(b) && !look.Standin(pass)
}
