// Package httpd is the one way in which this product serves HTTP: a mux on
// which every route is registered together with the action it is, a body reader
// with a limit, the one table that turns kinds of error into RFC 9457 problems,
// listeners for unix sockets that know their peer, and the management listener
// with health, metrics and profiles.
//
// It authenticates nobody by itself: a [Mux] is given an [Authenticator] and a
// guard, and a route that is not registered does not exist.
package httpd
