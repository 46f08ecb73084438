import type { Fields } from "../claim/field.ts";
import { PROBE_PORT } from "../probe/protocol.ts";
import { claimSpec, type Nodes, type TestedNetwork } from "./tested_network.ts";

/** The pods of a test: two with the network, and one without. */
export type Role = "a" | "b" | "outside";
export const INSIDE = ["a", "b"] as const;

/** An object that the test makes. */
export interface Planned {
  readonly kind: "Namespace" | "ResourceClaimTemplate" | "Pod";
  readonly name: string;
  readonly manifest: Fields;
}

export interface PlanOptions {
  /** A few letters and digits that tell tests apart. */
  readonly id: string;
  /** One that is there; undefined makes one for the test. */
  readonly namespace?: string;
  readonly driver: string;
  readonly className: string;
  readonly network: TestedNetwork;
  readonly nodes: Nodes;
  /** Whether to test that a pod without the network does not reach it. */
  readonly isolation: boolean;
  readonly families: Families;
  readonly image: string;
  readonly pullPolicy: string;
  readonly pullSecret?: string;
}

/** Which addresses the test's own network has. */
export type Families = "dual" | "ipv4" | "ipv6";

/** All that a test makes, in the order in which it is made. */
export interface Plan {
  readonly id: string;
  readonly namespace: string;
  /** Whether the namespace is the test's own: what is in it goes with it. */
  readonly ownNamespace: boolean;
  readonly objects: readonly Planned[];
  readonly pods: ReadonlyMap<Role, PlannedPod>;
}

export interface PlannedPod {
  readonly name: string;
  readonly node: string;
}

/** By which a pod is told its task: the kubelet writes it into a file of the pod within seconds. */
export const TASK_ANNOTATION = "network-dra/task";
/** What the objects of a test have in common. */
export const TEST_LABEL = "network-dra/test";
const FOLDER = "/task";
/** The pods end by themselves after this, in seconds, whatever becomes of the test. */
const POD_LIMIT_S = 900;
/** Nobody, in every image. */
const USER = 65534;

/** What a test makes in the cluster. */
export function planOf(options: PlanOptions): Plan {
  const { id, nodes: [first, second], isolation } = options;
  const name = `network-dra-test-${id}`;
  const namespace = options.namespace ?? name;
  const pods = new Map<Role, PlannedPod>([
    ["a", { name: `${name}-a`, node: first }],
    ["b", { name: `${name}-b`, node: second }],
    ...isolation ? [["outside", { name: `${name}-outside`, node: first }] as const] : [],
  ]);
  const labels = { "app.kubernetes.io/name": "network-dra-test", [TEST_LABEL]: id };
  const metadata = (name: string) => ({ name, namespace, labels });
  const object = (kind: Planned["kind"], name: string, manifest: Fields): Planned => ({
    kind,
    name,
    manifest: { kind, ...manifest },
  });
  const templates = INSIDE.map((role) => {
    const { name } = pods.get(role)!;
    const spec = claimSpec(options.network, {
      ...options,
      addresses: ownAddresses(id, role, options.families),
    });
    return object("ResourceClaimTemplate", name, {
      apiVersion: "resource.k8s.io/v1",
      metadata: metadata(name),
      spec: { metadata: { labels }, spec },
    });
  });
  return {
    id,
    namespace,
    ownNamespace: options.namespace === undefined,
    pods,
    objects: [
      ...options.namespace === undefined
        ? [object("Namespace", name, { apiVersion: "v1", metadata: { name, labels } })]
        : [],
      ...templates,
      ...[...pods].map(([role, pod]) =>
        object("Pod", pod.name, {
          apiVersion: "v1",
          metadata: metadata(pod.name),
          spec: podSpec(options, { role, ...pod }),
        })
      ),
    ],
  };
}

function podSpec(
  { id, image, pullPolicy, pullSecret }: PlanOptions,
  { role, name, node }: PlannedPod & { readonly role: Role },
): Fields {
  const isInside = role !== "outside";
  const claims = [{ name: "network", resourceClaimTemplateName: name }];
  return {
    restartPolicy: "Never",
    activeDeadlineSeconds: POD_LIMIT_S,
    terminationGracePeriodSeconds: 5,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    // By its name: a node's label need not be the same.
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{
            matchFields: [{ key: "metadata.name", operator: "In", values: [node] }],
          }],
        },
      },
    },
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      seccompProfile: { type: "RuntimeDefault" },
    },
    ...(pullSecret !== undefined && { imagePullSecrets: [{ name: pullSecret }] }),
    containers: [{
      name: "probe",
      image,
      imagePullPolicy: pullPolicy,
      args: [
        ...["probe", "--run", id, "--name", role, "--task", `${FOLDER}/task`],
        ...["--port", `${PROBE_PORT}`],
      ],
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      },
      resources: {
        requests: { cpu: "10m", memory: "64Mi" },
        ...(isInside && { claims: [{ name: "network" }] }),
      },
      volumeMounts: [{ name: "task", mountPath: FOLDER, readOnly: true }],
    }],
    volumes: [{
      name: "task",
      downwardAPI: {
        items: [{
          path: "task",
          fieldRef: { fieldPath: `metadata.annotations['${TASK_ANNOTATION}']` },
        }],
      },
    }],
    ...(isInside && { resourceClaims: claims }),
  };
}

/**
 * Addresses for the test's own network: of the range for such tests (RFC 2544), and unique local
 * ones, so that tests at the same time do not meet.
 */
function ownAddresses(id: string, role: Role, families: Families): string[] {
  const [low, high] = [...id].reduce(
    ([low, high], letter) => [(low * 31 + letter.charCodeAt(0)) % 65_536, (high + low) % 65_536],
    [7, 0],
  ) as [number, number];
  const host = role === "a" ? 2 : 3;
  const third = low % 254 + 1;
  const ipv4 = `198.${18 + high % 2}.${third}.${host}/24`;
  const ipv6 = `fd18:${low.toString(16)}:${high.toString(16)}::${host}/64`;
  return [...families === "ipv6" ? [] : [ipv4], ...families === "ipv4" ? [] : [ipv6]];
}

/** What a user types to remove what a test has made. */
export function removeCommand({ id, namespace, ownNamespace }: Plan, kubectl: string): string {
  return ownNamespace
    ? `${kubectl} delete namespace ${namespace}`
    : `${kubectl} --namespace ${namespace} delete pods,resourceclaimtemplates ` +
      `--selector ${TEST_LABEL}=${id}`;
}
