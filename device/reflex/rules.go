package reflex

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Allow is what stays open in quarantine.
type Allow struct {
	// Servers are the addresses of the agent listener; the device may connect
	// to them and nothing else.
	Servers []netip.AddrPort
	// DHCP keeps the lease alive, where the address comes from one.
	DHCP bool
}

func (a Allow) hasIPv6() bool {
	return slices.ContainsFunc(a.Servers, func(s netip.AddrPort) bool { return s.Addr().Unmap().Is6() })
}

// The chains of the quarantine. Each drops what no rule accepts.
var hooks = []struct {
	name string
	hook *nftables.ChainHook
}{
	{"input", nftables.ChainHookInput},
	{"output", nftables.ChainHookOutput},
	{"forward", nftables.ChainHookForward},
}

// rule is one rule, in the words of nft(8) and in those of the kernel. Both are
// made by the same parts, so that what is printed is what is applied.
type rule struct {
	chain string
	text  string
	exprs []expr.Any
}

// part is one match of a rule.
type part struct {
	text  string
	exprs []expr.Any
}

func accept(chain string, parts ...part) rule {
	r := rule{chain: chain}
	var words []string
	for _, p := range parts {
		words = append(words, p.text)
		r.exprs = append(r.exprs, p.exprs...)
	}
	r.text = strings.Join(append(words, "accept"), " ")
	r.exprs = append(r.exprs, &expr.Verdict{Kind: expr.VerdictAccept})
	return r
}

// rules returns the whole quarantine. Nothing is accepted for being part of an
// established connection: those end too. The server's packets are told from a
// new connection by their flags and not by conntrack, which may not have been
// loaded when the connection was made.
func rules(a Allow) []rule {
	all := []rule{
		accept("input", ifname("iifname", expr.MetaKeyIIFNAME, "lo")),
		accept("output", ifname("oifname", expr.MetaKeyOIFNAME, "lo")),
	}
	for _, s := range a.Servers {
		s = netip.AddrPortFrom(s.Addr().Unmap().WithZone(""), s.Port())
		all = append(
			all,
			accept("output", address("daddr", s.Addr()), port("tcp", unix.IPPROTO_TCP, "dport", 2, s.Port())),
			accept("input", address("saddr", s.Addr()), port("tcp", unix.IPPROTO_TCP, "sport", 0, s.Port()), notSYN()),
		)
	}
	if a.hasIPv6() {
		for _, kind := range []byte{133, 135, 136} { // router and neighbour solicitation, neighbour advertisement
			all = append(all, accept("output", icmpv6(kind)))
		}
		for _, kind := range []byte{134, 135, 136} {
			all = append(all, accept("input", icmpv6(kind)))
		}
	}
	if a.DHCP {
		all = append(
			all,
			accept("output", port("udp", unix.IPPROTO_UDP, "sport", 0, 68), port("udp", unix.IPPROTO_UDP, "dport", 2, 67)),
			accept("input", port("udp", unix.IPPROTO_UDP, "sport", 0, 67), port("udp", unix.IPPROTO_UDP, "dport", 2, 68)),
		)
	}
	return all
}

func ifname(word string, key expr.MetaKey, name string) part {
	return part{fmt.Sprintf("%s %q", word, name), []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: padded(name)},
	}}
}

// padded is a name as the kernel compares it, IFNAMSIZ bytes with zeros.
func padded(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

func address(word string, a netip.Addr) part {
	family, name, offset := byte(unix.NFPROTO_IPV4), "ip", uint32(12)
	if a.Is6() {
		family, name, offset = unix.NFPROTO_IPV6, "ip6", 8
	}
	raw := a.AsSlice()
	if word == "daddr" {
		offset += uint32(len(raw))
	}
	return part{fmt.Sprintf("%s %s %s", name, word, a), []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: uint32(len(raw))},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: raw},
	}}
}

func port(name string, proto byte, word string, offset uint32, number uint16) part {
	return part{fmt.Sprintf("%s %s %d", name, word, number), []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{proto}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, number)},
	}}
}

// notSYN matches everything but the first packet of a connection.
func notSYN() part {
	const syn, ack = 0x02, 0x10
	return part{"tcp flags & (syn | ack) != syn", []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{syn | ack}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{syn}},
	}}
}

// icmpv6 matches a message of neighbour discovery. The hop limit proves that it
// was sent on this very link.
func icmpv6(kind byte) part {
	return part{fmt.Sprintf("ip6 hoplimit 255 icmpv6 type %d", kind), []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.NFPROTO_IPV6}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 7, Len: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{255}},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_ICMPV6}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{kind}},
	}}
}

// Plan prints the rules that quarantine would apply, as nft(8) reads them.
func Plan(a Allow) string {
	var b strings.Builder
	fmt.Fprintf(&b, "table inet %s {\n", tableName)
	all := rules(a)
	for _, h := range hooks {
		fmt.Fprintf(&b, "\tchain %s {\n\t\ttype filter hook %s priority filter; policy drop;\n", h.name, h.name)
		for _, r := range all {
			if r.chain == h.name {
				fmt.Fprintf(&b, "\t\t%s\n", r.text)
			}
		}
		b.WriteString("\t}\n")
	}
	b.WriteString("}\n")
	return b.String()
}
