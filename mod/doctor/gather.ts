import { Limiter } from "../async/limiter.ts";
import { askAgent } from "../cluster/agent_status.ts";
import { listPath } from "../cluster/kinds.ts";
import {
  type AgentPod,
  type ClusterObjects,
  itemsOf,
  type Kind,
  type ObjectName,
} from "../cluster/objects.ts";
import type { ClusterPicture } from "../cluster/picture.ts";
import { pictureOf } from "../cluster/picture_of.ts";
import { type ObjectSource, type PodExec, ReadError } from "../cluster/ports.ts";
import { readCluster } from "../cluster/read_cluster.ts";
import { admissionSeen } from "./admission.ts";
import { nodeClock } from "./node_clock.ts";
import type { DoctorApi } from "./ports.ts";
import { missingRecords } from "./records.ts";
import {
  AGENT_RIGHTS,
  INSTALL_RIGHTS,
  type Right,
  STATUS_RIGHTS_SINCE,
  statusRights,
} from "./rights.ts";
import {
  type AccountSeen,
  type AdmissionSeen,
  type AgentSeen,
  type ApiSeen,
  type ClusterSeen,
  isInstalled,
  type KubeletSeen,
  type NodeClock,
  type RawObject,
  type RecordSeen,
  type RightSeen,
  type Seen,
} from "./seen.ts";
import { minorOf } from "./versions.ts";

export interface GatherOptions {
  /** The driver's name; undefined: those that the agents run with. */
  readonly driver?: string;
  /** Only this node. */
  readonly node?: string;
  readonly now: () => Date;
  /** How long an agent may take to tell its status, in milliseconds. */
  readonly agentLimitMs: number;
  readonly signal: AbortSignal;
}

export interface Sources {
  readonly objects: ObjectSource;
  readonly api: DoctorApi;
  readonly exec: PodExec;
}

const KINDS: readonly Kind[] = [
  "Node",
  "AgentPod",
  "ResourceSlice",
  "DeviceClass",
  "ResourceClaim",
  "ResourceClaimTemplate",
  "Pod",
  "Event",
];

/** So many agents, and so many reviews, are asked at a time. */
const AT_A_TIME = 8;
/** So many records without their pod or claim are looked for one by one. */
const MOST_RECORDS = 100;

/** So many kubelets are asked for their configuration. */
const MOST_KUBELETS = 100;

/** The gates of the API server that concern claims for networks. */
const GATES: readonly string[] = [
  "DynamicResourceAllocation",
  "DRAResourceClaimDeviceStatus",
  "DRAConsumableCapacity",
];

/**
 * Looks at everything that the checks judge. What cannot be looked at says why; the rest is looked at
 * all the same. Changes nothing.
 *
 * @throws ReadError where the API server does not answer, or does not accept the credentials
 */
export async function gather(sources: Sources, options: GatherOptions): Promise<ClusterSeen> {
  const { signal, now, driver, node } = options;
  // Whoever gets no answer here need not wait for the others.
  const api = await seenApi(sources.api, options);
  const [objects, gates, admission, classes, templates, clocks] = await Promise.all([
    readCluster(sources.objects, { kinds: KINDS, signal }),
    seen(() => readGates(sources.api, signal)),
    seen(() => readAdmission(sources.objects, signal)),
    seen(() => listed(sources.objects, listPath("DeviceClass"), signal)),
    seen(() => listed(sources.objects, listPath("ResourceClaimTemplate"), signal)),
    seen(() => readClocks(sources.objects, signal)),
  ]);
  const whole = pictureOf(objects, { now: now(), ...(driver !== undefined && { driver }) });
  const picture = node === undefined ? whole : aboutNode(whole, node);
  const [accounts, agents, kubelets, installRights] = await Promise.all([
    readAccounts(sources.api, { picture: whole, api, signal }),
    askAgents(sources.exec, picture, options),
    readKubelets(sources.api, picture, signal),
    isInstalled(whole) ? undefined : seen(() => reviewed(sources.api, INSTALL_RIGHTS, { signal })),
  ]);
  return {
    ...(node !== undefined && { node }),
    picture,
    whole,
    objects,
    slices: itemsOf(objects, "ResourceSlice").filter((each) =>
      whole.drivers.includes(each.driver) && (node === undefined || each.node === node)
    ),
    api,
    gates,
    ...(installRights && { installRights }),
    accounts,
    admission,
    agents,
    records: await readRecords(sources.api, { agents, objects, signal }),
    classes,
    templates,
    clocks,
    kubelets,
  };
}

/** A picture with one node, its claims and its pods. Devices are those of all, for comparison. */
function aboutNode(picture: ClusterPicture, node: string): ClusterPicture {
  return {
    ...picture,
    nodes: picture.nodes.filter(({ name }) => name === node),
    claims: picture.claims.filter((claim) => claim.node === node),
    pods: picture.pods.filter((pod) => pod.node === node),
  };
}

