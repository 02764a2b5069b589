// Package api is the operator API: what people and programs ask of the server.
// In this release it is served on a unix socket whose peer uid is the person;
// api/client speaks it. Devices have a listener of their own in fleet.
package api
