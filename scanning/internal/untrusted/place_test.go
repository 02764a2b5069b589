package untrusted

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestExplainNamesThePlace(t *testing.T) {
	for doc, want := range map[string]string{
		"{\"a\":1,\n\"b\":}":  "invalid character '}' looking for beginning of value (line 2, column 5)",
		"{\"a\":[1,\n2":       "it breaks off (line 2, column 1)",
		"{\n\"list\":7}":      "list can't be a number (line 2, column 8)",
		"{\n\"list\":{\"x\"":  "it breaks off (line 2, column 11)",
		"":                    "it is empty",
		"[]":                  "it can't be an array (line 1, column 1)",
		"{\"list\":[{}],}":    "invalid character '}' looking for beginning of object key string (line 1, column 14)",
		"{\"list\":{\"x\":1}": "it breaks off (line 1, column 15)",
	} {
		var v struct {
			List []string `json:"list"`
		}
		err := json.NewDecoder(bytes.NewReader([]byte(doc))).Decode(&v)
		if err == nil {
			t.Fatalf("%q is no mistake", doc)
		}
		if got := Explain([]byte(doc), err); got != want {
			t.Errorf("%q: %s, want %s", doc, got, want)
		}
	}
}
