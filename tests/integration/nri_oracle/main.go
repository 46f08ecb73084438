// Command nri_oracle is the runtime's side of NRI as containerd and CRI-O have it, driven by lines of
// JSON: {"do": "run" | "stop" | "remove" | "create", "id": …, "size": …}. It is built against one
// release of github.com/containerd/nri after the other and judges this project's plugin.
//
// What happens is printed, one line of JSON each: {"synchronized": error}, {"connected": plugin},
// and for every command {"did": …, "error": …}; an empty error is success.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/log"
)

type command struct {
	Do string `json:"do"`
	ID string `json:"id"`
	// Size is the length of the pod's name: it decides how long the message is.
	Size int `json:"size"`
}

func main() {
	socket := flag.String("socket", "", "where plugins connect")
	timeout := flag.Duration("timeout", 2*time.Second, "what a plugin is granted for an answer")
	pods := flag.Int("pods", 0, "how many pods and containers there are when a plugin connects")
	size := flag.Int("size", 0, "the length of their names")
	flag.Parse()

	events := &logger{}
	log.Set(events)
	adaptation.SetPluginRequestTimeout(*timeout)
	synchronize := func(ctx context.Context, tell adaptation.SyncCB) error {
		_, err := tell(ctx, somePods(*pods, *size), someContainers(*pods, *size))
		events.synchronized = err == nil
		say(map[string]string{"synchronized": text(err)})
		return err
	}
	update := func(context.Context, []*adaptation.ContainerUpdate) ([]*adaptation.ContainerUpdate, error) {
		return nil, fmt.Errorf("not expected: an update that nobody asked for")
	}
	runtime, err := adaptation.New("oracle", "1", synchronize, update,
		adaptation.WithSocketPath(*socket),
		// No plugin of the machine's own may be started.
		adaptation.WithPluginPath(*socket+".plugins"),
		adaptation.WithPluginConfigPath(*socket+".conf"))
	exitOn(err)
	exitOn(runtime.Start())
	say(map[string]string{"listening": *socket})

	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		var asked command
		exitOn(json.Unmarshal(input.Bytes(), &asked))
		say(map[string]string{"did": asked.Do, "error": text(do(runtime, asked))})
	}
}

func do(runtime *adaptation.Adaptation, asked command) error {
	ctx, pod := context.Background(), aPod(asked.ID, asked.Size)
	switch asked.Do {
	case "run":
		return tell(ctx, pod, runtime.RunPodSandbox)
	case "stop":
		return tell(ctx, pod, runtime.StopPodSandbox)
	case "remove":
		return tell(ctx, pod, runtime.RemovePodSandbox)
	case "create":
		_, err := runtime.CreateContainer(ctx, &adaptation.CreateContainerRequest{
			Pod:       pod,
			Container: aContainer(asked.ID, asked.Size),
		})
		return err
	}
	return fmt.Errorf("%q is no command", asked.Do)
}

// tell calls with a request about the pod. The request's type differs: a StateChangeEvent up to NRI
// 0.11, one for each call from 0.12 on. All have a field Pod.
func tell[Request any](
	ctx context.Context,
	pod *adaptation.PodSandbox,
	call func(context.Context, *Request) error,
) error {
	request := new(Request)
	reflect.ValueOf(request).Elem().FieldByName("Pod").Set(reflect.ValueOf(pod))
	return call(ctx, request)
}

func aPod(id string, size int) *adaptation.PodSandbox {
	return &adaptation.PodSandbox{
		Id:          id,
		Name:        strings.Repeat("x", size),
		Uid:         "uid-" + id,
		Namespace:   "default",
		Annotations: map[string]string{"a field": "that the plugin does not know"},
		Linux: &adaptation.LinuxPodSandbox{
			Namespaces: []*adaptation.LinuxNamespace{
				{Type: "ipc", Path: "/proc/1/ns/ipc"},
				{Type: "network", Path: "/var/run/netns/" + id},
			},
		},
	}
}

func aContainer(id string, size int) *adaptation.Container {
	return &adaptation.Container{
		Id:           "container-of-" + id,
		PodSandboxId: id,
		Name:         strings.Repeat("y", size),
		Env:          []string{"A=1"},
		Linux:        &adaptation.LinuxContainer{},
	}
}

func somePods(count, size int) []*adaptation.PodSandbox {
	var pods []*adaptation.PodSandbox
	for i := 0; i < count; i++ {
		pods = append(pods, aPod(fmt.Sprint(i), size))
	}
	return pods
}

func someContainers(count, size int) []*adaptation.Container {
	var containers []*adaptation.Container
	for i := 0; i < count; i++ {
		containers = append(containers, aContainer(fmt.Sprint(i), size))
	}
	return containers
}

// logger passes on the one thing that only NRI's log tells: that a plugin gets events from now on.
// Every release logs it after the synchronization and by the same goroutine; 0.6 logs it after one
// that failed too.
type logger struct {
	synchronized bool
}

func (l *logger) Infof(_ context.Context, format string, args ...interface{}) {
	if strings.HasPrefix(format, "plugin %q connected") && l.synchronized {
		say(map[string]string{"connected": fmt.Sprint(args[0])})
	}
}

func (*logger) Debugf(context.Context, string, ...interface{}) {}
func (*logger) Warnf(context.Context, string, ...interface{})  {}
func (*logger) Errorf(context.Context, string, ...interface{}) {}

var saying sync.Mutex

func say(what map[string]string) {
	saying.Lock()
	defer saying.Unlock()
	exitOn(json.NewEncoder(os.Stdout).Encode(what))
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "nri_oracle:", err)
		os.Exit(1)
	}
}
