package link

// Direction is which way an order moves a device, as the device decides it and
// not the message (TRUST F03, F04).
type Direction string

// The directions. Stop, tighten and contain are towards safety; loosen and
// destroy are away from it, and so is every type that is not in the table.
const (
	DirectionStop    Direction = "stop"
	DirectionTighten Direction = "tighten"
	DirectionContain Direction = "contain"
	DirectionLoosen  Direction = "loosen"
	DirectionDestroy Direction = "destroy"
)

// Away reports whether the direction is away from safety; what is unknown is.
func (d Direction) Away() bool {
	return d != DirectionStop && d != DirectionTighten && d != DirectionContain
}

// Row says of an order type which way it goes and whose threshold in the trust
// root it takes. For the directions towards safety Role is the server key that
// suffices by itself; persons can always do what that key can.
type Row struct {
	Type      OrderType
	Direction Direction
	Role      RoleName
	Note      string
}

// rows is the direction table. A type without a row fails the build's tests,
// and until then is refused by every device.
var rows = []Row{
	{OrderStop, DirectionStop, RoleServerStop, "outputs go to their declared safe state"},
	{OrderArm, DirectionTighten, RoleServerCommand, "the device treats what it senses as an attack"},
	{OrderQuarantine, DirectionContain, RoleServerCommand, "only the link to the server stays"},
	{OrderSuspend, DirectionContain, RoleServerCommand, "the workload identity is off until it is released"},
	{OrderRelease, DirectionLoosen, RoleRelease, "opens the latches it names and no other"},
	{OrderReset, DirectionLoosen, RoleRelease, "allows outputs again after a stop"},
	{OrderDisarm, DirectionLoosen, RoleRelease, "the device ignores tampering until a time"},
	{OrderBypass, DirectionLoosen, RoleRelease, "one sensor counts for nothing until a time"},
	{OrderBaseline, DirectionLoosen, RoleRelease, "changed hardware becomes the expected hardware"},
	{OrderPolicy, DirectionLoosen, RolePolicy, "policy, drivers, schedules and rules, by hash"},
	{OrderUpdate, DirectionLoosen, RoleAgentRelease, "new agent code, by hash, beside the vendor's signature"},
	{OrderServerAddress, DirectionLoosen, RoleRoot, "where the device's server is"},
	{OrderZeroize, DirectionDestroy, RoleDestroy, "device secrets are erased"},
	{OrderRetire, DirectionDestroy, RoleDestroy, "the device ends: identity, secrets and state"},
}

// AllOrderTypes lists every order type, in the order of the table.
var AllOrderTypes = func() []OrderType {
	out := make([]OrderType, len(rows))
	for i, r := range rows {
		out[i] = r.Type
	}
	return out
}()

// DirectionOf returns the row of an order type. Where there is none, the type
// is unknown here and the order is to be refused.
func DirectionOf(t OrderType) (Row, bool) {
	for _, r := range rows {
		if r.Type == t {
			return r, true
		}
	}
	return Row{}, false
}
