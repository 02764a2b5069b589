package grammar

import "strings"

// set makes a set of the blank-separated words of lists.
func set(lists ...string) map[string]bool {
	m := map[string]bool{}
	for _, l := range lists {
		for _, w := range strings.Fields(l) {
			m[w] = true
		}
	}
	return m
}

// nouns are the words that name a secret, in the languages it is named in.
var nouns = func() map[string]noun {
	m := map[string]noun{}
	for n, list := range map[noun]string{ //nolint:gosec // names of secrets, and no secrets
		nounPassword: `password passwords passwd passphrase passphrases passcode pwd passwrd psswd passwort passworte kennwort losung
			losenord lösenord senha contraseña contrasena contrasenya wachtwoord hasło haslo heslo motdepasse mdp parola parole salasana jelszo jelszó
			lozinka adgangskode passord пароль Пароль ПАРОЛЬ 密码 密碼 パスワード 비밀번호 psk presharedkey wpapassphrase
			dbpass dbpw userpw rootpw bindpw dnpass bindpass ldappass smtppass imappass authpass storepass keypass cpassword CONTRASEÑA Contraseña parool kodeord şifre sifre пароля кодовое
			pword adminpw rootpass ftppass mailpass sqlpass mypass mysqlpass pgpass`,
		nounPass:      `pass pw pswd psw pwrd clave mima passe`,
		nounSecret:    `secret secrets geheimnis secrete secrète secretkey clientsecret appsecret apisecret секрет`,
		nounToken:     `token tokens authtoken accesstoken apitoken pat jwt bearer`,
		nounKey:       `apikey apikeys appkey accesskey privatekey authkey signingkey encryptionkey masterkey sharedkey sharedaccesskey accountkey enckey`,
		nounBareKey:   `key keys schluessel schlüssel ключ`,
		nounAuth:      `auth authorization authentication credential credentials creds cred`,
		nounPin:       `pin pincode`,
		nounSalt:      `salt pepper`,
		nounCommunity: `community`,
	} {
		for _, w := range strings.Fields(list) {
			m[w] = n
		}
	}
	return m
}()

// gluedSuffixes are nouns that are found at the end of a word; those that end
// ordinary words too ask for a known word before them.
var gluedSuffixes = []struct {
	word string
	noun noun
	any  bool
}{
	{"password", nounPassword, true},
	{"passwd", nounPassword, true},
	{"passphrase", nounPassword, true},
	{"passwort", nounPassword, true},
	{"kennwort", nounPassword, true},
	{"wachtwoord", nounPassword, true},
	{"passcode", nounPassword, true},
	{"psk", nounPassword, true},
	{"secret", nounSecret, true},
	{"apikey", nounKey, true},
	{"token", nounToken, false},
	{"pass", nounPassword, false},
	{"pwd", nounPassword, true},
	{"pw", nounPassword, false},
	{"pin", nounPin, false},
	{"key", nounKey, false},
}