/** @throws what is not a ReadError */
async function seen<T>(read: () => Promise<T>): Promise<Seen<T>> {
  try {
    return { state: "seen", value: await read() };
  } catch (error) {
    if (!(error instanceof ReadError)) throw error;
    return { state: "unseen", why: error.message };
  }
}

async function seenApi(
  api: DoctorApi,
  { now, signal }: GatherOptions,
): Promise<Seen<ApiSeen>> {
  try {
    const before = now().getTime();
    const { body, date } = await api.get("/version", signal);
    const middle = (before + now().getTime()) / 2;
    const groups = (await api.get("/apis", signal)).body as ApiGroups;
    const group = groups.groups?.find(({ name }) => name === "resource.k8s.io");
    return {
      state: "seen",
      value: {
        version: `${(body as { gitVersion?: string }).gitVersion ?? "of an unknown version"}`,
        resourceVersions: group?.versions?.map(({ version }) => version) ?? [],
        // The date is cut to the second.
        ...(date && { clockAhead: Math.round(date.getTime() + 500 - middle) }),
      },
    };
  } catch (error) {
    if (!(error instanceof ReadError)) throw error;
    if (error.reason === "unanswered" || error.reason === "unauthorized") throw error;
    return { state: "unseen", why: error.message };
  }
}

/** An APIGroupList (meta/v1). */
interface ApiGroups {
  readonly groups?: readonly {
    readonly name: string;
    readonly versions?: readonly { readonly version: string }[];
  }[];
}

/** Reads the gates from the API server's metrics: `kubernetes_feature_enabled{name="…"} 1`. */
async function readGates(
  api: DoctorApi,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, boolean>> {
  const text = await api.text("/metrics", signal);
  const gates = new Map<string, boolean>();
  for (const [, labels = "", value] of text.matchAll(GATE)) {
    const name = labels.match(/(?:^|,)name="([^"]*)"/)?.[1];
    if (name !== undefined && GATES.includes(name)) gates.set(name, value === "1");
  }
  return gates;
}

const GATE = /^kubernetes_feature_enabled\{([^}]*)\} ([01])$/gm;

async function listed(
  source: ObjectSource,
  path: string,
  signal: AbortSignal,
): Promise<RawObject[]> {
  const all: RawObject[] = [];
  for await (const { items } of source.list(path, signal)) all.push(...items as RawObject[]);
  return all;
}

const ADMISSION = "/apis/admissionregistration.k8s.io/v1";

async function readAdmission(source: ObjectSource, signal: AbortSignal): Promise<AdmissionSeen[]> {
  const [policies, bindings] = await Promise.all([
    listed(source, `${ADMISSION}/validatingadmissionpolicies`, signal),
    listed(source, `${ADMISSION}/validatingadmissionpolicybindings`, signal),
  ]);
  return admissionSeen(policies, bindings);
}

async function readClocks(source: ObjectSource, signal: AbortSignal): Promise<NodeClock[]> {
  const path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
  return (await listed(source, path, signal)).flatMap((lease) => nodeClock(lease) ?? []);
}

/** Asks the kubelets, through the API server: of all nodes where no agent runs yet. */
async function readKubelets(
  api: DoctorApi,
  picture: ClusterPicture,
  signal: AbortSignal,
): Promise<KubeletSeen[]> {
  const nodes = picture.nodes.filter(({ ready, agent }) =>
    ready === true && (!isInstalled(picture) || agent.state !== "none")
  );
  const limiter = new Limiter(AT_A_TIME);
  const ask = async (node: string): Promise<KubeletSeen> => ({
    node,
    gates: await seen(async () => {
      const path = `/api/v1/nodes/${encodeURIComponent(node)}/proxy/configz`;
      const { body } = await api.get(path, signal);
      return (body as Configz).kubeletconfig?.featureGates ?? {};
    }),
  });
  const [first, ...others] = nodes.slice(0, MOST_KUBELETS).map(({ name }) => name);
  if (first === undefined) return [];
  const answer = await ask(first);
  const { gates } = answer;
  // Who may not read one may read none.
  if (gates.state === "unseen") return nodes.map(({ name: node }) => ({ node, gates }));
  const asked = await Promise.all(others.map((node) => limiter.run(() => ask(node))));
  const why = `only ${MOST_KUBELETS} kubelets are asked; --node asks another one`;
  const left = nodes.slice(MOST_KUBELETS).map(({ name: node }): KubeletSeen => ({
    node,
    gates: { state: "unseen", why },
  }));
  return [answer, ...asked, ...left];
}

/** What a kubelet answers at /configz. */
interface Configz {
  readonly kubeletconfig?: { readonly featureGates?: Readonly<Record<string, boolean>> };
}

