/** Claims as the scheduler leaves them, for tests. */
import type { SimulatedApiServer, StoredClaim } from "../../mod/simulator/api_server.ts";
import type { ClaimRef } from "../../mod/claim/attachment.ts";

export interface NetworkOptions {
  readonly name: string;
  /** The Network of the cluster that the claim names, instead of what stands here. */
  readonly named?: string;
  readonly type?: string;
  /** The third number of 10.10.x.0/24. */
  readonly subnet: number;
  readonly interface?: string;
  readonly config?: Record<string, unknown>;
  readonly cniVersion?: string;
  /** Plugins after the first. */
  readonly chained?: readonly Record<string, unknown>[];
  /** `cni-0`, `cni-1`, … unless another is named. */
  readonly device?: string;
}

/** macvlan on eth0 with an address from host-local, unless told otherwise. */
export function macvlan(
  { name, type = "macvlan", subnet, config, cniVersion = "1.0.0", chained = [] }: NetworkOptions,
) {
  return {
    cniVersion,
    name,
    plugins: [{
      type,
      master: "eth0",
      mode: "bridge",
      ipam: { type: "host-local", ranges: [[{ subnet: `10.10.${subnet}.0/24` }]] },
      ...config,
    }, ...chained],
  };
}

/** Stores a claim that is allocated and reserved for the pods, one request a network. */
export function storeClaim(
  api: SimulatedApiServer,
  { name, driver, networks, pods }: {
    readonly name: string;
    readonly driver: string;
    readonly networks: readonly NetworkOptions[];
    readonly pods: readonly { readonly name: string; readonly uid: string }[];
  },
): ClaimRef {
  const pod = pods[0]!;
  const stored = api.put({
    metadata: {
      name,
      namespace: "default",
      ownerReferences: [{ kind: "Pod", name: pod.name, uid: pod.uid, controller: true }],
    },
    status: {
      allocation: {
        devices: {
          results: networks.map((network, i) => ({
            request: network.name,
            driver,
            pool: "node-1",
            device: network.device ?? `cni-${i}`,
          })),
          config: networks.map((network) => ({
            source: isOpen(network) ? "FromClaim" : "FromClass",
            requests: [network.name],
            opaque: {
              driver,
              parameters: network.named === undefined
                ? {
                  ...(network.interface && { interface: network.interface }),
                  config: macvlan(network),
                }
                : {
                  apiVersion: "dra.networking/v1alpha1",
                  kind: "Network",
                  networkName: network.named,
                },
            },
          })),
        },
      },
      reservedFor: pods.map((each) => ({ resource: "pods", ...each })),
    },
  });
  return { namespace: "default", name, uid: stored.metadata.uid };
}

/** Whether claims may ask for it: a test's own plugins, and fields that are macvlan's, are an administrator's. */
function isOpen({ type = "macvlan", chained = [] }: NetworkOptions): boolean {
  return type === "macvlan" && chained.every((plugin) => plugin.type === "tuning");
}

/** `<device> <Ready's status> <addresses>` for each entry of status.devices. */
export function shownStatus(claim: StoredClaim | undefined): string[] {
  return (claim?.status?.devices ?? []).map((entry) => {
    const [condition] = entry.conditions as { status: string }[];
    const { ips = [] } = (entry.networkData ?? {}) as { ips?: string[] };
    return `${entry.device} ${condition?.status} ${ips.join(",")}`;
  });
}
