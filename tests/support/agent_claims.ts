/** An agent with fakes of its ports, and claims as the API server has them, for tests of mod/agent/claims. */
import { Agent } from "../../mod/agent/agent.ts";
import type { Journal } from "../../mod/agent/ports.ts";
import { aSandbox, fakePorts } from "./agent_fakes.ts";

export const DRIVER = "dra.networking";
export const never = new AbortController().signal;

export interface SharedClaimOptions {
  /** Names of the pods that it is reserved for; their UIDs are `uid-<name>`. */
  readonly pods?: readonly string[];
  /** Names of the PodGroups that it is reserved for. */
  readonly groups?: readonly string[];
  readonly device?: string;
  readonly plugin?: Readonly<Record<string, unknown>>;
}

/** A claim that pods can share. */
export function aSharedClaim(
  name: string,
  { pods = [], groups = [], device = "cni", plugin = { type: "macvlan" } }: SharedClaimOptions = {},
) {
  const config = { cniVersion: "1.0.0", name: `network-${name}`, plugins: [plugin] };
  return {
    metadata: { namespace: "default", name, uid: `uid-${name}` },
    status: {
      allocation: {
        devices: {
          results: [{ request: "net", driver: DRIVER, pool: "node", device }],
          config: [{
            source: "FromClaim",
            requests: ["net"],
            opaque: { driver: DRIVER, parameters: { config } },
          }],
        },
      },
      reservedFor: [
        ...pods.map((pod) => ({ resource: "pods", name: pod, uid: `uid-${pod}` })),
        ...groups.map((group) => ({
          apiGroup: "scheduling.k8s.io",
          resource: "podgroups",
          name: group,
          uid: `uid-${group}`,
        })),
      ],
    },
  };
}

export function refOf(name: string) {
  return { namespace: "default", name, uid: `uid-${name}` };
}

/** A test may use its own journal. */
type Ports = Omit<ReturnType<typeof fakePorts>, "journal"> & { readonly journal: Journal };

/** An agent that has read its journal and knows that no sandbox lives; `ports` of an earlier one go on. */
export async function startAgent<P extends Ports = ReturnType<typeof fakePorts>>(
  ports: P = fakePorts() as unknown as P,
  living: readonly string[] = [],
) {
  const agent = new Agent(ports, {
    driver: DRIVER,
    concurrency: 4,
    policy: { trustClaims: true },
  });
  await agent.load();
  await agent.reconcile(living.map((id) => aSandbox(id)), new Set(living));
  const store = (name: string, options: SharedClaimOptions) =>
    void ports.cluster.claims.set(`default/${name}`, aSharedClaim(name, options));
  return {
    ports,
    agent,
    store,
    /** Stores the claim and prepares it, as the kubelet does. */
    prepare: async (name: string, options: SharedClaimOptions) => {
      store(name, options);
      return (await agent.prepare([refOf(name)], never)).get(`uid-${name}`)!;
    },
    unprepare: async (name: string, signal = never) =>
      (await agent.unprepare([refOf(name)], signal)).get(`uid-${name}`),
    /** A container of the pod wants to be created; the sandbox has the pod's name. */
    gate: (pod: string, cdiDevices: readonly string[] = [], signal = never) =>
      agent.gate(aSandbox(pod), { cdiDevices, signal }),
  };
}

/** Whether something came to an end yet. */
export function outcomeOf(promise: Promise<unknown>): { is: "pending" | "done" | "failed" } {
  const outcome: { is: "pending" | "done" | "failed" } = { is: "pending" };
  promise.then(() => outcome.is = "done", () => outcome.is = "failed");
  return outcome;
}
