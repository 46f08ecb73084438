/** Clusters with one pod each, healthy or broken in one way. */
import {
  rawAgentPod,
  rawClaim,
  type RawClaimOptions,
  type RawCluster,
  rawCluster,
  rawEvent,
  rawNode,
  rawPod,
  type RawPodOptions,
  reservation,
} from "./cluster_objects.ts";
import type { StepName } from "../../mod/cluster/explain.ts";

/** A cluster, and what is to be said of its pod `default/web`. */
export interface Scene {
  readonly name: string;
  readonly cluster: RawCluster;
  /** Where the network of the pod hangs; undefined where it is well. */
  readonly hangsAt?: StepName;
  /** What must be said of the cause. */
  readonly says?: RegExp;
  /** What must be said of the remedy. */
  readonly todo?: RegExp;
}

const CLAIMS = [{ name: "lan", resourceClaimName: "lan" }];
const READY = { reason: "NetworkInterfaceReady", message: "attached as net1" };

function scene(
  { pod: podOptions, claim, event, more }: {
    readonly pod?: Partial<RawPodOptions>;
    readonly claim?: RawClaimOptions;
    readonly event?: Parameters<typeof rawEvent>[1];
    readonly more?: Partial<RawCluster>;
  },
): RawCluster {
  const pod = rawPod("web", { node: "node-1", claims: CLAIMS, ...podOptions });
  return rawCluster({
    pods: [pod],
    resourceclaims: [
      rawClaim("lan", { node: "node-1", reservedFor: [reservation(pod)], ...claim }),
    ],
    events: event ? [rawEvent(pod, event)] : [],
    ...more,
  });
}

const notReady = (message: string) => ({ reason: "NetworkInterfaceNotReady", message });
const kubelet = (message: string) => ({
  reason: "FailedPrepareDynamicResources",
  component: "kubelet",
  message: `Failed to prepare dynamic resources: claim default/lan: request lan: ${message}`,
});
const NO_NODE = "0/2 nodes are available: 2 cannot allocate all claims.";

export const SCENES: readonly Scene[] = [
  {
    name: "healthy",
    cluster: scene({
      pod: { running: true },
      claim: { ready: READY, ips: ["10.0.0.2/24"] },
    }),
  },
  {
    name: "missing plugin",
    cluster: scene({
      event: kubelet(
        'plugin type="nosuch" name="lan" failed (version): it is in none of the folders /opt/cni/bin: ' +
          "install it on the node, or start the agent with --cni-path",
      ),
    }),
    hangsAt: "prepare",
    says: /kubelet: FailedPrepareDynamicResources: .*nosuch/,
    todo: /install the plugin on the node/,
  },
  {
    name: "exhausted addresses",
    cluster: scene({
      claim: {
        ready: notReady(
          'plugin type="macvlan" name="lan" failed (add): failed to allocate for range 0: no IP ' +
            "addresses available in range set: 10.77.0.5-10.77.0.5",
        ),
      },
    }),
    hangsAt: "attach",
    says: /claim: NetworkInterfaceNotReady: .*no IP addresses available/,
    todo: /use a larger range/,
  },
  {
    name: "refused by policy",
    cluster: scene({
      event: kubelet('config.type: refused by policy: claims may not use the plugin "portmap"'),
    }),
    hangsAt: "prepare",
    says: /refused by policy: claims may not use the plugin "portmap"/,
    todo: /have an administrator change the setting/,
  },
  {
    name: "agent away",
    cluster: {
      ...scene({}),
      pods: [
        rawAgentPod("node-1", {
          ready: false,
          waiting: { reason: "CrashLoopBackOff", message: "back-off" },
        }),
        rawAgentPod("node-2"),
        ...scene({}).pods.slice(2),
      ],
    },
    hangsAt: "node",
    says: /pod kube-system\/network-dra-node-1: CrashLoopBackOff: back-off/,
    todo: /kubectl -n kube-system logs network-dra-node-1/,
  },
  {
    name: "interface gone",
    cluster: scene({
      pod: { running: true },
      claim: { ready: { reason: "DeviceRemoved", message: "eth1 is gone from the node" } },
    }),
    hangsAt: "status",
    says: /claim: DeviceRemoved: eth1 is gone/,
    todo: /Bring the interface back/,
  },
  {
    name: "not scheduled",
    cluster: scene({
      pod: { node: undefined, unscheduled: NO_NODE },
      claim: { node: undefined, reservedFor: [] },
    }),
    hangsAt: "allocation",
    says: /scheduler: Unschedulable: 0\/2 nodes are available/,
    todo: /compare the selectors with the devices/,
  },
  {
    name: "no agent on a node",
    cluster: scene({
      pod: { node: undefined, unscheduled: NO_NODE },
      claim: { node: undefined, reservedFor: [] },
      more: { nodes: [rawNode("node-1"), rawNode("node-2"), rawNode("node-3")] },
    }),
    hangsAt: "allocation",
    says: /scheduler: Unschedulable: 0\/2 nodes are available/,
    todo: /nodeSelector and the tolerations of the DaemonSet match the node; or compare/,
  },
  {
    name: "class selects nothing",
    cluster: scene({
      pod: { node: undefined, unscheduled: NO_NODE },
      claim: { node: undefined, reservedFor: [] },
      more: { resourceslices: [] },
    }),
    hangsAt: "allocation",
    says: /cannot allocate all claims/,
    todo: /kubectl network-dra status/,
  },
  {
    name: "class that is not there",
    cluster: scene({
      pod: { node: undefined, unscheduled: "device class nosuch does not exist" },
      claim: { node: undefined, reservedFor: [], className: "nosuch" },
    }),
    hangsAt: "class",
    todo: /kubectl get deviceclasses/,
  },
  {
    name: "node away",
    cluster: scene({
      more: { nodes: [rawNode("node-1", { ready: false }), rawNode("node-2")] },
    }),
    hangsAt: "node",
    says: /node: Kubelet stopped posting node status/,
    todo: /kubectl describe node node-1/,
  },
  {
    name: "starting",
    cluster: scene({}),
    hangsAt: "prepare",
    todo: /kubectl describe pod -n default web/,
  },
];