async function readAccounts(
  api: DoctorApi,
  { picture: { nodes, drivers }, api: seenApi, signal }: {
    readonly picture: ClusterPicture;
    readonly api: Seen<ApiSeen>;
    readonly signal: AbortSignal;
  },
): Promise<AccountSeen[]> {
  const accounts = new Map<string, ObjectName>();
  for (const { agent } of nodes) {
    if (!("pod" in agent) || agent.pod.serviceAccount === undefined) continue;
    const { namespace, serviceAccount: name } = agent.pod;
    accounts.set(`${namespace}/${name}`, { namespace, name });
  }
  const minor = seenApi.state === "seen" ? minorOf(seenApi.value.version) : undefined;
  const rights = minor !== undefined && minor >= STATUS_RIGHTS_SINCE
    ? [...AGENT_RIGHTS, ...drivers.flatMap(statusRights)]
    : AGENT_RIGHTS;
  return await Promise.all(
    [...accounts.values()].map(async (account) => ({
      account,
      rights: await seen(() => reviewed(api, rights, { account, signal })),
    })),
  );
}

/** Asks whether a ServiceAccount, or else the user, has rights. @throws ReadError */
async function reviewed(
  api: DoctorApi,
  rights: readonly Right[],
  { account, signal }: { readonly account?: ObjectName; readonly signal: AbortSignal },
): Promise<RightSeen[]> {
  const kind = account ? "SubjectAccessReview" : "SelfSubjectAccessReview";
  const subject = account && {
    user: `system:serviceaccount:${account.namespace}:${account.name}`,
    groups: [
      "system:serviceaccounts",
      `system:serviceaccounts:${account.namespace}`,
      "system:authenticated",
    ],
  };
  const limiter = new Limiter(AT_A_TIME);
  return await Promise.all(rights.map((right) =>
    limiter.run(async () => {
      const { group, resource, subresource, verb, namespace, name } = right;
      const body = {
        apiVersion: "authorization.k8s.io/v1",
        kind,
        spec: {
          ...subject,
          resourceAttributes: { group, resource, subresource, verb, namespace, name },
        },
      };
      const path = `/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`;
      const answer = await api.review(path, body, signal) as {
        readonly status?: { readonly allowed?: boolean };
      };
      return { ...right, allowed: answer.status?.allowed === true };
    })
  ));
}

async function askAgents(
  exec: PodExec,
  { nodes }: ClusterPicture,
  { agentLimitMs, signal }: GatherOptions,
): Promise<AgentSeen[]> {
  const limiter = new Limiter(AT_A_TIME);
  const asked = nodes.flatMap(({ name, agent }): { name: string; pod: AgentPod }[] =>
    agent.state === "ready" ? [{ name, pod: agent.pod }] : []
  );
  const ask = async ({ name, pod }: typeof asked[number]): Promise<AgentSeen> => {
    const until = AbortSignal.any([signal, AbortSignal.timeout(agentLimitMs)]);
    return { node: name, pod, told: await askAgent(exec, pod, until) };
  };
  const [first, ...others] = asked;
  if (!first) return [];
  const answer = await ask(first);
  const { told } = answer;
  // Who may ask one may ask all, and who may not need not try 5,000 times.
  if (told.state === "untold" && told.cause === "forbidden") {
    return asked.map(({ name, pod }) => ({ node: name, pod, told }));
  }
  return [answer, ...await Promise.all(others.map((each) => limiter.run(() => ask(each))))];
}

/**
 * What agents have on record for pods and claims that were not there when they were listed. Those that
 * came in between are there when they are asked for one by one.
 */
async function readRecords(
  api: DoctorApi,
  { agents, objects, signal }: {
    readonly agents: readonly AgentSeen[];
    readonly objects: ClusterObjects;
    readonly signal: AbortSignal;
  },
): Promise<RecordSeen[]> {
  const limiter = new Limiter(AT_A_TIME);
  const missing = missingRecords(agents, objects);
  return await Promise.all(missing.map((record, i) =>
    limiter.run(async () => ({
      ...record,
      there: i < MOST_RECORDS
        ? await seen(() => isThere(api, record, signal))
        : { state: "unseen", why: `more than ${MOST_RECORDS} records are without` } as const,
    }))
  ));
}

async function isThere(
  api: DoctorApi,
  { kind, namespace, name, uid }: Omit<RecordSeen, "there">,
  signal: AbortSignal,
): Promise<boolean> {
  const [group, plural] = kind === "pod"
    ? ["/api/v1", "pods"]
    : ["/apis/resource.k8s.io/v1", "resourceclaims"];
  const [inNamespace, named] = [namespace, name].map(encodeURIComponent);
  try {
    const path = `${group}/namespaces/${inNamespace}/${plural}/${named}`;
    const { body } = await api.get(path, signal);
    return (body as { metadata?: { uid?: string } }).metadata?.uid === uid;
  } catch (error) {
    if (error instanceof ReadError && error.reason === "not-served") return false;
    throw error;
  }
}
