package main

import (
	"github.com/interlock-security/interlock/api"
)

type apiCmd struct {
	OpenAPI apiOpenAPICmd `cmd:"" name:"openapi" help:"Print the description of the operator API, OpenAPI 3.1."`
}

type apiOpenAPICmd struct{}

// Help implements kong's long help.
func (apiOpenAPICmd) Help() string {
	return `The server speaks it on the unix socket api.sock in its data directory. No server is needed to print it.

Example:
  interlock api openapi > openapi.json`
}

// Run prints the description.
func (apiOpenAPICmd) Run(e *env) error {
	b, err := api.OpenAPI()
	if err != nil {
		return err
	}
	_, err = e.out.Write(b)
	return err
}
