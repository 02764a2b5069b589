package files

import "github.com/interlock-security/interlock/secrets/detect"

// systems are accounts, shares and tunnels of Unix.
func systems() []format {
	return []format{
		{
			id: "shadow-hash", title: "password hash of an account", kind: detect.KindHash, severity: high,
			names:    []string{"shadow", "shadow-", "shadow.bak", "*.shadow", "gshadow", "passwd", "passwd-", "master.passwd", "*passwd", "opasswd", "userdb", "dovecot.users", "users.db", "users", "passwd-file"},
			patterns: []string{`(?m)^[^:#\s]+:((?:\$[0-9a-z]{1,6}\$|\{[A-Z0-9\-]+\}|_[./0-9A-Za-z]{8})[^:\s]+)(?::|\s*$)`, `(?m)^[^:#\s]+:([./0-9A-Za-z]{13}):[0-9]*:`},
		},
		{
			id: "smb-credentials-password", title: "password of a file share", kind: detect.KindPassword, severity: high,
			names: []string{".smbcredentials", "smbcredentials", ".cifs", "*.smbcredentials", "*smbcredentials*", ".smbclient.conf", "cifs-credentials", ".credentials"}, patterns: []string{`(?mi)^[ \t]*password[ \t]*=[ \t]*` + toEnd},
		},
		{
			id: "ppp-secret", title: "secret of a point-to-point link", kind: detect.KindPassword, severity: high,
			names: []string{"chap-secrets", "pap-secrets", "chap-secrets.*"}, patterns: []string{`(?m)^[ \t]*(?:"[^"]*"|[^\s#"]+)[ \t]+(?:"[^"]*"|[^\s"]+)[ \t]+("[^"\r\n]+"|[^\s"]+)`},
		},
		{
			id: "ipsec-secret", title: "secret of IPsec", kind: detect.KindKey, severity: critical,
			names: []string{"ipsec.secrets", "*.secrets", "psk.txt", "strongswan.secrets"}, patterns: []string{`(?mi)^[^#\n]*:[ \t]*(?:PSK|EAP|XAUTH|NTLM)[ \t]+("[^"\r\n]+"|0s\S+|0x\S+)`, `(?mi)^[^#\n]*:[ \t]*(?:RSA|ECDSA|P12|PKCS8|BLISS)[ \t]+\S+[ \t]+("[^"\r\n]+")`},
		},
		{
			id: "directory-password", title: "password of a directory service", kind: detect.KindPassword, severity: high,
			names: []string{"slapd.conf", "ldap.conf", "nslcd.conf", "sssd.conf", "ldap.secret", "pam_ldap.conf", "*.ldif", "nslcd.conf.*", "libnss-ldap.conf", "ldap.toml", "krb5.keytab.conf"}, patterns: []string{`(?mi)^[ \t]*(?:rootpw|bindpw|rootbindpw|credentials|bind_password|ldap_default_authtok)[ \t=]+` + toEnd, `(?mi)^(?:userPassword|olcRootPW|sambaNTPassword|unicodePwd)::?[ \t]*` + toEnd},
		},
	}
}

