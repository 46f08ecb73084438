import type { AgentKind } from "../agents/agent.ts";
import { type KubernetesVersion, minorOf } from "../kubernetes_programs.ts";
import { ADDRESSES } from "./addresses.ts";
import { BROKEN_PODS } from "./broken_pods.ts";
import { CLAIMS } from "./claims.ts";
import { CLUSTER_VIEW } from "./cluster_view.ts";
import { DAEMONSET } from "./daemonset.ts";
import { DEVICES } from "./devices.ts";
import { DOCTOR } from "./doctor.ts";
import { DOCUMENTATION } from "./documentation.ts";
import { ENDS } from "./ends.ts";
import { EXAMPLE_CASES } from "./examples.ts";
import { MISTAKES } from "./mistakes.ts";
import { MULTUS } from "./multus.ts";
import { NETWORK_OBJECTS } from "./network_objects.ts";
import { NODE_ROOT } from "./node_root.ts";
import { RESTARTS } from "./restarts.ts";
import { RIGHTS } from "./rights.ts";
import { SELECTORS } from "./selectors.ts";
import { STATUS } from "./status.ts";
import { SYSDUMP } from "./sysdump.ts";
import { TESTED_NETWORKS } from "./tested_networks.ts";
import { TWO_NODES } from "./two_nodes.ts";
import { UI } from "./ui.ts";
import { WEBHOOK } from "./webhook.ts";
import { WEBHOOK_DEPLOYMENT } from "./webhook_deployment.ts";

/** What is tested with every release of Kubernetes and every runtime. */
const MAIN = { ...CLAIMS, ...DEVICES, ...ENDS, ...RESTARTS, ...DAEMONSET };
/** With the release that is tested most. */
const FURTHER = {
  ...MISTAKES,
  ...WEBHOOK,
  ...RIGHTS,
  ...SELECTORS,
  ...NETWORK_OBJECTS,
  ...MULTUS,
  ...EXAMPLE_CASES,
  ...DOCUMENTATION,
  ...NODE_ROOT,
  ...STATUS,
  ...TWO_NODES,
  ...CLUSTER_VIEW,
  ...BROKEN_PODS,
  ...DOCTOR,
  ...SYSDUMP,
  ...UI,
  ...TESTED_NETWORKS,
  ...ADDRESSES,
  ...WEBHOOK_DEPLOYMENT,
};
/** Cases that need a second node. */
const OF_TWO_NODES = {
  ...TWO_NODES,
  ...CLUSTER_VIEW,
  ...BROKEN_PODS,
  ...DOCTOR,
  ...SYSDUMP,
  ...UI,
  ...TESTED_NETWORKS,
  ...ADDRESSES,
  ...WEBHOOK_DEPLOYMENT,
};
/** What a process has not. */
const OF_DAEMONSET = { ...DAEMONSET, ...NODE_ROOT, ...STATUS, ...OF_TWO_NODES };

export const CASES = { ...MAIN, ...FURTHER };

/** Cases of what Kubernetes has by default only from this minor version on. */
const SINCE: Readonly<Record<string, number>> = {
  "the health of a pod's devices is in its status": 36,
};

/** The names of the cases that are tested with a combination, all or the main ones, by number of nodes. */
export function casesOf(
  { kubernetes, agent, main }: {
    readonly kubernetes: KubernetesVersion;
    readonly agent: AgentKind;
    readonly main: boolean;
  },
): { readonly one: string[]; readonly two: string[] } {
  const minor = minorOf(kubernetes);
  const names = Object.keys(main ? MAIN : CASES).filter((name) =>
    minor >= (SINCE[name] ?? 0) && (agent === "DaemonSet" || !(name in OF_DAEMONSET))
  );
  return {
    one: names.filter((name) => !(name in OF_TWO_NODES)),
    two: names.filter((name) => name in OF_TWO_NODES),
  };
}
