package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/interlock-security/interlock/core"
)

// localWalk answers what concerns the walk test on the local socket.
func (a *Agent) localWalk(do func(r *http.Request) (*WalkTest, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		test, err := do(r)
		if err != nil {
			answerLocal(w, statusOf(err), map[string]string{"error": err.Error(), "hint": core.HintOf(err)})
			return
		}
		answerLocal(w, http.StatusOK, test)
	}
}

func statusOf(err error) int {
	switch core.KindOf(err) {
	case core.KindNotFound:
		return http.StatusNotFound
	case core.KindInvalid:
		return http.StatusBadRequest
	}
	return http.StatusConflict
}

// walkStart is who begins a walk test. The name is what they say of themselves;
// who signs it off at the server has proved theirs.
type walkStart struct {
	By string `json:"by"`
	// Without are sensors, or points as sensor/point, that nobody sets off, and
	// why.
	Without map[string]string `json:"without,omitempty"`
}

func (a *Agent) startWalk(r *http.Request) (*WalkTest, error) {
	var s walkStart
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 4<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, core.Wrap(core.KindInvalid, "agent.walk", err)
	}
	return a.beginWalk(s)
}

const walkPath = "/v1/walk-test"

// BeginWalkTest begins a walk test at the agent that listens at a socket.
// Without names what is left out, and why.
func BeginWalkTest(ctx context.Context, socket, by string, without map[string]string) (*WalkTest, error) {
	body, err := json.Marshal(walkStart{By: by, Without: without})
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "agent.walk", err)
	}
	return walkOf(ctx, http.MethodPost, socket, walkPath, body)
}

// AskWalkTest reads how the walk test stands.
func AskWalkTest(ctx context.Context, socket string) (*WalkTest, error) {
	return walkOf(ctx, http.MethodGet, socket, walkPath, nil)
}

// EndWalkTest ends the walk test.
func EndWalkTest(ctx context.Context, socket string) (*WalkTest, error) {
	return walkOf(ctx, http.MethodPost, socket, walkPath+"/end", nil)
}

func walkOf(ctx context.Context, method, socket, path string, body []byte) (*WalkTest, error) {
	w := new(WalkTest)
	if err := call(ctx, method, socket, path, body, 10*time.Second, w); err != nil {
		return nil, err
	}
	return w, nil
}
