package files

import (
	"bytes"

	"github.com/interlock-security/interlock/secrets/detect"
)

// builds are settings of build tools and CI servers.
func builds() []format {
	return []format{
		{
			id: "maven-settings-password", title: "password in Maven's settings", kind: detect.KindPassword, severity: high,
			names:    []string{"settings.xml", "maven-settings.xml", "*settings.xml", "security-settings.xml"},
			patterns: []string{`<(?:password|passphrase)>([^<\r\n]+)</(?:password|passphrase)>`}, keep: notBraced,
		},
		{
			id: "gradle-properties-secret", title: "secret in Gradle or Java properties", kind: detect.KindPassword, severity: high,
			names:    []string{"gradle.properties", "local.properties", "key.properties", "keystore.properties", "signing.properties", "sonar-project.properties", "application.properties", "application-*.properties", "secrets.properties", "credentials.properties", "*.credentials", ".sbtcredentials", "ivy.properties"},
			patterns: []string{`(?mi)^[ \t]*[\w.\-]*?` + secretName + `(?:[._\-]?[a-z0-9]{1,12})??[ \t]*[=:][ \t]*` + toEnd},
			keep:     notSetting,
		},
		{
			id: "nuget-config-password", title: "password in NuGet's settings", kind: detect.KindPassword, severity: high,
			names:    []string{"nuget.config", "*.nuget.config", "nuget.*.config"},
			patterns: []string{`(?i)<add[ \t]+key="(?:ClearText)?Password"[ \t]+value="([^"\r\n]+)"`, `(?i)<apikeys>\s*<add[ \t]+key="[^"]+"[ \t]+value="([^"\r\n]+)"`},
		},
		{
			id: "jenkins-credentials-secret", title: "secret in Jenkins' credentials", kind: detect.KindPassword, severity: high,
			names: []string{"credentials.xml", "jenkins.plugins.*.xml", "hudson.plugins.*.xml"}, patterns: []string{`<(?:password|secret|passphrase|privateKey|secretBytes|apiToken|bindPassword)>([^<]+)</`}, keep: notBraced,
		},
		{
			id: "jenkins-encrypted-secret", title: "secret in Jenkins' credentials under Jenkins' own key", kind: detect.KindPassword, severity: low,
			names: []string{"credentials.xml"}, patterns: []string{`<(?:password|secret|passphrase|privateKey|secretBytes|apiToken)>\{AQA([A-Za-z0-9+/=]{20,})\}</`},
		},
		{
			id: "jenkins-master-key", title: "Jenkins' own key", kind: detect.KindKey, severity: critical,
			names: []string{"master.key", "hudson.util.secret"}, in: "secrets/", patterns: []string{`\A([a-f0-9]{64,256})\s*\z`},
		},
	}
}

// frameworks are settings of frameworks and of package managers.
func frameworks() []format {
	return []format{
		{
			id: "rails-master-key", title: "Rails master key", kind: detect.KindKey, severity: critical,
			names: []string{"master.key", "production.key", "staging.key", "development.key", "test.key", "credentials.key"}, patterns: []string{`\A([a-f0-9]{32,64})\s*\z`},
		},
		{
			id: "rails-secrets-yml", title: "secret in Rails' settings", kind: detect.KindKey, severity: critical,
			names:    []string{"secrets.yml", "secrets.yaml", "database.yml", "cable.yml", "storage.yml", "credentials.yml", "application.yml", "mongoid.yml", "secret_token.rb", "secret_key_base.rb", "devise.rb", "omniauth.rb"},
			patterns: []string{`(?mi)^[ \t]*["':]?[\w.]*?` + secretName + `(?:_base|_key|_token|_key_base)?["']?:[ \t]+` + toEnd, `(?m)(?:secret_key_base|secret_token|secret_key|pepper)[ \t]*=[ \t]*(["'][^"'\n]+["'])`},
			keep:     notSetting,
		},
		{
			id: "hashed-notebook-password", title: "password or token of Jupyter", kind: detect.KindHash, severity: medium,
			names:    []string{"jupyter_notebook_config.json", "jupyter_server_config.json", "jupyter_notebook_config.py", "jupyter_server_config.py", "jupyter_lab_config.py", "jupyterhub_config.py"},
			patterns: []string{`"(?:hashed_)?password"[ \t]*:[ \t]*"([^"\n]+)"`, `(?m)^[ \t]*c\.\w+(?:\.\w+)*\.(?:password|token|hashed_password|client_secret|api_token|cookie_secret|auth_token)[ \t]*=[ \t]*u?(["'][^"'\n]+["'])`},
		},
		{
			id: "bundle-config-credentials", title: "credentials of a gem or module source", kind: detect.KindPassword, severity: high,
			names: []string{"config", "credentials"}, in: "bundle/", patterns: []string{`(?m)^BUNDLE_[A-Z0-9_]+:[ \t]*"?[^:\s"]+:([^\s"]+)"?$`},
		},
		{
			id: "gem-credentials", title: "keys of RubyGems or Cargo", kind: detect.KindToken, severity: critical,
			names: []string{"credentials", "credentials.toml"}, patterns: []string{`(?m)^:[\w.\-]+:[ \t]*(?:Bearer )?([A-Za-z0-9_]{20,})`, `(?m)^[ \t]*token[ \t]*=[ \t]*("[^"\n]+")`},
		},
		{
			id: "condarc-token", title: "password in settings of Python tools", kind: detect.KindPassword, severity: high,
			names: []string{"auth.toml", ".condarc", "pip.conf", "pip.ini"}, patterns: []string{`(?m)^[ \t]*(?:password|pypi-token\.\w+)[ \t]*=[ \t]*` + toEnd, `(?m)//[^:/\s]+:([^@\s/]+)@`},
		},
	}
}

