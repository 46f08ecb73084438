// Command dra_oracle is the kubelet's side of DRA: its plugin manager, which registers plugins from a
// folder of sockets, and its DRA manager, which prepares and unprepares the claims of pods, keeps them
// in a checkpoint and follows the health of devices. It is driven by lines of JSON: {"do": "registered"
// | "prepare" | "resources" | "health" | "unprepare", "driver": …, "pod": {"name": …, "uid": …,
// "claims": […]}}.
//
// What happens is printed, one line of JSON each: {"answer": …} for every command, with "error" where
// it failed, and {"updated": […]} with the UIDs of pods whose devices' health has changed.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"sync"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
	"k8s.io/kubernetes/pkg/kubelet/cm/dra"
	"k8s.io/kubernetes/pkg/kubelet/cm/dra/plugin"
	"k8s.io/kubernetes/pkg/kubelet/config"
	"k8s.io/kubernetes/pkg/kubelet/pluginmanager"
)

type command struct {
	Do     string `json:"do"`
	Driver string `json:"driver"`
	Pod    struct {
		Name   string   `json:"name"`
		UID    string   `json:"uid"`
		Claims []string `json:"claims"`
	} `json:"pod"`
}

const (
	namespace = "default"
	container = "main"
)

func main() {
	registry := flag.String("registry", "", "the folder of the sockets by which plugins register")
	state := flag.String("state", "", "the folder of the checkpoint")
	kubeconfig := flag.String("kubeconfig", "", "leads to the API server")
	node := flag.String("node", "", "the name of the node")
	flag.Parse()

	// Off by default before Kubernetes 1.36.
	exitOn(utilfeature.DefaultMutableFeatureGate.Set("ResourceHealthStatus=true"))
	access, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	exitOn(err)
	client, err := kubernetes.NewForConfig(access)
	exitOn(err)
	ctx := context.Background()
	manager, err := dra.NewManager(klog.Background(), client, *state)
	exitOn(err)
	// Which pods there are is not known yet: the manager unprepares what it is told to.
	unready := config.NewSourcesReady(func(sets.Set[string]) bool { return false })
	noPods := func() []*v1.Pod { return nil }
	exitOn(manager.Start(ctx, noPods, getNode(*node), unready))

	plugins := pluginmanager.NewPluginManager(*registry, &record.FakeRecorder{})
	plugins.AddHandler(registration.DRAPlugin, manager.GetWatcherHandler())
	go run(ctx, plugins, unready)
	go func() {
		for update := range manager.Updates() {
			say(map[string]any{"updated": update.PodUIDs})
		}
	}()
	say(map[string]any{"answer": "started"})

	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		var each command
		exitOn(json.Unmarshal(input.Bytes(), &each))
		answer, err := do(ctx, manager, each)
		if err != nil {
			say(map[string]any{"answer": answer, "error": err.Error()})
		} else {
			say(map[string]any{"answer": answer})
		}
	}
	exitOn(input.Err())
}

func do(ctx context.Context, manager *dra.Manager, each command) (any, error) {
	pod := podOf(each)
	switch each.Do {
	case "registered":
		_, err := manager.GetWatcherHandler().(*plugin.DRAPluginManager).GetPlugin(each.Driver)
		return nil, err
	case "prepare":
		return nil, manager.PrepareResources(ctx, pod)
	case "resources":
		found, err := manager.GetResources(pod, &pod.Spec.Containers[0])
		if err != nil {
			return nil, err
		}
		devices := []string{}
		for _, device := range found.CDIDevices {
			devices = append(devices, device.Name)
		}
		return devices, nil
	case "health":
		status := v1.PodStatus{ContainerStatuses: []v1.ContainerStatus{{Name: container}}}
		updateStatus(manager, pod, &status)
		return status.ContainerStatuses[0].AllocatedResourcesStatus, nil
	case "unprepare":
		return nil, manager.UnprepareResources(ctx, pod)
	}
	return nil, fmt.Errorf("%q is not known", each.Do)
}

// A pod with one container, which names all of the pod's claims.
func podOf(each command) *v1.Pod {
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace,
		Name:      each.Pod.Name,
		UID:       types.UID(each.Pod.UID),
	}}
	main := v1.Container{Name: container}
	for _, name := range each.Pod.Claims {
		pod.Spec.ResourceClaims = append(pod.Spec.ResourceClaims,
			v1.PodResourceClaim{Name: name, ResourceClaimName: &name})
		pod.Status.ResourceClaimStatuses = append(pod.Status.ResourceClaimStatuses,
			v1.PodResourceClaimStatus{Name: name, ResourceClaimName: &name})
		main.Resources.Claims = append(main.Resources.Claims, v1.ResourceClaim{Name: name})
	}
	pod.Spec.Containers = []v1.Container{main}
	return pod
}

// The function takes no context in Kubernetes 1.34.
func getNode(name string) dra.GetNodeFunc {
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	function := reflect.TypeFor[dra.GetNodeFunc]()
	answer := func([]reflect.Value) []reflect.Value {
		return []reflect.Value{reflect.ValueOf(node), reflect.Zero(function.Out(1))}
	}
	return reflect.MakeFunc(function, answer).Interface().(dra.GetNodeFunc)
}

// It takes no context in Kubernetes 1.34.
func run(ctx context.Context, plugins pluginmanager.PluginManager, ready config.SourcesReady) {
	switch each := plugins.(type) {
	case interface {
		Run(context.Context, config.SourcesReady, <-chan struct{})
	}:
		each.Run(ctx, ready, ctx.Done())
	case interface {
		Run(config.SourcesReady, <-chan struct{})
	}:
		each.Run(ready, ctx.Done())
	default:
		exitOn(fmt.Errorf("a plugin manager of a kind that is not known"))
	}
}

// It takes a logger from Kubernetes 1.37 on.
func updateStatus(manager *dra.Manager, pod *v1.Pod, status *v1.PodStatus) {
	switch each := any(manager).(type) {
	case interface {
		UpdateAllocatedResourcesStatus(*v1.Pod, *v1.PodStatus)
	}:
		each.UpdateAllocatedResourcesStatus(pod, status)
	case interface {
		UpdateAllocatedResourcesStatus(klog.Logger, *v1.Pod, *v1.PodStatus)
	}:
		each.UpdateAllocatedResourcesStatus(klog.Background(), pod, status)
	default:
		exitOn(fmt.Errorf("a DRA manager of a kind that is not known"))
	}
}

var output sync.Mutex

func say(line map[string]any) {
	output.Lock()
	defer output.Unlock()
	exitOn(json.NewEncoder(os.Stdout).Encode(line))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
