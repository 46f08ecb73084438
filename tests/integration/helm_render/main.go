// helm_render prints what helm would install: the chart of the folder named by the argument, rendered
// with the values read as YAML from standard input, after helm's own check of them against the
// chart's schema. It reaches no cluster.
package main

import (
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

// The oldest Kubernetes that the agent runs on: the chart must not refuse it.
const oldest = "v1.34.0"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: helm_render CHART < VALUES")
		os.Exit(2)
	}
	text, err := render(os.Args[1], os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(text)
}

func render(folder string, input io.Reader) (string, error) {
	chart, err := loader.Load(folder)
	if err != nil {
		return "", err
	}
	if err := chart.Validate(); err != nil {
		return "", err
	}
	given, err := io.ReadAll(input)
	if err != nil {
		return "", err
	}
	values, err := chartutil.ReadValues(given)
	if err != nil {
		return "", err
	}
	if wanted := chart.Metadata.KubeVersion; !chartutil.IsCompatibleRange(wanted, oldest) {
		return "", fmt.Errorf("the chart wants Kubernetes %s, which %s is not", wanted, oldest)
	}
	release := chartutil.ReleaseOptions{Name: "network-dra", Namespace: "kube-system", IsInstall: true}
	all, err := chartutil.ToRenderValues(chart, values, release, nil)
	if err != nil {
		return "", err
	}
	files, err := engine.Engine{Strict: true}.Render(chart, all)
	if err != nil {
		return "", err
	}
	return join(files), nil
}

// join puts the manifests one after the other, by the names of their templates.
func join(files map[string]string) string {
	names := make([]string, 0, len(files))
	for name := range files {
		if strings.HasSuffix(name, ".yaml") && strings.TrimSpace(files[name]) != "" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, "---\n# Source: %s\n%s\n", name, strings.Trim(files[name], "\n"))
	}
	return text.String()
}
