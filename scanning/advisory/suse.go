package advisory

import "strings"

// sameSUSE compares what two names of SUSE's products are built from. A release of
// Enterprise Linux is one set of packages, spread over products and modules:
// gzip of Server 15 SP5 is published by the module Basesystem 15 SP5. Which of
// them a host has subscribed to, its package database doesn't say, and doesn't
// need to: the builds are the same.
func sameSUSE(advisory, pkg string) bool {
	a, av := suseProduct(advisory)
	b, bv := suseProduct(pkg)
	if a != b {
		return strings.EqualFold(advisory, pkg)
	}
	if a == "" {
		return strings.EqualFold(advisory, pkg)
	}
	if av == bv {
		return true
	}
	// The modules of 12 were made once for all of its service packs.
	return strings.Contains(advisory, " Module ") && strings.HasPrefix(bv, av+" ") ||
		strings.Contains(pkg, " Module ") && strings.HasPrefix(av, bv+" ")
}

// suseProduct is the line of products and the release in it: enterprise and
// "15 SP5" of Linux Enterprise Server for SAP Applications 15 SP5-LTSS.
func suseProduct(s string) (line, release string) {
	switch {
	case strings.HasPrefix(s, "Linux Enterprise Micro "), strings.HasPrefix(s, "Linux Micro "):
		line = "micro"
	case strings.HasPrefix(s, "Linux Enterprise "), strings.HasPrefix(s, "Package Hub "):
		line = "enterprise"
	default:
		return "", ""
	}
	words := strings.Fields(s)
	for i, w := range words {
		if !digitByte(w[0]) {
			continue
		}
		release, _, _ = strings.Cut(strings.Join(words[i:], " "), "-")
		return line, release
	}
	return line, ""
}