// daemons are settings of servers and agents, and of a machine's first start.
func daemons() []format {
	return []format{
		{
			id: "daemon-password", title: "password in a daemon's settings", kind: detect.KindPassword, severity: high,
			names: []string{"redis.conf", "redis-*.conf", "sentinel.conf", "rabbitmq.conf", "grafana.ini", "ddclient.conf", "clients.conf", "odbc.ini", ".odbc.ini", "freetds.conf", "supervisord.conf", "zabbix_*.conf", "zabbix_server.conf", "bacula-*.conf", "bareos-*.conf", "hostapd.conf", "hostapd-*.conf", "munin.conf", "nagios.cfg", "icinga*.conf", "monit.conf", "monitrc", "influxdb.conf", "elasticsearch.yml", "kibana.yml", "proxysql.cnf", "pgbouncer.ini", "openfortivpn.conf", "config.ini", "settings.ini", "odoo.conf", "openerp.conf", "app.ini", "gitea.ini", "mosquitto.conf", "asterisk.conf", "sip.conf", "pjsip.conf", "iax.conf", "manager.conf", "voicemail.conf", "snmpd.conf", "snmptrapd.conf", "radiusd.conf", "turnserver.conf", "prosody.cfg.lua", "ejabberd.yml", "homeserver.yaml", "unrealircd.conf", "inspircd.conf", "ircd.conf", "*.ini"},
			patterns: []string{
				`(?mi)^[ \t]*(?:requirepass|masterauth|sentinel auth-pass \S+|default_pass|admin_password|secret_key|password|passwd|db_password|dbpassword|smtp_password|bind_password|pwd|wpa_passphrase|admin_passwd|db_pass|rpc_password|jwt_secret|internal_token|lfs_jwt_secret|static-auth-secret|cli-password|secret|remotesecret|vmsecret|md5secret|registration_shared_secret|macaroon_secret_key|form_secret)[ \t]*[= \t:][ \t]*` + toEnd,
				`(?mi)^[ \t]*(?:rocommunity6?|rwcommunity6?|com2sec[ \t]+\S+[ \t]+\S+)[ \t]+(\S+)`,
				`(?mi)^[ \t]*createUser[ \t]+\S+[ \t]+\S+[ \t]+("[^"]+"|\S+)`,
			},
			keep: notDaemonSetting,
		},
		{
			id: "service-account-line", title: "password in a line of a daemon's own grammar", kind: detect.KindPassword, severity: high,
			names: []string{"exim*.conf", "exim*.conf.*", "proftpd*.conf", "upsmon.conf", "redis*.conf", "users.acl", "*.acl", "turnserver.conf", "coturn.conf"}, patterns: []string{
				`(?m)^[ \t]*(?:client_send|client_secret)[ \t]*=[ \t]*(?::[^:\r\n]*:[ \t]*|\^[^^\r\n]*\^|[^:^\r\n]+:[ \t]*)([^\s:^]+)[ \t]*$`,
				`(?mi)^[ \t]*SQLConnectInfo[ \t]+\S+[ \t]+\S+[ \t]+(\S+)`,
				`(?m)^[ \t]*MONITOR[ \t]+\S+[ \t]+[0-9]+[ \t]+\S+[ \t]+(\S+)[ \t]+(?:master|slave|primary|secondary)\b`,
				`(?m)^[ \t]*user[ \t]+\S+[ \t][^\r\n]*?>([^\s>]+)`,
				`(?m)^[ \t]*user=[^:\s]+:([^\s:]+)[ \t]*$`,
			},
			keep: notDaemonSetting,
		},
		{
			id: "service-account-line", title: "password in a line of a daemon's own grammar", kind: detect.KindPassword, severity: high,
			names: []string{"tac_plus*.conf", "tac_plus*.cfg", "tac-plus*.conf", "tacacs*.conf"}, patterns: []string{
				`(?m)^[ \t]*(?:key|secret)[ \t]*=[ \t]*("[^"\r\n]+"|[^\s"]+)[ \t\r]*$`,
				`(?m)^[^#\n]*\b(?:login|enable|pap|chap|arap|opap|ms-chap)[ \t]*=[ \t]*(?:cleartext|clear)[ \t]+("[^"\r\n]+"|[^\s"]+)`,
			},
			keep: notDaemonSetting,
		},
		{
			id: "service-account-line", title: "password in a line of a daemon's own grammar", kind: detect.KindPassword, severity: high,
			names: []string{"resource.cfg"}, patterns: []string{`(?m)^[ \t]*\$USER(?:[2-9]|[0-9]{2,3})\$[ \t]*=[ \t]*([^/\s]*[0-9][^/\s]*)[ \t\r]*$`},
			keep: notDaemonSetting,
		},
		{
			id: "preshared-key-file", title: "pre-shared key kept in a file", kind: detect.KindKey, severity: high,
			names: []string{"*.psk", "zabbix*.psk"}, patterns: []string{`\A([0-9A-Fa-f]{32,512})\s*\z`},
		},
		{
			id: "game-server-password", title: "password of a voice or game server", kind: detect.KindPassword, severity: high,
			names: []string{"ventrilo_srv.ini", "*ventrilo*.ini", "murmur.ini", "mumble-server.ini", "ts3server.ini", "teamspeak*.ini", "server.properties", "server.cfg", "shoutcast.conf", "sc_serv.conf", "icecast.xml", "autoexec.cfg", "rcon.txt"}, patterns: []string{
				`(?mi)^[ \t]*(?:set[as]?[ \t]+)?(?:(?:admin|server|user|sv_|rcon_|rcon[.\-]|stream|dj|source|relay|register|query|serveradmin_|dbsql|icesecret)[ \t_]*)*(?:password|passwd|icesecretwrite|icesecretread|rcon_password)[ \t]*[= \t][ \t]*` + toEnd, `(?i)<(?:source|relay|admin)-password>([^<\r\n]+)</`,
			},
		},
		{
			id: "cloud-init-password", title: "password set at a machine's first start", kind: detect.KindPassword, severity: high,
			names: []string{"user-data", "user-data.*", "user_data.*", "cloud-config*", "cloud-init*", "*.cloud-config", "meta-data", "*user-data*", "*userdata*", "cloud.cfg"}, patterns: []string{
				`(?mi)^[ \t\-]*(?:passwd|hashed_passwd|hashed-password|password|plain_text_passwd)[ \t]*:[ \t]*` + toEnd, `(?m)^[ \t]*(?:chpasswd|list):[^\n]*\n(?:[ \t]+(?:list|expire):[^\n]*\n)*[ \t]+-?[ \t]*[a-z_][\w\-]*:` + toEnd,
			},
		},
		{
			id: "remote-config-token", title: "token of an agent", kind: detect.KindToken, severity: high,
			names: []string{"datadog.yaml", "newrelic.ini", "newrelic.yml", "newrelic-infra.yml", ".sentryclirc", "sentry.properties", "consul.hcl", "vault.hcl", "nomad.hcl", ".vault-token", "ngrok.yml", "telegraf.conf", "promtail.yml", "gitlab.rb", "config.toml", "consul*.json", "consul*.hcl", "prometheus*.yml", "prometheus*.yaml", "alertmanager*.yml", "vmagent*.yml"}, patterns: []string{
				`(?m)^[ \t\-]+credentials:[ \t]*` + toEnd,
				`"?\b(?:initial_management|master|agent|agent_recovery|default|replication|config_file_service_registration)"?[ \t]*[=:][ \t]*"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"`,
				`(?mi)^[ \t]*(?:api_key|app_key|license_key|token|auth\.token|auth[_.]token|authtoken|encrypt|master|agent|password|gitlab_rails\['[\w]*(?:password|secret)[\w]*'\]|[\w]*_password)["']?[ \t]*[=:][ \t]*` + toEnd,
			},
			keep: notSetting,
		},
		{
			id: "vault-token-file", title: "Vault token kept in a file", kind: detect.KindToken, severity: critical,
			names: []string{".vault-token", ".nomad-token", ".consul-token"}, patterns: []string{`\A([\w.\-]{20,200})\s*\z`},
		},
	}
}

func notDaemonSetting(secret []byte) bool { return notSetting(secret) && notField(secret) }
