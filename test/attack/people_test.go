package attack

// peopleCalls are the rows of people for the test of the doors. Nobody in them
// exists: what is refused is refused before anybody looks.
func peopleCalls() map[string][]call {
	const nobody = "01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55"
	ask := `{"kind":"person.invite","person":"mallory","name":"","roles":["administrator"],"sites":["hall-a"],"actor":"","extra":0,"hours":0,"reason":"test"}`
	return map[string][]call{
		"POST /v1/people":                    {{"", `{"person":"mallory","name":"","sites":["hall-a"]}`}},
		"POST /v1/people/link":               {{"", `{}`}},
		"POST /v1/people/{id}/revoke":        {{"nobody", `{}`}},
		"POST /v1/people/{id}/restore":       {{"nobody", `{}`}},
		"POST /v1/passkeys/{id}/revoke":      {{"nobody", `{}`}},
		"POST /v1/sessions/{id}/end":         {{"nobody", `{}`}},
		"POST /v1/agreements":                {{"", ask}},
		"POST /v1/agreements/{id}/agree":     {{nobody, `{}`}},
		"POST /v1/agreements/{id}/reject":    {{nobody, `{"reason":""}`}},
		"POST /v1/agreements/{id}/withdraw":  {{nobody, `{"reason":""}`}},
		"POST /v1/agreements/{id}/carry-out": {{nobody, `{}`}},
	}
}
