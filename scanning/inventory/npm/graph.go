package npm

import (
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// graph is a lockfile that says who needs whom and what the project asks for, but
// not what is only for development: that is what runtime does not reach.
type graph struct {
	packages map[string]scanning.Package // by the lockfile's key
	edges    map[string][]string
	runtime  []string
	dev      []string
}

func newGraph() *graph {
	return &graph{packages: map[string]scanning.Package{}, edges: map[string][]string{}}
}

// reach marks all that some roots need.
func (g *graph) reach(roots []string) map[string]bool {
	seen := map[string]bool{}
	todo := append([]string(nil), roots...)
	for len(todo) > 0 {
		key := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !seen[key] {
			seen[key] = true
			todo = append(todo, g.edges[key]...)
		}
	}
	return seen
}

// tell adds all packages. Where develop is set, what only the dev roots reach is
// for development.
func (g *graph) tell(develop bool, out *extract.Sink) {
	direct := map[string]bool{}
	for _, key := range append(append([]string(nil), g.runtime...), g.dev...) {
		direct[key] = true
	}
	var runtime, dev map[string]bool
	if develop {
		runtime, dev = g.reach(g.runtime), g.reach(g.dev)
	}
	for key, p := range g.packages {
		p.Direct = direct[key]
		p.Dev = p.Dev || dev[key] && !runtime[key]
		for _, need := range g.edges[key] {
			if to := g.packages[need].PURL; to != "" {
				p.Requires = append(p.Requires, to)
			}
		}
		out.Add(p)
	}
}