// automation are what deployments, tests and CI services are told.
func automation() []format {
	return []format{
		{
			id: "ansible-vault-password", title: "password of Ansible's vault", kind: detect.KindPassword, severity: critical,
			names: []string{".vault_pass", ".vault_pass.txt", "vault_pass", "vault_pass.txt", ".vault-password", "vault-password", ".vault_password", "vault_password_file", ".vaultpass", "vault.pass", ".ansible_vault_pass"}, patterns: []string{`\A([^\s#!][^\r\n]{2,200})\s*\z`},
		},
		{
			id: "postman-secret", title: "secret in a Postman collection or environment", kind: detect.KindToken, severity: high,
			names: []string{"*postman_environment.json", "*postman_globals.json", "*postman_collection.json", "*.postman_*"},
			patterns: []string{
				`(?i)"key"[ \t]*:[ \t]*"[\w.\- ]{0,40}?` + secretName + `[\w.\-]{0,10}"[ \t]*,\s*"(?:value|initialValue|currentValue)"[ \t]*:[ \t]*"((?:[^"\\\n]|\\.)+)"`,
				`(?i)"(?:value|initialValue|currentValue)"[ \t]*:[ \t]*"((?:[^"\\\n]|\\.)+)"[ \t]*,\s*"key"[ \t]*:[ \t]*"[\w.\- ]{0,40}?` + secretName + `[\w.\-]{0,10}"`,
			},
			keep: notSetting,
		},
		{
			id: "travis-plain-secret", title: "secret in the settings of a CI service", kind: detect.KindPassword, severity: high,
			names:    []string{".travis.yml", "appveyor.yml", ".drone.yml", "bitbucket-pipelines.yml", "buildspec.yml", "codeship-services.yml", "wercker.yml", ".gitlab-ci.yml", "azure-pipelines.yml", "cloudbuild.yaml", ".woodpecker.yml"},
			patterns: []string{`(?m)^[ \t]*(?:-[ \t]+)?["']?[A-Z][A-Z0-9_]*(?:PASSWORD|PASSWD|SECRET|TOKEN|API_KEY|ACCESS_KEY|PRIVATE_KEY)["']?[ \t]*[:=][ \t]*` + toEnd},
			keep:     notSetting,
		},
	}
}

// notBraced refuses what the tool has encrypted under its own key.
func notBraced(secret []byte) bool {
	s := bytes.TrimSpace(secret)
	return len(s) > 0 && s[0] != '{' && !bytes.HasPrefix(s, []byte("-----BEGIN"))
}

// notSetting refuses what stands behind a name like a secret's but is a switch,
// a number, a path or a list.
func notSetting(secret []byte) bool {
	s := bytes.TrimSpace(secret)
	if len(s) < 4 && len(bytes.Trim(s, "0123456789")) == 0 || len(s) < 2 {
		return false
	}
	switch s[0] {
	case '/', '~', '[', '{', '&', '*', '|', '>', '(', ':', '<', '!':
		return s[0] == '*' && len(s) > 12 || s[0] == '!' && len(s) > 6 && !bytes.Contains(s, []byte(" "))
	}
	for _, start := range []string{"./", "../", "classpath:", "file:", "secure:", "ENC[", "ENC(", "from_secret", "$", "%", "ENV", "http://", "https://", "lambda", "secrets."} {
		if bytes.HasPrefix(s, []byte(start)) {
			return false
		}
	}
	return true
}
