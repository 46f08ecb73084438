/** What a check-up asks of a cluster besides lists, made up: in memory, and as an API server. */
import type { DoctorApi } from "../../mod/doctor/ports.ts";
import { gather, type GatherOptions, type Sources } from "../../mod/doctor/gather.ts";
import { describeRight, type Right } from "../../mod/doctor/rights.ts";
import type { ClusterSeen } from "../../mod/doctor/seen.ts";
import { type PodExec, ReadError } from "../../mod/cluster/ports.ts";
import type { StatusDocument } from "../../mod/status/document.ts";
import type { ClusterApi } from "./cluster_api.ts";
import {
  AT,
  rawClass,
  type RawCluster,
  rawCluster,
  rawNetwork,
  rawNode,
  rawSlice,
} from "./cluster_objects.ts";
import { NOW, sourceOf } from "./cluster_source.ts";
import { EXITED_0 } from "./exec_server.ts";
import { aStatusDocument } from "./status_documents.ts";

type Fields = Record<string, unknown>;

/** A cluster for a check-up. Without more it is healthy. */
export interface DoctorScene {
  readonly cluster: RawCluster;
  readonly version: string;
  readonly resourceVersions: readonly string[];
  /** Feature gates, as the API server's metrics have them. */
  readonly gates: Readonly<Record<string, boolean>>;
  /** Feature gates, as the kubelets' configuration sets them. */
  readonly kubeletGates: Readonly<Record<string, boolean>>;
  /** Rights that are not had, such as `get nodes`. */
  readonly denied: readonly string[];
  readonly policies: readonly Fields[];
  readonly bindings: readonly Fields[];
  readonly leases: readonly Fields[];
  /** What each agent tells, by node; a text is what its program says instead. */
  readonly documents: Readonly<Record<string, StatusDocument | string>>;
  /** What the user may not ask for: the ends of paths, and `exec`. */
  readonly forbidden: readonly string[];
}

export function doctorScene(more: Partial<DoctorScene> = {}): DoctorScene {
  return {
    cluster: rawCluster(),
    version: "v1.36.2",
    resourceVersions: ["v1", "v1beta2"],
    gates: {
      DynamicResourceAllocation: true,
      DRAResourceClaimDeviceStatus: true,
      DRAConsumableCapacity: true,
    },
    kubeletGates: {},
    denied: [],
    policies: [
      rawPolicy("network-dra", "resourceslices"),
      rawPolicy("network-dra-events", "events"),
    ],
    bindings: [rawBinding("network-dra"), rawBinding("network-dra-events")],
    leases: [rawLease("node-1"), rawLease("node-2")],
    documents: { "node-1": anAgentDocument("node-1"), "node-2": anAgentDocument("node-2") },
    forbidden: [],
    ...more,
  };
}

/** What a healthy agent tells that has no attachments. */
export function anAgentDocument(
  node: string,
  { needs = [], policy = {}, ...more }: Partial<StatusDocument> & {
    readonly needs?: StatusDocument["agents"][number]["needs"];
    readonly policy?: unknown;
  } = {},
): StatusDocument {
  const document = aStatusDocument([]);
  const [agent] = document.agents;
  return {
    ...document,
    agents: [{ ...agent!, node, needs: [...agent!.needs, ...needs] }],
    settings: [...document.settings, { name: "policy", value: policy, from: "default" }],
    ...more,
  };
}

export function rawPolicy(name: string, resource: string): Fields {
  const expression = 'request.userInfo.username == "system:serviceaccount:kube-system:network-dra"';
  return {
    metadata: { name },
    spec: {
      matchConstraints: { resourceRules: [{ resources: [resource] }] },
      matchConditions: [{ name: "by-the-agent", expression }],
    },
  };
}

export function rawBinding(policyName: string, validationActions = ["Deny"]): Fields {
  return { metadata: { name: policyName }, spec: { policyName, validationActions } };
}

/** @param ahead by how much the node's clock is ahead, in seconds */
export function rawLease(name: string, ahead = 0): Fields {
  const renewTime = new Date(Date.parse(AT) + ahead * 1000 + 300).toISOString();
  return {
    metadata: { name, managedFields: [{ manager: "kubelet", operation: "Update", time: AT }] },
    spec: { holderIdentity: name, renewTime },
  };
}

/** Everything that the checks look at. */
export function seenOf(
  more: Partial<DoctorScene> = {},
  options: Partial<GatherOptions> = {},
): Promise<ClusterSeen> {
  return gather(sourcesOf(doctorScene(more)), {
    now: () => NOW,
    agentLimitMs: 1_000,
    signal: new AbortController().signal,
    ...options,
  });
}

