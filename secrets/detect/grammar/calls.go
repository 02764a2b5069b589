package grammar

import (
	"bytes"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
)

const ruleArgument = "login-argument"

// calls finds passwords by their place among the arguments of functions that log
// in somewhere: client.SetBasicAuth("bob", "…"), auth=("bob", "…").
type calls struct{}

// Rules implements [detect.Grammar].
func (calls) Rules() []detect.Rule {
	return []detect.Rule{{ID: ruleArgument, Title: "password as an argument of a login", Kind: detect.KindPassword, Severity: core.SeverityHigh}}
}

// callees says, of each function in lower case, which literal among its
// arguments is the password, counted from one; zero is the one behind the first
// that looks like a user.
var callees = map[string]int{
	"setbasicauth": 2, "basicauth": 2, "httpbasicauth": 2, "basic_auth": 2, "withbasicauth": 2, "httpdigestauth": 2, "basicauthentication": 2,
	"networkcredential": 2, "passwordauthentication": 2, "usernamepasswordcredentials": 2, "plaincredentials": 2, "credentials": 0,
	"usernamepasswordauthenticationtoken": 2, "sqlcredential": 2, "pscredential": 2, "basicawscredentials": 2, "userpassworddescriptor": 2,
	"getconnection": 0, "mysqli_connect": 3, "mysql_connect": 3, "mysqli": 3, "pg_connect": 0, "mysql_pconnect": 3, "pdo": 3, "oci_connect": 2,
	"db2_connect": 3, "odbc_connect": 3, "sqlsrv_connect": 0, "ftp_login": 3, "ssh2_auth_password": 3, "ldap_bind": 3, "imap_open": 3,
	"login": 2, "plainauth": 3, "connect": 0, "->connect": 0, "dbconnect": 0, "createconnection": 0, "userpassword": 2, "userinfo": 2,
	"simple_bind_s": 2, "simple_bind": 2, "bind": 2, "authenticate": 2, "auth": 0, "signin": 2, "sign_in": 2, "log_in": 2,
	"username_pw_set": 2, "setcredentials": 2, "withcredentials": 2, "setauth": 2, "set_auth": 2, "setusernamepassword": 2, "httpauth": 2,
	"url.userpassword": 2, "smtpauth": 2, "adduser": 2, "add_user": 2, "createuser": 2, "create_user": 2, "begin": 2, "wifi.begin": 2,
	"softap": 2, "real_connect": 4, "mysql_real_connect": 4, "usernamepassword": 2, "basiccredentials": 2, "staticcredentials": 2,
	"newstaticcredentials": 2, "newstaticcredentialsprovider": 2, "storagesharedkeycredential": 2, "newsharedkeycredential": 2, "authentication": 2,
	"passwordcredentials": 2, "setuser": 2, "basicauthprovider": 2, "dblogin": 2, "opendatabase": 0, "useradd": 2, "loginas": 2, "userpass": 2,
	"sequelize": 3, "database": 3, "client": 2, "runas": 3,
	"authpassword": 2, "passwordauth": 2, "usepassword": 2, "createsuperuser": 2, "create_superuser": 3, "su": 2, "auth_basic": 2,
}

// sureCallees take nothing but a password in its place.
var sureCallees = set(`setbasicauth basicauth httpbasicauth httpdigestauth basic_auth networkcredential mysqli_connect mysqli mysql_connect plainauth
	passwordauthentication plaincredentials username_pw_set usernamepasswordcredentials ftp_login ldap_bind simple_bind_s usernamepassword`)

// Keywords implements [detect.Grammar].
func (calls) Keywords() []string {
	list := make([]string, 0, len(callees))
	for name := range callees {
		if name == "su" || name == "pdo" || name == "auth" || name == "bind" || name == "begin" {
			continue
		}
		list = append(list, name+"(")
	}
	return append(list, "::new(", ".tochararray(", "strcpy(", "strncpy(", "strlcpy(", "btoa(", "b64encode(", "base64_encode(", "pdo(", "auth(", "auth=(", "auth = (", "auth: (", "bind(", ".begin(", "mysqli(")
}

// Wants implements [detect.Grammar].
func (calls) Wants(string) bool { return false }

// All implements [detect.Grammar].
func (calls) All(detect.Text, func(detect.Hit)) {}

