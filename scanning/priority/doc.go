// Package priority says how bad a finding is and what to fix first: CVSS by
// its vector, EPSS and KEV by what is known of exploitation, and CISA's SSVC
// tree for the decision. It is pure: facts come in, words come out, and the
// same facts give the same order on every machine.
//
// What is not known counts against us: an advisory without a vector is taken
// as automatable and total, and a device of unknown importance as one that
// supports the mission. See [Assess], [Order] and [Why].
package priority
