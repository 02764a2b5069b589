package files

import (
	"bytes"

	"github.com/interlock-security/interlock/secrets/detect"
)

// websites are settings of web applications and servers.
func websites() []format {
	return []format{
		{
			id: "wordpress-config-secret", title: "secret in WordPress' settings", kind: detect.KindPassword, severity: critical,
			names:    []string{"wp-config.php", "wp-config*.php", "wp-config.*", "wp-config-*"},
			patterns: []string{`define[ \t]*\([ \t]*["'](?:DB_PASSWORD|FTP_PASS|\w+_KEY|\w+_SALT|\w*(?:SECRET|TOKEN|PASSWORD)\w*)["'][ \t]*,[ \t]*('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")`},
		},
		{
			id: "php-config-secret", title: "password in a PHP application's settings", kind: detect.KindPassword, severity: critical,
			names: []string{"config.php", "config.inc.php", "configuration.php", "settings.php", "localsettings.php", "database.php", "db.php", "conf.php", "parameters.php", "config.*.php", "*config.php", "local.xml", "env.php", "db_config.php", "connect.php", "dbconfig.php"},
			patterns: []string{
				`(?mi)^[ \t]*(?:(?:public|private|protected|var|static|const)[ \t]+)*\$?\w*(?:passw(?:or)?d|passwd|pass|secret|_pwd|dbpass|blowfish_secret|secretkey)\w*(?:\[[^\]]*\])*[ \t]*=[ \t]*('(?:[^'\\\n]|\\.)+'|"(?:[^"\\\n]|\\.)+")`,
				`(?i)\[[ \t]*["']\w*(?:passw(?:or)?d|pass|secret|blowfish_secret|_pwd)\w*["'][ \t]*\][ \t]*=[ \t]*('(?:[^'\\\n]|\\.)+'|"(?:[^"\\\n]|\\.)+")`,
				`(?i)["']\w*(?:passw(?:or)?d|secret|_pass|pwd)["'][ \t]*=>[ \t]*('(?:[^'\\\n]|\\.)+'|"(?:[^"\\\n]|\\.)+")`,
				`(?i)define[ \t]*\([ \t]*["']\w*(?:PASSWORD|PASSWD|DB_PASS|SECRET|_PWD|AUTH_KEY|API_KEY)\w*["'][ \t]*,[ \t]*('(?:[^'\\\n]|\\.)+'|"(?:[^"\\\n]|\\.)+")`,
				`(?i)mysqli?_connect[ \t]*\([^,)\n]+,[^,)\n]+,[ \t]*('(?:[^'\\\n]|\\.)+'|"(?:[^"\\\n]|\\.)+")`,
				`<(?:password|key)><!\[CDATA\[([^\]\n]+)\]\]></(?:password|key)>`,
			},
			keep: notField,
		},
		{
			id: "django-secret-key", title: "secret in Django's or Flask's settings", kind: detect.KindKey, severity: critical,
			names: []string{"settings.py", "local_settings.py", "settings_*.py", "*_settings.py", "production.py", "development.py", "config.py", "dev.py", "prod.py", "base.py", "local.py", "superset_config.py", "airflow.cfg", "webserver_config.py"},
			patterns: []string{
				`(?m)^[ \t]*(?:SECRET_KEY|[A-Z_]*SECRET_KEY|JWT_SECRET\w*|SECURITY_PASSWORD_SALT|WTF_CSRF_SECRET_KEY)[ \t]*(?::[ \t]*\w+[ \t]*)?=[ \t]*[rb]?("[^"\n]+"|'[^'\n]+')`,
				`(?m)^[ \t]*["']PASSWORD["'][ \t]*:[ \t]*("[^"\n]+"|'[^'\n]+')`,
				`(?m)^[ \t]*[A-Z_]*(?:PASSWORD|API_KEY|AUTH_TOKEN|ACCESS_TOKEN|SECRET|SECRET_ACCESS_KEY)[ \t]*=[ \t]*[rbu]?("[^"\n]+"|'[^'\n]+')`,
				`(?m)^(?:fernet_key|secret_key|smtp_password|broker_password)[ \t]*=[ \t]*` + toEnd,
			},
			keep: notField,
		},
		{
			id: "htpasswd-hash", title: "password hash of a web server", kind: detect.KindHash, severity: medium,
			names: []string{".htpasswd", "htpasswd", "*.htpasswd", ".htpasswd*", "htpasswd.*", ".htdigest", "htdigest", "passwords.txt", "basic_auth", "users.htpasswd"},
			patterns: []string{
				`(?m)^[^:#\s][^:#\r\n]*:(\$(?:apr1|2[abxy]|1|5|6|y)\$[^\s:]+|\{(?:SSHA|SHA|SSHA256|SSHA512|MD5|CRYPT)\}[^\s:]+)[ \t\r]*$`,
				`(?m)^[^:#\s][^:#\r\n]*:[^:\r\n]+:([a-f0-9]{32})[ \t\r]*$`, `(?m)^[^:#\s][^:#\r\n]*:([./0-9A-Za-z]{13}|\{PLAIN\}[^\s:]+)[ \t\r]*$`,
			},
		},
		{
			id: "tomcat-users-password", title: "password of an application server's user", kind: detect.KindPassword, severity: high,
			names:    []string{"tomcat-users.xml", "server.xml", "context.xml", "standalone.xml", "*-ds.xml", "resin.xml", "jetty.xml", "glassfish-resources.xml", "persistence.xml", "hibernate.cfg.xml", "activemq.xml", "jetty-realm.properties", "shiro.ini", "quartz.properties"},
			patterns: []string{`(?i)\b(?:password|keystorePass|truststorePass|connectionPassword|certificateKeystorePassword|keyPass|secret)="([^"\r\n]+)"`, `(?i)<(?:password|user-password)>([^<\r\n]+)</`, `(?i)name="[\w.]*password"(?:[ \t]+value="([^"]+)"|>([^<\r\n]+)<)`},
		},
		{
			id: "aspnet-config-secret", title: "secret in .NET settings", kind: detect.KindPassword, severity: critical,
			names: []string{"web.config", "app.config", "*.exe.config", "web.*.config", "appsettings.json", "appsettings.*.json", "secrets.json", "local.settings.json", "connectionstrings.config", "serviceconfiguration.*.cscfg"},
			patterns: []string{
				`(?i)\b(?:validation|decryption)Key="` + aspnetHex + `"`, `(?i)(?:password|pwd)[ \t]*=[ \t]*([^;"'<>{}\r\n]+)`,
				jsonMember, `(?i)<add[ \t]+key="[\w.:\-]*?` + secretName + `"[ \t]+value="([^"\r\n]+)"`, `(?i)\bpassword="([^"\r\n]+)"`,
			},
			keep: notField,
		},
		{
			id: "symfony-parameters-secret", title: "secret in a PHP framework's parameters", kind: detect.KindPassword, severity: high,
			names:    []string{"parameters.yml", "parameters.yaml", "parameters.ini", "config.neon", "local.neon", "app.yml", "databases.yml"},
			patterns: []string{`(?mi)^[ \t]*[\w.]*?(?:password|secret|token|api_key)[ \t]*[:=][ \t]+` + toEnd}, keep: notSetting,
		},
		{
			id: "jsforce-login-password", title: "password in a call that logs in", kind: detect.KindPassword, severity: high,
			names: []string{"*.js", "*.ts", "*.py", "*.rb", "*.mjs"}, needs: "login(",
			patterns: []string{`\.login\([ \t]*["'][\w.+\-]+@[\w\-]+\.[\w.\-]+["'][ \t]*,[ \t]*("[^"\r\n]{4,80}"|'[^'\r\n]{4,80}')`},
		},
	}
}

// aspnetHex is what ASP.NET signs and encrypts with.
const aspnetHex = `([A-F0-9]{32,128})`

// notField refuses what code puts where a value goes: a name of a field, a call,
// a sentence to the user.
func notField(secret []byte) bool {
	s := bytes.TrimSpace(secret)
	if len(s) == 0 || s[0] == '$' || bytes.ContainsAny(s, "<>") && bytes.Contains(s, []byte("</")) {
		return false
	}
	if bytes.Count(s, []byte(" ")) > 2 && len(bytes.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,!?'")) == 0 {
		return false
	}
	if bytes.HasPrefix(s, []byte("required|")) || bytes.HasPrefix(s, []byte("nullable|")) || bytes.HasPrefix(s, []byte("sometimes|")) || bytes.HasSuffix(s, []byte("|required")) {
		return false // Laravel's validation
	}
	switch string(bytes.ToLower(s)) {
	case "password", "pass", "passwd", "secret", "pwd", "token", "text", "hidden", "input", "utf-8", "utf8", "utf8mb4", "iso-8859-1", "latin1", "ascii":
		return false
	}
	return notSetting(secret)
}