function sourcesOf(scene: DoctorScene): Sources {
  const ask = (path: string, body?: unknown): unknown => {
    const answer = answerTo(scene, path, body);
    if (answer === undefined) throw new ReadError("not-served", `nothing is at ${path}`);
    if (answer === FORBIDDEN) throw new ReadError("forbidden", `you have no right to read ${path}`);
    return answer;
  };
  const api: DoctorApi = {
    get: (path) => attempt(() => ({ body: ask(path), date: NOW })),
    text: (path) => attempt(() => ask(path) as string),
    review: (path, body) => attempt(() => ask(path, body)),
  };
  const lists = sourceOf(scene.cluster, scene);
  const exec: PodExec = {
    exec: ({ pod }) =>
      attempt(() => {
        if (scene.forbidden.includes("exec")) {
          throw new ReadError("forbidden", `you have no right to run programs in ${pod}`);
        }
        const told = toldBy(scene, pod);
        if (typeof told === "string") return { code: 1, stdout: "", stderr: told };
        return { code: 0, stdout: JSON.stringify(told), stderr: "" };
      }),
  };
  return {
    objects: {
      ...lists,
      async *list(path, signal) {
        const own = answerTo(scene, path);
        if (own === undefined) yield* lists.list(path, signal);
        else yield { items: (ask(path) as { items: unknown[] }).items, resourceVersion: "1" };
      },
    },
    api,
    exec,
  };
}

/** Has an API server answer as the scene says. */
export function serveScene(api: ClusterApi, scene: DoctorScene): void {
  api.replace(scene.cluster);
  api.others = async (request) => {
    const { pathname } = new URL(request.url);
    const body = request.method === "POST" ? await request.json() : undefined;
    const answer = answerTo(scene, pathname, body);
    if (answer === undefined) return undefined;
    if (answer === FORBIDDEN) return Response.json({ message: "no" }, { status: 403 });
    return typeof answer === "string" ? new Response(answer) : Response.json(answer);
  };
  api.program = (pod) => {
    const told = toldBy(scene, pod);
    return typeof told === "string"
      ? { stderr: told, status: { status: "Failure", message: told } }
      : { stdout: JSON.stringify(told), status: EXITED_0 };
  };
}

const FORBIDDEN = Symbol("forbidden");

/** Undefined for what others answer. */
function answerTo(scene: DoctorScene, path: string, body?: unknown): unknown {
  const [plain = ""] = path.split("?");
  const end = plain.split("/").at(-1)!;
  if (scene.forbidden.includes(end)) return FORBIDDEN;
  switch (end) {
    case "version":
      return { gitVersion: scene.version };
    case "apis": {
      const versions = scene.resourceVersions.map((version) => ({ version }));
      return { groups: versions.length > 0 ? [{ name: "resource.k8s.io", versions }] : [] };
    }
    case "metrics":
      return [
        "# TYPE kubernetes_feature_enabled gauge",
        ...Object.entries(scene.gates).map(([name, on]) =>
          `kubernetes_feature_enabled{name="${name}",stage="BETA"} ${on ? 1 : 0}`
        ),
        "apiserver_requests 5",
      ].join("\n");
    case "selfsubjectaccessreviews":
    case "subjectaccessreviews": {
      const { spec } = body as { spec: { resourceAttributes: Right } };
      return {
        status: { allowed: !scene.denied.includes(describeRight(spec.resourceAttributes)) },
      };
    }
    case "validatingadmissionpolicies":
      return { items: scene.policies };
    case "validatingadmissionpolicybindings":
      return { items: scene.bindings };
    case "configz":
      return { kubeletconfig: { featureGates: scene.kubeletGates } };
    case "leases":
      return { items: scene.leases };
    default:
      return oneOf(scene, plain);
  }
}

/** A pod or a claim by its name. */
function oneOf({ cluster }: DoctorScene, path: string): unknown {
  const [, namespace, plural, name] = path.match(/\/namespaces\/([^/]+)\/([a-z]+)\/([^/]+)$/) ?? [];
  return (cluster[plural as keyof RawCluster] ?? []).find(({ metadata }) => {
    const { namespace: own, name: called } = metadata as Fields;
    return own === namespace && called === name;
  });
}

function toldBy({ documents }: DoctorScene, pod: string): StatusDocument | string {
  return documents[pod.replace(/^network-dra-/, "")] ?? "no such pod";
}

/** A promise of what a function gives, or of what it throws. */
// deno-lint-ignore require-await
async function attempt<T>(act: () => T): Promise<T> {
  return act();
}

/** Several faults at once, as docs/how-to/check-a-cluster.md shows them. */
export function faultyScene(): DoctorScene {
  const config = {
    cniVersion: "1.0.0",
    name: "storage",
    plugins: [{ type: "macvlan", master: "eth1", ipam: { type: "host-local" } }],
  };
  const storage = rawClass("storage", { ...rawNetwork("storage"), config });
  const needs = [{
    name: "NRI",
    ok: false,
    says: "the socket /var/run/nri/nri.sock does not exist (for 2m10s)",
  }];
  const document = anAgentDocument("node-2");
  return doctorScene({
    cluster: rawCluster({
      nodes: [rawNode("node-1"), rawNode("node-2", { runtime: "containerd://1.7.30" })],
      resourceslices: [
        rawSlice("node-1"),
        rawSlice("node-2", ["eth1"], { mtu: 9000, plugins: ["macvlan"] }),
      ],
      deviceclasses: [rawClass("network-interface"), storage],
    }),
    bindings: [rawBinding("network-dra-events")],
    documents: {
      "node-1": anAgentDocument("node-1"),
      "node-2": { ...document, agents: [{ ...document.agents[0]!, needs }] },
    },
    leases: [rawLease("node-1"), rawLease("node-2", 75)],
    forbidden: ["metrics"],
  });
}
