package link_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

type inner struct {
	N int   `json:"n"`
	U uint8 `json:"u"`
}

type sample struct {
	Action string            `json:"action"`
	ID     core.DeviceID     `json:"id"`
	UUID   core.UUID         `json:"uuid,omitzero"`
	Level  core.Severity     `json:"level,omitempty"`
	Count  int64             `json:"count,omitempty"`
	Ratio  float64           `json:"ratio,omitempty"`
	On     bool              `json:"on,omitempty"`
	Bytes  []byte            `json:"bytes,omitempty"`
	List   []inner           `json:"list,omitempty"`
	Words  []string          `json:"words,omitempty"`
	One    *inner            `json:"one,omitempty"`
	Map    map[string]int    `json:"map,omitempty"`
	Any    any               `json:"any,omitempty"`
	Raw    json.RawMessage   `json:"raw,omitempty"`
	Deep   map[string]sample `json:"deep,omitempty"`
}

const base = `"action":"a","id":"press-7"`

func TestDecodeStrictAccepts(t *testing.T) {
	doc := " {" + base + `,"uuid":"01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55","level":"high","count":-9223372036854775808,"ratio":-1.5e3,
	"on":true,"bytes":"AAEC","list":[{"n":1,"u":255},{"n":-0,"u":0}],"words":["\u00e9\ud83d\ude00\n\/é"],"one":{"n":2,"u":3},"map":{"A":1,"a":2},
	"any":{"x":[null,1.0,"y"]},"raw":{"B":null,"b":[]},"deep":{"k":{` + base + `}}} ` + "\r\n\t"
	doc = strings.Replace(doc, "-0,", "0,", 1)
	var got, want sample
	if err := link.DecodeStrict([]byte(doc), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(doc), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDecodeStrictRefuses(t *testing.T) {
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	rows := []struct{ name, doc, want string }{
		{"empty", ``, "$ at byte 0: the document ends"},
		{"case", `{"ACTION":"x",` + base + `}`, `$.ACTION at byte 1: unknown key`},
		{"unknown", `{` + base + `,"x y":1}`, `$["x y"] at byte 29: unknown key`},
		{"duplicate", `{` + base + `,"action":"b"}`, `key "action" stands twice`},
		{"duplicate by escape", `{` + base + `,"\u0061ction":"b"}`, `key "action" stands twice`},
		{"duplicate in raw", `{` + base + `,"raw":{"a":1,"a":2}}`, `$.raw at byte 42: key "a" stands twice`},
		{"duplicate in map", `{` + base + `,"map":{"a":1,"a":2}}`, `stands twice`},
		{"missing", `{"action":"a"}`, `$ at byte 0: key "id" is missing`},
		{"missing inside", `{` + base + `,"list":[{"n":1,"u":1},{"n":1}]}`, `$.list[1] at byte 51: key "u" is missing`},
		{"trailing", `{` + base + `} x`, `stands where the end of the document`},
		{"second document", `{` + base + `}{}`, `stands where the end of the document`},
		{"nul after", `{` + base + "}\x00", `stands where the end of the document`},
		{"bom", "\ufeff{" + base + `}`, `$ at byte 0`},
		{"null", `null`, "null is not allowed"},
		{"null field", `{"action":null,"id":"a"}`, "$.action at byte 10: null"},
		{"null list", `{` + base + `,"list":null}`, "null"},
		{"null element", `{` + base + `,"words":[null]}`, "$.words[0]"},
		{"null pointer", `{` + base + `,"one":null}`, "null"},
		{"array for object", `[]`, "'{'"},
		{"number for string", `{"action":1,"id":"a"}`, `'"' must stand`},
		{"string for number", `{` + base + `,"count":"1"}`, "a number"},
		{"fraction", `{` + base + `,"count":1.0}`, "not a plain integer"},
		{"exponent", `{` + base + `,"count":1e3}`, "not a plain integer"},
		{"minus zero", `{` + base + `,"count":-0}`, "not a plain integer"},
		{"leading zero", `{` + base + `,"count":01}`, "not a JSON number"},
		{"plus", `{` + base + `,"count":+1}`, "not a JSON number"},
		{"hex", `{` + base + `,"count":0x1}`, "must stand"},
		{"overflow", `{` + base + `,"count":9223372036854775808}`, "does not fit"},
		{"uint8 overflow", `{` + base + `,"one":{"n":1,"u":256}}`, "does not fit a uint8"},
		{"negative uint", `{` + base + `,"one":{"n":1,"u":-1}}`, "does not fit a uint8"},
		{"long number", `{` + base + `,"ratio":` + strings.Repeat("1", 65) + `}`, "more than 64"},
		{"float overflow", `{` + base + `,"ratio":1e999}`, "does not fit"},
		{"bad id", `{"action":"a","id":"../../etc/x"}`, "$.id at byte 19"},
		{"bad word", `{` + base + `,"level":"High"}`, "$.level"},
		{"bad uuid", `{` + base + `,"uuid":"01932D3F-9b9e-7c2a-8f00-3b1f0c9a7e55"}`, "$.uuid"},
		{"base64 line break", `{` + base + `,"bytes":"AA\nEC"}`, "not canonical base64"},
		{"base64 unpadded", `{` + base + `,"bytes":"AA"}`, "not canonical base64"},
		{"base64 trailing bits", `{` + base + `,"bytes":"AB=="}`, "not canonical base64"},
		{"base64 url", `{` + base + `,"bytes":"-_-_"}`, "not canonical base64"},
		{"lone surrogate", `{"action":"\ud800","id":"a"}`, "surrogate"},
		{"lone low surrogate", `{"action":"\udc00","id":"a"}`, "surrogate"},
		{"two high surrogates", `{"action":"\ud800\ud800","id":"a"}`, "surrogate"},
		{"surrogate then text", `{"action":"\ud800x","id":"a"}`, "surrogate"},
		{"not utf-8", "{\"action\":\"\xff\",\"id\":\"a\"}", "at byte 11: not UTF-8"},
		{"encoded surrogate", "{\"action\":\"\xed\xa0\x80\",\"id\":\"a\"}", "not UTF-8"},
		{"overlong", "{\"action\":\"\xc0\xaf\",\"id\":\"a\"}", "not UTF-8"},
		{"control", "{\"action\":\"\n\",\"id\":\"a\"}", "control character 0x0a"},
		{"escape", `{"action":"\x","id":"a"}`, "unknown escape"},
		{"short \\u", `{"action":"\u00","id":"a"}`, "hexadecimal"},
		{"short \\u at end", `{"action":"\u00`, "hexadecimal"},
		{"bad hex", "{\"action\":\"\\u00\x7f0\",\"id\":\"a\"}", "hexadecimal"},
		{"open string", `{"action":"`, "the end of a string"},
		{"open escape", `{"action":"\`, "ends inside an escape"},
		{"trailing comma", `{` + base + `,}`, "must stand"},
		{"array comma", `{` + base + `,"words":["a",]}`, "must stand"},
		{"comment", `{` + base + `/**/}`, "must stand"},
		{"single quotes", `{'action':"a"}`, "must stand"},
		{"true for bool", `{` + base + `,"on":1}`, "true or false"},
		{"True", `{` + base + `,"on":True}`, "true or false"},
		{"deep raw", `{` + base + `,"raw":` + deep + `}`, "nested deeper"},
		{"deep any", `{` + base + `,"any":` + deep + `}`, "nested deeper"},
		{"many items", `{` + base + `,"raw":[0` + strings.Repeat(",0", 1<<14) + `]}`, "more than 16384 elements"},
		{"form feed", "{\f" + base + "}", "must stand"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got := sample{Action: "before"}
			err := link.DecodeStrict([]byte(row.doc), &got)
			if core.KindOf(err) != core.KindInvalid || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v\nwant it to say %q", err, row.want)
			}
			if !reflect.DeepEqual(got, sample{Action: "before"}) {
				t.Errorf("the target was touched: %+v", got)
			}
		})
	}
	if err := link.DecodeStrict(make([]byte, link.MaxDocument+1), new(sample)); core.KindOf(err) != core.KindTooLarge {
		t.Errorf("oversized document: %v", err)
	}
	for _, target := range []any{nil, sample{}, (*sample)(nil), new(chan int), new(struct{ inner })} {
		if err := link.DecodeStrict([]byte(`{}`), target); core.KindOf(err) != core.KindInternal {
			t.Errorf("into %T: %v", target, err)
		}
	}
}

func TestErrorsDoNotRepeatWhatAStrangerSentAtLength(t *testing.T) {
	err := link.DecodeStrict([]byte(`{"`+strings.Repeat("k", 1<<16)+`":1}`), new(sample))
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("%d bytes of error", len(err.Error()))
	}
}

func TestEncodeWritesWhatDecodeStrictReads(t *testing.T) {
	b, err := link.Encode(&link.Order{Reason: "<&> " + "\u2028"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"latches":[]`, `"params":{}`, `"reason":"<&> \u2028"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s lacks %s", b, want)
		}
	}
	var back link.Order
	if err := link.DecodeStrict(b, &back); err != nil {
		t.Error(err)
	}
	r, err := link.Encode(link.Root{Roles: []link.Role{{}}, Persons: []link.Person{{}}})
	if err != nil || strings.Contains(string(r), "null") {
		t.Errorf("%s, %v", r, err)
	}
}

// Whatever DecodeStrict takes, encoding/json reads as the same value; and what
// it takes once encodes to something it takes again.
func FuzzDecodeStrict(f *testing.F) {
	f.Add([]byte(`{` + base + `,"list":[{"n":1,"u":2}],"raw":{"a":[1,2.5e1,null]},"words":["\ud83d\ude00"]}`))
	f.Add([]byte(`{"ACTION":"x",` + base + `}`))
	f.Add([]byte(`{` + base + `,"deep":{"k":{` + base + `}},"any":[1,"2"],"map":{"\u0061":1},"bytes":"AAEC"}`))
	f.Add([]byte(`{` + base + `,"one":{"n":-5,"u":255},"ratio":0.1,"uuid":"01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55"}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		var got, want sample
		if err := link.DecodeStrict(doc, &got); err != nil {
			return
		}
		if err := json.Unmarshal(doc, &want); err != nil {
			t.Fatalf("encoding/json refuses what was accepted: %v", err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %#v\nwant %#v", got, want)
		}
		again, err := link.Encode(got)
		if err != nil {
			t.Fatal(err)
		}
		if err := link.DecodeStrict(again, new(sample)); err != nil {
			t.Fatalf("does not read back %s: %v", again, err)
		}
	})
}