var (
	gluedPrefixes = set(`db my user usr admin root mysql pg sql postgres smtp mail email ftp sftp ssh keystore truststore server client bind
		login ldap wifi wlan auth access refresh bearer api app session secret private encryption master shared web http https proxy rpc redis
		mongo oracle sudo account acct vpn ppp radius tacacs snmp mqtt amqp rabbit bot deploy github gitlab npm slack service svc guest
		operator telnet enable cert store signing hmac jwt cookie crypt aes wp wordpress joomla drupal dbuser sys system rest
		remote source target src dst dest repl replication sasl irc nick oper link sender host router switch modem ap owner cam dvr nvr door gate pos kiosk
		printer scan plc hmi scada opc ntp dns ddns dyndns jdbc cloud aws azure backup sip imap pop rtsp camera nas samba smb rdp vnc ipmi bmc idrac ilo database webdav repo registry docker
		tv tg telegram discord wep wpa zip archive pdf crypto data cipher`)
	gluedDenied = set(`no non is has get show hide forgot reset change un pre old`)

	// neutral words may stand behind a noun.
	neutral = set(`prod production dev devel development staging stage test testing qa uat live local sandbox demo default current old new
		value val string str text txt plain plaintext clear cleartext raw bytes b hex utf data base main primary secondary backup
		master slave replica a c x y one two first second admin root user users for of the to in on at db database server client service
		env var const literal eu us de fr uk int internal external shared global common api app web prd stg tst dr site ro rw
		readonly readwrite read write ascii unencrypted decrypted phrase secret password pass key token is ist lautet est es cleartext
		again confirmation confirm repeat override fallback temp tmp initial static hardcoded my mysql postgres redis ldap smtp`)

	// denied words behind a noun make the name one of something else.
	denied = set(`field fields policy policies hash hashes hashed hasher hashing algo algorithm alg type types name names id ids uid guid url urls uri uris path paths
		file files filename dir directory folder length len min max minlength maxlength size count counts num number expiry expires expire expiration
		expired exp ttl timeout lifetime label labels hint hints placeholder prompt message messages msg error errors err title regex regexp
		re pattern patterns format formats formatter validator validators validation validate valid invalid reset resets change changes changed changer input
		inputs form forms button btn icon class classes required enabled enable disabled disable disallowed strength header headers prefix suffix
		endpoint endpoints provider providers manager managers store stores storage ref refs reference references selector mode modes usage usages
		version versions versioned index indices idx column columns col table param params parameter parameters arg args argument arguments
		encoder encoding encoder date time timestamp at age history attempts attempt limit limits rotation rotate set is has check
		checks checker verified verification verify verifier source sources protected protection less tls scope scopes issuer audience callback grant
		request requests response responses handler handlers factory service services builder helper helpers util utils map mapping list array property properties
		option options opt opts setting settings config configs configuration section page pages view screen modal dialog link links email
		mail template templates key_id keyid kind state status code codes event events action actions command cmd description desc comment comments
		note notes info details item items object objects node nodes stream streams parser lexer scanner reader writer buffer pos position
		offset start end begin last next prev previous left right bucket buckets pool cache caches cached queue ring rings
		generator generated generate gen rule rules visibility visible toggle show hide hidden meter score model schema entity struct interface
		func function method callable callback hook hooks middleware guard interceptor strategy fn cb ptr pointer
		size bits sizes rate ratio price cost usage budget symbol symbols separator sep delimiter char chars character characters
		owner namespace ns annotation annotations engine backend resource resources arn volume volumes mount mounts path
		pressed down up press code event binding bindings board pad stroke chain ring frame frames word words phrase_id
		signature signatures digest fingerprint checksum sha sha1 sha256 md5 thumbprint
		permission permissions role roles group groups domain realm host hosts hostname port ports address region locale lang language
		var_name envvar environ getter setter exists missing needed optional present supplied provided
		through thru by than as like from with without via due and or not if then else
		encryption method methods mechanism protocol protocols scheme schemes standard
		mgmt management charset collation weak too strong short long match mismatch
		bypass book pages fail failed failure success ok done warning warn
		exclude include excluded included filter filters sort order ordering keywords tag tags
		encrypted sealed masked redacted obfuscated vault wrapped
		public pub cert certificate certificates ca crt pem der`)
	// deniedBefore words anywhere before a noun do the same.
	deniedBefore = set(`public pub is has have no non without num number count max min use uses using enable enables enabled disable disabled show hide forgot
		forget forgotten reset resets require requires required requiring allow allows invalid wrong incorrect missing generate generates generated validate validates check checks
		verify verifies encrypt encrypts encrypted decrypt hash hashed hashing csrf xsrf nonce should can did does must needs need
		via len length random rand fetch find load loads parse parses print read reads receive request requests retrieve compare ask prompt prompts
		obtain resolve lookup delete remove removes unset extract strip sanitize mask redact placeholder dummy fake example mock
		type typeof instanceof new_password_field error err errors label labels hint i18n translate message msg title
		sha sha1 sha256 md5 checksum digest integrity etag sealed vaulted`)
	tokenDenied = set(`next page pagination continuation sync cancel cancellation cancelation eos bos pad unk mask sep cls lexer parser
		syntax stop special start end last prev previous first current peek keyword operator punctuation string comment
		ct unexpected expected word total prompt completion output input num per design theme color css change resume
		anti forgery request csrfmiddleware antiforgery sas_name upload cursor watch semantic erc asset mint`)
	passDenied = set(`by com sur tres boarding single two multi render shader first second one each every this all per season gl filter optimization
		opt analysis low high band ski bus mountain over under and or return yield forward backward build compile test tests do does did
		will would check checks next prev last hall free ski gpio reset cs sck mosi miso led rx tx scl sda push pull clock
		button output input interrupt data bowling pop map drop marker safety hair duck`)
	// keyQualifiers make a key a secret.
	keyQualifiers = set(`api access secret private priv encryption encrypt encrypting enc signing sign signature master auth account acct shared psk storage license session cookie
		app application service svc jwt hmac aes des rsa cipher crypt crypto crypting ssh wep wpa wifi deploy consumer client admin root data function functions
		subscription ingest ingestion write integration server webhook security secure symmetric symetric encrypted decryption decrypt user customer
		developer dev prod production staging live stripe aws azure gcp google maps github gitlab slack twilio sendgrid mailgun mailchimp
		datadog newrelic sentry algolia openai anthropic instrumentation device iot hub bus machine validation rest rpc
		backup archive tls ssl radius tacacs vpn ipsec ike preshared pre wg wireguard transport join cluster gossip erlang
		fernet flask django rails laravel symfony token tokens bearer host provisioning enrollment registration bot partner merchant
		payment gateway tenant team project org organization workspace activation product serial base pass password
		iapp mgmt symm secretaccess accesskey sas appinsights monitor firebase push vapid fcm apns recaptcha captcha turnstile kms kek dek wrapping
		primary secondary admin seed hash hashing unseal recovery root vault auditing network radio zigbee lora lorawan nwk nwks apps bacnet modbus opc plc snmp ntp md5 routing_auth ospf bgp hsrp vrrp isakmp eigrp key`)
	wireless  = set(`wpa wpa2 wep wifi wlan psk preshared`)
	keyDenied = set(`public pub foreign partition sort row cache lookup translation i18n map dict index unique composite object group known
		idempotency dedupe feature registry routing range hot shortcut keyboard press arrow enter escape
		keyid column surrogate query verification verify field sheet test_key header name label message error msg primary_column redis_key cachekey s3 bucket
		metadata attribute attr item entry storage_name local_storage localstorage event websocket socket`)
)

