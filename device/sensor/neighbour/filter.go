package neighbour

import "golang.org/x/sys/unix"

// The kernel drops what is not listened for before it wakes anybody: a busy
// segment costs nothing. The filter is classic BPF, written out.

const (
	// adPacketType and adTag are what the kernel knows of a frame beside its bytes.
	adOffset     = -0x1000
	adPacketType = adOffset + 4
	adTag        = adOffset + 48 // whether a VLAN tag was taken off
	outgoing     = 4             // PACKET_OUTGOING

	// keep is how much of a frame is handed over.
	keep = 2048
)

// step is one instruction of the filter. Its jumps name the step to go on at; ""
// is the next one.
type step struct {
	label   string
	code    uint16
	k       uint32
	yes, no string
}

const (
	ldWord  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	ldHalf  = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS
	ldByte  = unix.BPF_LD | unix.BPF_B | unix.BPF_ABS
	ldxIP   = unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH
	ldHalfX = unix.BPF_LD | unix.BPF_H | unix.BPF_IND
	jEq     = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	jGe     = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	jSet    = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	ret     = unix.BPF_RET | unix.BPF_K
)

// ad is the argument of a load of what the kernel knows beside the bytes.
func ad(offset int32) uint32 { return uint32(offset) }

// steps let through ARP, LLDP, DHCP and mDNS over IPv4, and over IPv6 neighbour
// discovery, mDNS, DHCPv6 and the reports of hosts that join a group. What this
// machine sends itself and what bears a VLAN tag, which its own interface hears,
// are left out.
var steps = []step{
	{code: ldWord, k: ad(adPacketType)},
	{code: jEq, k: outgoing, yes: "drop"},
	{code: ldWord, k: ad(adTag)},
	{code: jEq, k: 0, no: "drop"},
	{code: ldHalf, k: 12},
	{code: jEq, k: typeARP, yes: "keep"},
	{code: jEq, k: typeLLDP, yes: "keep"},
	{code: jEq, k: typeIPv6, yes: "ipv6"},
	{code: jEq, k: typeIPv4, no: "drop"},
	{code: ldByte, k: etherHeader + 9},
	{code: jEq, k: protoUDP, no: "drop"},
	{code: ldHalf, k: etherHeader + 6},
	{code: jSet, k: 0x1fff, yes: "drop"},
	{code: ldxIP, k: etherHeader},
	{code: ldHalfX, k: etherHeader + 2},
	{code: jEq, k: portMDNS, yes: "keep"},
	{code: jEq, k: portDHCPServer, yes: "keep"},
	{code: jEq, k: portDHCPClient, yes: "keep", no: "drop"},
	{label: "ipv6", code: ldByte, k: etherHeader + 6},
	{code: jEq, k: protoICMPv6, yes: "icmp"},
	{code: jEq, k: protoHopByHop, yes: "hop"},
	{code: jEq, k: protoUDP, no: "drop"},
	{code: ldHalf, k: etherHeader + ipv6Header + 2},
	{code: jEq, k: portMDNS, yes: "keep"},
	{code: jEq, k: portDHCP6Client, yes: "keep"},
	{code: jEq, k: portDHCP6Server, yes: "keep", no: "drop"},
	{label: "icmp", code: ldByte, k: etherHeader + ipv6Header},
	{code: jGe, k: icmpRouterSolicit, no: "drop"},
	{code: jGe, k: icmpNeighbourAnswer + 1, yes: "drop", no: "keep"},
	{label: "hop", code: ldHalf, k: 0}, // 33:33:00:00:00:16, where hosts report
	{code: jEq, k: 0x3333, no: "drop"},
	{code: ldWord, k: 2},
	{code: jEq, k: 0x16, yes: "keep", no: "drop"},
	{label: "keep", code: ret, k: keep},
	{label: "drop", code: ret, k: 0},
}

// assemble turns the steps into the kernel's instructions.
func assemble(steps []step) []unix.SockFilter {
	at := map[string]int{}
	for i, s := range steps {
		if s.label != "" {
			at[s.label] = i
		}
	}
	jump := func(from int, label string) uint8 {
		if label == "" {
			return 0
		}
		return uint8(at[label] - from - 1) // fewer than 255 steps, all jumps go down
	}
	program := make([]unix.SockFilter, len(steps))
	for i, s := range steps {
		program[i] = unix.SockFilter{Code: s.code, Jt: jump(i, s.yes), Jf: jump(i, s.no), K: s.k}
	}
	return program
}
