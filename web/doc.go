// Package web is the console: pages that the server renders, one style sheet,
// one small script, and a stream of events.
//
// A page is a template under templates, which takes a [page] whose Body is that
// page's own struct. Pages call the operator API in the process, with the person
// in the context, so what the console may do is what the API may do, decided and
// recorded in the same place. Without the script every page can be read.
//
// # What a request passes
//
// [Console.ServeHTTP] checks the Host header, sets the security headers and hands
// the request to the routes. A route made by get needs a session and has no
// effect; one made by post needs the session's form token and a request of our
// own origin too. Text from outside goes through the template function plain,
// which shows what can't be seen.
package web
