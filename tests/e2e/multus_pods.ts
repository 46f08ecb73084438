/** Pods and networks as users of Multus describe them, and what is seen of them. */
import type { Json, Manifest } from "./api.ts";
import type { Space } from "./space.ts";

const NETWORKS = "k8s.v1.cni.cncf.io/networks";
const STATUS = "k8s.v1.cni.cncf.io/network-status";

export function definition(name: string, config: unknown): Manifest {
  return {
    apiVersion: "k8s.cni.cncf.io/v1",
    kind: "NetworkAttachmentDefinition",
    metadata: { name },
    spec: { config: JSON.stringify(config) },
  };
}

/** A pod, or the template of a workload's pods, that asks Multus for networks. */
export function annotated<T extends { readonly metadata?: unknown }>(
  made: T,
  networks: string | readonly unknown[],
): T {
  const value = typeof networks === "string" ? networks : JSON.stringify(networks);
  const metadata = made.metadata as Json;
  return {
    ...made,
    metadata: { ...metadata, annotations: { ...metadata?.annotations, [NETWORKS]: value } },
  };
}

/** What Multus says that it has given a pod, beside the cluster's own network. */
export function toldByMultus({ metadata }: Json): string[] {
  const all: Json[] = JSON.parse(metadata.annotations?.[STATUS] ?? "[]");
  return all.filter((each) => each.default !== true)
    .map((each) => [each.interface, ...each.ips].join(" "));
}

/** The interfaces of `ip addr` with their numbers, MAC addresses and IPv4 addresses. */
export function interfacesIn(shown: string): string[] {
  return shown.split(/^(?=\d+: )/m).map((each) => {
    const [, number, name] = /^(\d+): ([^:@]+)/.exec(each)!;
    const parts = [...each.matchAll(/(?:link\/ether|inet) (\S+)/g)].map((found) => found[1]);
    return [number, name, ...parts].join(" ");
  });
}

export async function interfacesOf(space: Space, running: Json): Promise<string[]> {
  return interfacesIn(await space.exec(running, "ip", "addr"));
}
