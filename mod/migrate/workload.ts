import {
  array,
  FieldError,
  type Fields,
  join,
  object,
  optional,
  show,
  text,
} from "../claim/field.ts";
import { type Manifest, objectsIn } from "../manifests/manifest.ts";
import { DEFAULT_NETWORK, type NetworkElement, NETWORKS, parseNetworks } from "./annotation.ts";

/** What Multus writes into pods. */
const STATUS_ANNOTATIONS = [
  "k8s.v1.cni.cncf.io/network-status",
  "k8s.v1.cni.cncf.io/networks-status",
];

/** Where the template of a workload's pods stands; a Pod is its own. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  Deployment: ["spec", "template"],
  StatefulSet: ["spec", "template"],
  DaemonSet: ["spec", "template"],
  ReplicaSet: ["spec", "template"],
  Job: ["spec", "template"],
  CronJob: ["spec", "jobTemplate", "spec", "template"],
};

/** Whether objects of a kind have pods. */
export function hasPods({ kind }: Manifest): boolean {
  return Object.hasOwn(TEMPLATES, kind);
}

/** The path of a workload's pod template, `""` for a Pod. */
export function templatePath({ kind }: Manifest): string {
  return TEMPLATES[kind]!.join(".");
}

export function templateOf(manifest: Manifest): Fields {
  return TEMPLATES[manifest.kind]!.reduce<Fields>(
    (parent, key) => (parent[key] ?? {}) as Fields,
    manifest,
  );
}

/** Whether a workload's pods ask Multus for anything. */
export function isAnnotated(manifest: Manifest): boolean {
  const { annotations } = (templateOf(manifest).metadata ?? {}) as {
    readonly annotations?: Fields;
  };
  return [NETWORKS, DEFAULT_NETWORK].some((key) => annotations?.[key] !== undefined);
}

/** What made an object and would undo changes of it, such as a ReplicaSet's Deployment. */
export function controllerOf({ metadata }: Manifest): string | undefined {
  const owners = objectsIn((metadata as Fields).ownerReferences);
  const owner = owners.find(({ controller }) => controller === true);
  return owner && `${owner.kind} ${owner.name}`;
}

/**
 * The networks that a workload's pods ask Multus for.
 *
 * @throws FieldError for an annotation that Multus cannot read, or a pod that claims cannot serve
 */
export function networksOf(manifest: Manifest): NetworkElement[] {
  const base = templatePath(manifest);
  const { metadata, spec } = templateOf(manifest);
  const at = join(join(base, "metadata"), "annotations");
  const annotations = optional(object, (metadata as Fields | undefined)?.annotations, at) ?? {};
  const other = annotations[DEFAULT_NETWORK];
  if (other !== undefined && other !== "") {
    throw new FieldError(
      join(at, DEFAULT_NETWORK),
      "replaces the cluster's network, which the agent never does: leave the pods with Multus, or " +
        "give them this network as an additional one",
    );
  }
  const elements = parseNetworks(annotations[NETWORKS], join(at, NETWORKS));
  if (elements.length > 0) {
    assertDepth(manifest);
    const at = join(base, "spec");
    assertPlace(spec as Fields, at);
    assertReadable(spec as Fields, at);
  }
  return elements;
}

/** Deeper than any workload, and not as deep as YAML can be written. */
const MOST_DEEP = 64;

function assertDepth(manifest: Manifest): void {
  let level: readonly (readonly [unknown, string])[] = [[manifest, ""]];
  for (let depth = 0; level.length > 0; depth++) {
    const [[, path = ""] = []] = level;
    if (depth > MOST_DEEP) {
      throw new FieldError(
        path.split(".").slice(0, 4).join("."),
        `is nested too deeply: at most ${MOST_DEEP} levels are allowed`,
      );
    }
    level = level.flatMap(([value, at]) =>
      typeof value !== "object" || value === null
        ? []
        : Object.entries(value).map(([key, each]) => [each, join(at, key)] as const)
    );
  }
}

/** What is changed must be as the API server takes it: `lint` looks less closely. */
function assertReadable(spec: Fields, at: string): void {
  for (const [i, claim] of listOf(spec, "resourceClaims", at).entries()) {
    text(claim.name, `${join(at, "resourceClaims")}[${i}].name`);
  }
  const seen = new Set<string>();
  for (const list of CONTAINER_LISTS) {
    for (const [i, container] of listOf(spec, list, at).entries()) {
      const path = `${join(at, list)}[${i}]`;
      const name = text(container.name, join(path, "name"));
      if (seen.has(name)) throw new FieldError(join(path, "name"), `${show(name)} is used twice`);
      seen.add(name);
      const resources = optional(object, container.resources, join(path, "resources")) ?? {};
      for (const key of AMOUNTS) optional(object, resources[key], `${path}.resources.${key}`);
      listOf(resources, "claims", join(path, "resources"));
    }
  }
}

/** A list of objects, empty where it is left out. */
function listOf(parent: Fields, key: string, at: string): Fields[] {
  const path = join(at, key);
  const list = optional(array, parent[key], path) ?? [];
  return list.map((each, i) => object(each, `${path}[${i}]`));
}

const CONTAINER_LISTS = ["initContainers", "containers"] as const;
const AMOUNTS = ["limits", "requests"] as const;

/** Pods that no claim can serve. */
function assertPlace(spec: Fields, at: string): void {
  if (spec.hostNetwork === true) {
    throw new FieldError(
      join(at, "hostNetwork"),
      "is true: neither Multus nor the agent gives networks to pods on the host's network; remove the " +
        "annotation",
    );
  }
  if (spec.nodeName !== undefined) {
    throw new FieldError(
      join(at, "nodeName"),
      "bypasses the scheduler, which allocates claims: use a nodeSelector for kubernetes.io/hostname, " +
        "then migrate again",
    );
  }
}