// Words of values.
var (
	// placeholders are words that say that the real value goes here.
	placeholders = set(`changeme changeit changethis replaceme replace replacethis placeholder example examples todo fixme tbd dummy redacted masked
		removed sample fake mock insert fillme fill xxx xxxx xxxxx xxxxxx xxxxxxxx yyyy zzzz foo bar baz foobar quux lorem ipsum
		your yours yourpassword youpassword yoursecret yourtoken yourkey yourapikey hidden censored omitted obfuscated sanitized stripped
		anonymous notreal notasecret invalid unset undefined none null nil empty blank void missing unknown unspecified nothing whatever something somepassword
		somesecret sometoken anything somevalue value values variable redact`)
	// trivial values are those that no one hides, alone.
	trivial = set(`on_create true false yes no on off null nil none undefined default optional required string text str bool boolean int integer number
		float double object array any void char varchar bytes byte password passwd secret token key hidden input plain plaintext cleartext
		basic bearer digest oauth oauth2 jwt ldap kerberos saml apikey auto automatic manual enabled disabled enable disable always never
		prompt ask interactive env environment vault keyring file stdin config inherit local remote internal external public private
		protected static self this me user users username admin login test testing demo guest root pass pwd passphrase credential
		credentials value name type id email random generated autogenerated unset empty todo na n/a xxx foo bar baz qux foobar
		encrypted hashed md5 sha1 sha256 sha512 bcrypt scrypt argon2 pbkdf2 rsa aes hmac hs256 rs256 unsecured insecure secure
		sensitive confidential description label title header query body cookie path url uri method get post put delete patch
		strict lax relaxed weak medium strong low high normal standard read write admin confirm confirmation reset change
		update create forgot new old current repeat again show hide toggle submit cancel ok error invalid incorrect wrong missing
		valid success failed failure mandatory must should text/plain number uuid email tel search range
		authorization authentication client server access refresh api session securestring stringdata opaque data writeonly readonly
		accesstoken refreshtoken idtoken pat csrf redacted stdin keychain keystore provided passw
		define defined undef include includes substack requisite sufficient utf-8 utf8 latin1 latin-1 ascii iso-8859-1 utf-16 base64 anonymous
		postgres mysql redis mongo mongodb rabbitmq elastic grafana minio sa oracle docker jenkins`)
	// nameWords tell a name or a label from a password.
	nameWords = set(`password passwords passwd passphrase pwd secret secrets token tokens key keys apikey credential credentials auth
		authentication authorization username user login field label input form hash salt hint reset change forgot
		enter please invalid incorrect required must should confirm minimum maximum length characters character least your
		their policy expired expire mismatch match matches wrong show hide update create generate prompt file path name
		value type config env variable header param string text message error parameter
		kennwort passwort wachtwoord contraseña senha mot passe clave пароль parola heslo hasło salasana lösenord adgangskode
		access refresh client bearer session api private public id validation validate validator service manager provider`)
	// common are passwords that are words and nothing else.
	common = set(`qwerty letmein welcome dragon monkey football baseball iloveyou master sunshine princess shadow superman batman
		trustno1 hunter hunter2 passw0rd p@ssw0rd p@ssword pa55word starwars whatever freedom ninja mustang michael jordan jennifer
		charlie donald qazwsx zxcvbn zxcvbnm asdfgh asdfghjkl qwertyuiop access swordfish correcthorse opensesame godmode god love
		sex abc123 admin123 root123 toor calvin alpine raspberry ubnt cisco changemenow manager tomcat s3cret s3cr3t vagrant
		winter summer spring autumn computer internet samsung cheese pepper ginger hockey killer george soccer
		passw0rd1 password123 password1! welcome1 welcome123 hallo123 schatz passwort1 azerty motdepasse1 letmein123
		bailey buster daniel maggie thomas robert hannah secret123 test1234 test123 demo123 guest123 user123 1q2w3e4r 1qaz2wsx qwe123 qwer1234`)
	// stopWords tell prose from a pass-phrase.
	stopWords = set(`the a an is are was be your you our their its must should please enter for of to and or not with without in on at by from this
		that these when where which if then than can cannot will could has have had does do did no yes use used using via as it
		der die das ein eine und oder nicht bitte mit für le la les un une et ou est pour el los las para por con de
		invalid incorrect wrong missing required password passwords passphrase secret token key username login user users field new old
		confirm forgot reset change changed set show hide value string least characters minimum maximum length provide provided specify specified
		optional default name file path type error failed failure cannot unable only default before after all any access authentication`)
)
