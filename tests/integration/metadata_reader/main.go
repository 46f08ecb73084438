// Reads device metadata as a workload does, with Kubernetes' own library: from standard input, as
// there is no container around it. Prints what it found, and at which path it would have looked.
//
// Usage: metadata_reader DRIVER CLAIM REQUEST, or with -template DRIVER POD_CLAIM REQUEST
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"k8s.io/dynamic-resource-allocation/api/metadata"
	"k8s.io/dynamic-resource-allocation/devicemetadata"
)

func main() {
	template := flag.Bool("template", false, "the claim was made from a template")
	flag.Parse()
	pathOf := metadata.ResourceClaimFilePath
	if *template {
		pathOf = metadata.ResourceClaimTemplateFilePath
	}
	var found metadata.DeviceMetadata
	if err := devicemetadata.DecodeMetadataFromStream(json.NewDecoder(os.Stdin), &found); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shown := map[string]any{
		"path":         pathOf(flag.Arg(0), flag.Arg(1), flag.Arg(2)),
		"claim":        fmt.Sprintf("%s/%s %s", found.Namespace, found.Name, found.UID),
		"generation":   found.Generation,
		"podClaimName": found.PodClaimName,
		"requests":     found.Requests,
	}
	if err := json.NewEncoder(os.Stdout).Encode(shown); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
