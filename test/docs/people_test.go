package docs

func init() {
	for route, meaning := range map[string]string{
		"GET /v1/people":                     "who there is, operators of the configuration and others as one list",
		"GET /v1/people/{id}":                "one person with passkeys",
		"POST /v1/people":                    "lets a viewer in and answers with the sign-in link",
		"POST /v1/people/link":               "makes a sign-in link for the user at the socket",
		"POST /v1/people/{id}/revoke":        "takes a person's passkeys and sessions away, for good",
		"POST /v1/people/{id}/restore":       "ends a person's stop-only: what the audit log says holds",
		"POST /v1/passkeys/{id}/revoke":      "ends a passkey and the sessions that began with it",
		"GET /v1/sessions":                   "who is signed in, newest first; of one person with `person=ID`",
		"POST /v1/sessions/{id}/end":         "ends a session",
		"GET /v1/agreements":                 "what waits for a second person, with `all=true` also what is over",
		"GET /v1/agreements/{id}":            "one request with its exact parameters and who agreed",
		"POST /v1/agreements":                "asks for what takes two persons",
		"POST /v1/agreements/{id}/agree":     "agrees to somebody else's request; the last one needed carries it out, unless it makes a link",
		"POST /v1/agreements/{id}/reject":    "refuses a request, which ends it",
		"POST /v1/agreements/{id}/withdraw":  "takes an own request back",
		"POST /v1/agreements/{id}/carry-out": "does what was agreed on, or what a single operator waited for; answers with the link if that makes one",
	} {
		routeMeanings[route] = meaning
	}
}
