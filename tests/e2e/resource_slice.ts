import type { Api } from "./api.ts";

/**
 * Publishes the device `cni` of a node, which any number of pods can share. To be done again after a
 * kubelet has started, for it deletes the node's slices.
 */
export async function publishDevice(
  api: Api,
  { driver, nodeName }: { readonly driver: string; readonly nodeName: string },
): Promise<void> {
  await api.apply({
    apiVersion: "resource.k8s.io/v1",
    kind: "ResourceSlice",
    metadata: { name: `${driver}-${nodeName}` },
    spec: {
      driver,
      nodeName,
      pool: { name: nodeName, generation: 1, resourceSliceCount: 1 },
      devices: [{
        name: "cni",
        allowMultipleAllocations: true,
        capacity: {
          attachments: {
            value: "4096",
            requestPolicy: { default: "1", validRange: { min: "1", step: "1" } },
          },
        },
      }],
    },
  });
}
