package python

import (
	"bufio"
	"bytes"
	"context"
	"net/textproto"
	"strings"

	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

func readInstalled(_ context.Context, in *extract.Input, out *extract.Sink) error {
	if in.OfDebian("usr/lib/python3/dist-packages/") {
		return nil
	}
	data, err := in.Text()
	if err != nil {
		return err
	}
	head := header(data)
	name, version := head.Get("Name"), head.Get("Version")
	if name == "" || version == "" {
		return extract.Malformed(0, "no Name and Version in its header")
	}
	p := pkg(name, version)
	if l := head.Get("License-Expression"); l != "" {
		p.Licenses = []string{l}
	} else if l := head.Get("License"); l != "" && l != "UNKNOWN" && len(l) < 100 {
		p.Licenses = []string{l}
	}
	out.Add(p)
	return nil
}

// header reads the fields up to the first empty line. What follows a field in
// further lines is left out: no field that matters here is long.
func header(data []byte) textproto.MIMEHeader {
	head := textproto.MIMEHeader{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for lines.Scan() {
		text := lines.Text()
		if strings.TrimSpace(text) == "" {
			break
		}
		key, value, ok := strings.Cut(text, ":")
		if ok && text[0] != ' ' && text[0] != '\t' {
			head.Add(key, strings.TrimSpace(value))
		}
	}
	return head
}