// At implements [detect.Grammar].
func (calls) At(t detect.Text, at, n int, emit func(detect.Hit)) {
	b := t.Body
	open := at + n - 1
	if open >= len(b) || b[open] != '(' {
		return
	}
	end := open
	for end > at && (isBlank(b[end-1]) || b[end-1] == '=' || b[end-1] == ':') {
		end--
	}
	start := end
	for start > 0 && end-start < 40 && (isAlnum(b[start-1]) || b[start-1] == '_') {
		start--
	}
	var buf [40]byte
	callee := fold(b[start:end], buf[:])
	r := reader{b: b, kind: kindOf(t.Path)}
	switch string(callee) {
	case "tochararray":
		arrayOf(&r, t, start, emit)
		return
	case "strcpy", "strncpy", "strlcpy":
		copied(&r, t, start, open+1, emit)
		return
	case "btoa", "b64encode", "base64_encode":
		encodedPair(&r, t, start, open+1, emit)
		return
	case "new":
		callee, start = constructor(b, start, &buf)
	}
	place, ok := callees[string(callee)]
	if !ok {
		return
	}
	readArguments(&r, t, callee, start, open+1, place, emit)
}

// readArguments goes through the arguments, of which the one at place is the
// password, or, where place is zero, the last of those that could be a user and
// a password.
func readArguments(r *reader, t detect.Text, callee []byte, start, i, place int, emit func(detect.Hit)) {
	b := r.b
	var user [2]int // the literal before
	for arg := 1; arg <= 6; arg++ {
		i = r.skip(i, 2)
		isLiteral := r.literal(i)
		if isLiteral && r.parts == 1 && arg > 1 && (arg == place || place == 0 && user[1] > user[0]) {
			if judgeArgument(t, r, callee, b[user[0]:user[1]], place) {
				emit(detect.Hit{Rule: ruleArgument, Start: r.from, End: r.to, MatchStart: start, MatchEnd: r.end})
				return
			}
		}
		user = [2]int{}
		if isLiteral {
			user, i = [2]int{r.from, r.to}, r.end
		}
		if i = comma(b, i); i < 0 {
			return
		}
	}
}

// comma passes an argument and returns where the next begins.
func comma(b []byte, i int) int {
	depth := 0
	for limit := min(len(b), i+256); i < limit; i++ {
		switch c := b[i]; {
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			if depth--; depth < 0 {
				return -1
			}
		case c == ',' && depth == 0:
			return i + 1
		case c == ';' && depth == 0:
			return -1
		case isQuote(c):
			j := bytes.IndexByte(b[i+1:limit], c)
			if j < 0 {
				return -1
			}
			i += j + 1
		}
	}
	return -1
}

func judgeArgument(t detect.Text, r *reader, callee, user []byte, place int) bool {
	v := r.text()
	if samePassword(user, v) || checksummed(v) || exampleUser(user) && demonstrates(t.Path) {
		return false
	}
	s := measure(v)
	// A place alone says little: the value must look like a password as well.
	var buf [32]byte
	if common[string(fold(v, buf[:]))] {
		return looksLikeUser(user) && !demonstrates(t.Path)
	}
	if sureCallees[string(callee)] && looksLikeUser(user) && s.n >= 6 && s.space == 0 && !nameWordsOnly(v) && !trivial[string(v)] {
		e := evidence{sense: sense{noun: nounPassword, qualified: true}, quoted: true, explicit: true, neighbour: true, name: user, demo: demonstrates(t.Path)}
		return e.judge(v) != refused
	}
	if s.space > 0 || s.n < 6 || s.digit == 0 && s.classes() < 3 && (s.wordlike() || s.upper < 2 || s.lower < 2) {
		return false
	}
	if place == 0 && !looksLikeUser(user) {
		return false
	}
	e := evidence{sense: sense{noun: nounPassword, qualified: true}, quoted: true, neighbour: true, name: user, demo: demonstrates(t.Path)}
	return e.judge(v) != refused
}

// looksLikeUser: a short name, without blanks, of letters mostly.
func looksLikeUser(v []byte) bool {
	if len(v) < 2 || len(v) > 64 {
		return false
	}
	letters := 0
	for _, c := range v {
		if !isAlnum(c) && c != '_' && c != '.' && c != '-' && c != '@' && c != '\\' {
			return false
		}
		letters += b2i(isLetter(c))
	}
	return letters*2 >= len(v)
}
