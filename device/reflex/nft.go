package reflex

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/google/nftables"

	"github.com/interlock-security/interlock/core"
)

// tableName is ours alone; tables of others are neither read nor changed. What
// ours drops stays dropped whatever other tables accept.
const tableName = "interlock"

// NFT is the kernel's firewall. The zero value is the one of the network
// namespace that the process is in.
type NFT struct {
	// NetNS is a file descriptor of another namespace, 0 for the own one.
	NetNS int
}

// Enforces implements [Firewall].
func (NFT) Enforces() bool { return true }

func (n NFT) conn() (*nftables.Conn, error) {
	var opts []nftables.ConnOption
	if n.NetNS != 0 {
		opts = append(opts, nftables.WithNetNSFd(n.NetNS))
	}
	c, err := nftables.New(opts...)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "reflex.NFT", fmt.Errorf("no nftables here: %w", err))
	}
	return c, nil
}

func table() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyINet, Name: tableName}
}

// Apply implements [Firewall]. Adding, removing and adding again in one
// transaction replaces whatever stood there, or nothing, at once: no packet
// passes between two states.
func (n NFT) Apply(a Allow) error {
	c, err := n.conn()
	if err != nil {
		return err
	}
	c.DelTable(c.AddTable(table()))
	t := c.AddTable(table())
	drop := nftables.ChainPolicyDrop
	chains := map[string]*nftables.Chain{}
	for _, h := range hooks {
		chains[h.name] = c.AddChain(&nftables.Chain{
			Name: h.name, Table: t, Type: nftables.ChainTypeFilter, Hooknum: h.hook,
			Priority: nftables.ChainPriorityFilter, Policy: &drop,
		})
	}
	for _, r := range rules(a) {
		c.AddRule(&nftables.Rule{Table: t, Chain: chains[r.chain], Exprs: r.exprs})
	}
	if err := c.Flush(); err != nil {
		return &core.Error{
			Kind: core.KindUnavailable, Op: "reflex.Apply", Msg: "the kernel refused the quarantine", Err: err,
			Hint: "the agent needs CAP_NET_ADMIN and a kernel with nf_tables",
		}
	}
	return nil
}

// Remove implements [Firewall].
func (n NFT) Remove() error {
	c, err := n.conn()
	if err != nil {
		return err
	}
	c.DelTable(c.AddTable(table())) // added first, so that a missing one is no error
	if err := c.Flush(); err != nil {
		return core.Wrap(core.KindUnavailable, "reflex.Remove", fmt.Errorf("the kernel refused to lift the quarantine: %w", err))
	}
	return nil
}

// Status implements [Firewall]: it reads the rules back from the kernel.
func (n NFT) Status(a Allow) (Status, error) {
	c, err := n.conn()
	if err != nil {
		return Status{}, err
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return Status{}, core.Wrap(core.KindUnavailable, "reflex.Status", err)
	}
	i := slices.IndexFunc(tables, func(t *nftables.Table) bool { return t.Name == tableName })
	if i < 0 {
		return Status{Why: "there is no table " + tableName}, nil
	}
	why, err := differs(c, tables[i], a)
	if err != nil {
		return Status{}, core.Wrap(core.KindUnavailable, "reflex.Status", err)
	}
	return Status{Present: true, Intact: why == "", Why: why}, nil
}

// differs says how the kernel's table differs from what should be there.
func differs(c *nftables.Conn, t *nftables.Table, a Allow) (string, error) {
	if t.Flags != 0 { // a dormant table is there and does nothing
		return fmt.Sprintf("the table has flags %#x", t.Flags), nil
	}
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return "", err
	}
	chains = slices.DeleteFunc(chains, func(ch *nftables.Chain) bool { return ch.Table.Name != tableName })
	if len(chains) != len(hooks) {
		return fmt.Sprintf("%d chains, expected %d", len(chains), len(hooks)), nil
	}
	want := rules(a)
	for _, h := range hooks {
		i := slices.IndexFunc(chains, func(ch *nftables.Chain) bool { return ch.Name == h.name })
		if i < 0 || !sound(chains[i], h.hook) {
			return "chain " + h.name + " is missing or does not drop", nil
		}
		got, err := c.GetRules(t, chains[i])
		if err != nil {
			return "", err
		}
		if why := compare(h.name, want, got); why != "" {
			return why, nil
		}
	}
	return "", nil
}

func sound(ch *nftables.Chain, hook *nftables.ChainHook) bool {
	return ch.Hooknum != nil && *ch.Hooknum == *hook && ch.Policy != nil && *ch.Policy == nftables.ChainPolicyDrop &&
		ch.Type == nftables.ChainTypeFilter && ch.Priority != nil && *ch.Priority == *nftables.ChainPriorityFilter
}

func compare(chain string, want []rule, got []*nftables.Rule) string {
	i := 0
	for _, w := range want {
		if w.chain != chain {
			continue
		}
		if i >= len(got) {
			return fmt.Sprintf("chain %s lacks %q", chain, w.text)
		}
		if !reflect.DeepEqual(got[i].Exprs, w.exprs) {
			return fmt.Sprintf("chain %s, rule %d is not %q", chain, i+1, w.text)
		}
		i++
	}
	if i != len(got) {
		return fmt.Sprintf("chain %s has %d rules too many", chain, len(got)-i)
	}
	return ""
}
