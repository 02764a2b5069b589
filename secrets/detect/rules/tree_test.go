package rules_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/standard"
)

// leaky is a tree of the kinds of files that people publish by mistake. Lines
// that hold a secret end with a mark that is taken off, or stand before one.
func leaky(rng *rand.Rand) map[string]string {
	k := func(n int) string { return random(rng, base62, n) }
	x := func(n int) string { return random(rng, "0123456789abcdef", n) }
	p := func() string { return random(rng, "abcdefghkmnpqrst", 6) + random(rng, "23456789", 3) }
	bcrypt := func() string { return "$2" + "y$10$" + random(rng, base62, 53) }
	return map[string]string{
		".bashrc":                      "# aliases\nexport EDITOR=vi\nexport MAIL_PASSWORD='" + p() + "' §\nexport PUSHER_SECRET=" + k(32) + " §\n",
		".docker/config.json":          "{\"auths\": {\n\"https://r.example.net\": {\n\"auth\": \"" + b64("u:"+p()) + "\" §\n}}}\n",
		".netrc":                       "machine a.example.net login me password " + p() + " §\nmachine b.example.net login me password " + p() + " §\n",
		".npmrc":                       "registry=https://r.example.net/\n//r.example.net/:_authToken=" + k(36) + " §\n_auth = " + b64("u:"+p()) + " §\n",
		".git-credentials":             "https://me:" + p() + "@git.example.net §\n",
		".pgpass":                      "db.example.net:5432:shop:me:" + p() + " §\n",
		".esmtprc":                     "hostname smtp.example.net:587\nusername me\npassword \"" + p() + "\" §\n",
		".ftpconfig":                   "{\n\"host\": \"h\",\n\"pass\": \"" + p() + "\", §\n\"passphrase\": \"" + p() + "\" §\n}\n",
		".vscode/sftp.json":            "{\n\"host\": \"h\",\n\"password\": \"" + p() + "\" §\n}\n",
		".idea/WebServers.xml":         "<webServer>\n<fileTransfer host=\"h\" password=\"" + x(40) + "\" username=\"u\"> §\n</webServer>\n",
		".mozilla/firefox/logins.json": "{\"logins\": [{\n\"encryptedUsername\": \"" + k(60) + "\", §\n\"encryptedPassword\": \"" + k(60) + "\" §\n}]}\n",
		"cloud/.aws/credentials":       "[default]\naws_access_key_id = AK" + "IA" + random(rng, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16) + " §\naws_secret_access_key = " + k(40) + " §\n",
		"cloud/.s3cfg":                 "host_base = s3.example.net\nsecret_key = " + k(40) + " §\n",
		"cloud/.tugboat":               "authentication:\n  api_key: " + x(32) + " §\nssh:\n  ssh_user: admin\n",
		"cloud/heroku.json":            "{\n\"HEROKU_EMAIL\": \"a@example.net\",\n\"HEROKU_API_KEY\": \"" + x(32) + "\" §\n}\n",
		"db/dump.sql":                  "CREATE TABLE `users` (\n`id` int,\n`password` varchar(60)\n);\nINSERT INTO `users` VALUES\n(1, '" + bcrypt() + "'), §\n(2, '" + bcrypt() + "'); §\n",
		"db/dbeaver-data-sources.xml":  "<data-sources>\n<connection host=\"h\" user=\"u\" password=\"" + p() + "\"/> §\n</data-sources>\n",
		"db/mongoid.yml":               "production:\n  uri: \"mongodb://shopapp:" + p() + "@db7.shop.internal/main\" §\n",
		"db/robomongo.json":            "{\n\"userName\" : \"u\",\n\"userPassword\" : \"" + p() + "\", §\n\"sshPassphrase\" : \"" + p() + "\" §\n}\n",
		"etc/shadow":                   "root:$6$" + k(16) + "$" + k(86) + ":17591:0:99999:7::: §\nbin:*:17575:0:99999:7:::\n",
		"filezilla/sitemanager.xml":    "<Server>\n<User>u</User>\n<Pass encoding=\"base64\">" + b64(p()) + "</Pass> §\n</Server>\n",
		"hub":                          "github.com:\n- user: u\n  oauth_token: " + x(40) + " §\n",
		"proftpdpasswd":                "u:$6$" + k(16) + "$" + k(86) + ":1:1::/home/u:/bin/false §\n",
		"ventrilo_srv.ini":             "[Server]\nName=S\nAdminPassword=" + p() + " §\nPassword=" + p() + " §\n",
		"web/config/master.key":        x(32) + " §\n",
		"web/config/secrets.yml":       "production:\n  secret_key_base: " + x(128) + " §\n",
		"web/settings.py":              "DEBUG = True\nSECRET_KEY = '" + k(50) + "' §\n",
		"web/crm.js":                   "let conn = connect();\nconn.login('me@example.net', '" + p() + "', done); §\n",
		"www/.env":                     "APP_ENV=local\nAPP_KEY=base64:" + k(43) + "= §\nDB_PASSWORD=" + p() + " §\nREDIS_PASSWORD=" + p() + " §\nMAIL_ENCRYPTION=tls\n",
		"www/.htpasswd":                "admin:$ap" + "r1$" + k(8) + "$" + k(22) + " §\n",
		"www/config.php":               "<?php\n$dbuser = 'root';\n$dbpasswd = '" + p() + "'; §\n",
		"www/wp-config.php":            "<?php\ndefine('DB_NAME', 'main');\ndefine('DB_PASSWORD', '" + p() + "'); §\ndefine('AUTH_KEY', '" + k(64) + "'); §\ndefine('NONCE_SALT', '" + k(30) + "#{" + k(30) + "'); §\n",
	}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// TestTheTreeIsFound asks for every marked line of the tree and for no other.
func TestTheTreeIsFound(t *testing.T) {
	d, err := detect.New(standard.Config())
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(3) {
		for path, text := range leaky(rand.New(rand.NewPCG(seed, 9))) {
			want := map[int]bool{}
			for i, line := range strings.Split(text, "\n") {
				if strings.HasSuffix(line, " §") {
					want[i+1] = true
				}
			}
			got := map[int]bool{}
			d.Scan(detect.Text{Path: path, Body: []byte(strings.ReplaceAll(text, " §", ""))}, func(l *detect.Leak) {
				if !l.Sample {
					got[l.Line] = true
				}
			})
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: found in lines %v, want %v, of\n%s", path, got, want, text)
			}
		}
	}
}