/** What the API server, controllers and the scheduler write into an object. */
const SERVER_METADATA = [
  "creationTimestamp",
  "deletionGracePeriodSeconds",
  "deletionTimestamp",
  "generation",
  "managedFields",
  "resourceVersion",
  "selfLink",
  "uid",
];
const SERVER_ANNOTATIONS = [
  "kubectl.kubernetes.io/last-applied-configuration",
  "deployment.kubernetes.io/revision",
  ...STATUS_ANNOTATIONS,
];

/** An object as its author wrote it, without what a cluster has added. */
export function authored(manifest: Manifest): Manifest {
  const { status, ...rest } = manifest;
  const { annotations, ...metadata } = rest.metadata as Manifest["metadata"] & {
    readonly annotations?: Fields;
  };
  const kept = annotations && without(annotations, SERVER_ANNOTATIONS);
  const wasScheduled = manifest.kind === "Pod" && status !== undefined;
  return {
    ...rest,
    ...(wasScheduled && { spec: without(rest.spec as Fields, ["nodeName"]) }),
    metadata: {
      ...without(metadata, SERVER_METADATA) as Manifest["metadata"],
      ...(kept && Object.keys(kept).length > 0 && { annotations: kept }),
    },
  };
}

function without(fields: Fields, keys: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([key]) => !keys.includes(key)));
}

/** What a workload's pods get instead of the annotation. */
export interface PodClaim {
  /** The claim's name in the pod. */
  readonly name: string;
  readonly templateName: string;
  /** Extended resources that containers no longer ask for. */
  readonly resources: readonly string[];
}

/** A workload that has moved. */
export interface MovedWorkload {
  readonly after: Manifest;
  /** A strategic merge patch that makes one of the other. */
  readonly patch: Manifest;
}

/** Replaces the annotation by a claim. */
export function withClaim(manifest: Manifest, claim: PodClaim): MovedWorkload {
  const { apiVersion, kind, metadata: { name, namespace } } = manifest;
  const template = templateOf(manifest);
  const spec = template.spec as Fields;
  const metadata = (template.metadata ?? {}) as Fields;
  const claims = [
    ...objectsIn(spec.resourceClaims),
    { name: claim.name, resourceClaimTemplateName: claim.templateName },
  ];
  const lists = CONTAINER_LISTS.filter((key) => objectsIn(spec[key]).length > 0);
  const patched = {
    metadata: { annotations: { [NETWORKS]: null } },
    spec: {
      resourceClaims: claims,
      ...Object.fromEntries(
        lists.map((key) => [key, objectsIn(spec[key]).map((each) => containerPatch(each, claim))]),
      ),
    },
  };
  const { annotations, ...rest } = metadata;
  const kept = without((annotations ?? {}) as Fields, [NETWORKS]);
  const after = {
    ...template,
    metadata: { ...rest, ...(Object.keys(kept).length > 0 && { annotations: kept }) },
    spec: {
      ...spec,
      resourceClaims: claims,
      ...Object.fromEntries(
        lists.map((key) => [key, objectsIn(spec[key]).map((each) => withClaims(each, claim))]),
      ),
    },
  };
  const identity = { name, ...(namespace !== undefined && { namespace }) };
  const path = TEMPLATES[kind]!;
  return {
    after: placed(manifest, path, after) as Manifest,
    patch: path.length === 0
      ? { apiVersion, kind, ...patched, metadata: { ...identity, ...patched.metadata } }
      : placed({ apiVersion, kind, metadata: identity }, path, patched) as Manifest,
  };
}

/** The object with another value at a path. */
function placed(parent: Fields, [key, ...rest]: readonly string[], value: Fields): Fields {
  if (key === undefined) return value;
  return { ...parent, [key]: placed((parent[key] ?? {}) as Fields, rest, value) };
}

function claimsOf(container: Fields, { name }: PodClaim): Fields[] {
  return [...objectsIn((container.resources as Fields | undefined)?.claims), { name }];
}

function containerPatch(container: Fields, claim: PodClaim): Fields {
  // The list as a whole: whether it is merged or replaced depends on who applies the patch.
  return {
    name: container.name,
    resources: {
      claims: claimsOf(container, claim),
      ...Object.fromEntries(
        AMOUNTS.flatMap((key) => {
          const found = requested(container, key, claim);
          return found.length === 0
            ? []
            : [[key, Object.fromEntries(found.map((each) => [each, null]))]];
        }),
      ),
    },
  };
}

function withClaims(container: Fields, claim: PodClaim): Fields {
  const resources = (container.resources ?? {}) as Fields;
  const amounts: Fields = Object.fromEntries(
    AMOUNTS.flatMap((key): [string, unknown][] => {
      if (resources[key] === undefined) return [];
      if (resources[key] === null) return [[key, null]];
      const left = without(resources[key] as Fields, requested(container, key, claim));
      return Object.keys(left).length === 0 ? [] : [[key, left]];
    }),
  );
  const others = without(resources, ["limits", "requests", "claims"]);
  return {
    ...container,
    resources: { ...others, ...amounts, claims: claimsOf(container, claim) },
  };
}

/** Which of the resources a container asks for that it no longer needs. */
function requested(container: Fields, key: string, { resources }: PodClaim): string[] {
  const amounts = (container.resources as Fields | undefined)?.[key];
  return Object.keys((amounts ?? {}) as Fields).filter((each) => resources.includes(each));
}
