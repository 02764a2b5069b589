package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"testing"
)

func TestDocumentsAreHarmlessOnATerminal(t *testing.T) {
	const evil = "\u202egnp.env\u009b2J\u2066\U000E0001\u200b\u2028\x7f plain \u00e9\u4e16\ufffd"
	var b bytes.Buffer
	if err := json.NewEncoder(harmlessJSON(&b)).Encode(evil); err != nil {
		t.Fatal(err)
	}
	if bytes.ContainsFunc(b.Bytes(), acts) || !bytes.Contains(b.Bytes(), []byte("plain \u00e9\u4e16\ufffd")) {
		t.Errorf("%q", b.String())
	}
	var got string
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || got != evil {
		t.Errorf("%q, %v", got, err)
	}
	b.Reset()
	if err := xml.NewEncoder(harmlessXML(&b)).Encode(evil); err != nil {
		t.Fatal(err)
	}
	if bytes.ContainsFunc(b.Bytes(), acts) {
		t.Errorf("%q", b.String())
	}
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil || got != evil {
		t.Errorf("%q, %v", got, err)
	}
}
