import { nearest } from "../claim/did_you_mean.ts";
import type { Fields } from "../claim/field.ts";
import type { Policy } from "../claim/policy.ts";
import { driverMistake, driverOf } from "../manifests/drivers.ts";
import {
  beyondNetworks,
  classesOf,
  missingClasses,
  notSimulated,
  type Source,
  unnamedDefinitions,
} from "../manifests/file_set.ts";
import { namedDefinitions, NETWORK_KINDS } from "../manifests/networks.ts";
import type { Manifest } from "../manifests/manifest.ts";
import { namesake, POD_FIELDS } from "../manifests/namesake.ts";
import { type FileObject, readObjects } from "../manifests/manifests.ts";
import { podsOf } from "../manifests/workloads.ts";
import { planProblems } from "./claim_plans.ts";
import { unknownRequests } from "./container_requests.ts";
import { type FileNetworkObjects, fileNetworkObjects } from "./file_networks.ts";
import { hostNetworkProblem } from "./host_network.ts";
import type { Problem } from "./problem.ts";

export interface LintOptions {
  /** The driver name; by default, the one that the files use. */
  readonly driver?: string;
  readonly policy?: Policy;
}

/** What the API server, the scheduler and the agent would say about the objects of files, in file order. */
export function lint(sources: readonly Source[], options: LintOptions = {}): Problem[] {
  const seen = new Map<string, string>();
  const read = sources.map(({ file, text }) => ({ file, inside: readObjects(text, file, seen) }));
  const objects = read.flatMap(({ inside }) => inside);
  const unnamed = unnamedDefinitions(objects);
  const own = objects.flatMap(({ manifest }) => manifest ?? []);
  const namespaces = objects.flatMap(({ namespace }) => namespace ?? []);
  const driver = options.driver ?? driverOf(own);
  const classes = classesOf([...missingClasses(own, driver), ...own]);
  const known = new Known(own, {
    classes,
    complete: !objects.some(({ problem, manifest }) => problem && !manifest),
  });
  const networks = fileNetworkObjects(own, namespaces);
  const about = { driver, classes, policy: options.policy ?? {}, networks, unnamed };
  return read.flatMap(({ file, inside }) =>
    inside.length === 0
      ? [emptyFile(file)]
      : inside.flatMap((object) => problemsOf(object, { ...about, known, objects }))
  );
}

/** There is nothing to check, for example because a program in a pipe failed. */
function emptyFile(file: string): Problem {
  const message = "contains no Kubernetes object";
  return { level: "warning", rule: "not-run", file, line: 1, object: "file", message };
}

interface Around {
  readonly driver: string;
  readonly classes: ReadonlyMap<string, Manifest>;
  readonly policy: Policy;
  readonly known: Known;
  readonly objects: readonly FileObject[];
  readonly networks: FileNetworkObjects;
  readonly unnamed: ReadonlySet<FileObject>;
}

function problemsOf(object: FileObject, around: Around): Problem[] {
  const { manifest, problem, title, place } = object;
  const at = (path: string, rest: Pick<Problem, "level" | "rule" | "message">): Problem => ({
    file: place.file,
    line: place.lineOf(path),
    object: title,
    ...rest,
  });
  if (problem) {
    const { line, column, message } = problem;
    return [{
      level: "error",
      rule: "api-server",
      file: place.file,
      line,
      ...(column !== undefined && { column }),
      object: title,
      message,
    }];
  }
  const advice = notSimulated(object, around.unnamed);
  if (advice !== undefined) {
    return [at("", { level: "warning", rule: "not-run", message: advice })];
  }
  if (!manifest) return [];
  const mistake = driverMistake(manifest, around);
  return [
    ...mistake
      ? [at(mistake.path, { level: "error", rule: "driver", message: mistake.message })]
      : [],
    ...around.known.missing(manifest).map(({ path, message }) =>
      at(path, { level: "warning", rule: "reference", message: `${path}: ${message}` })
    ),
    ...beyondNetworks(manifest).map((message) =>
      at("", { level: "warning", rule: "not-run", message })
    ),
    ...onHostNetwork(manifest, around).map(({ path, message }) =>
      at(path, { level: "error", rule: "agent", message: `${path}: ${message}` })
    ),
    ...mistake ? [] : ofTheAgent(object, around),
  ];
}

function onHostNetwork(manifest: Manifest, { known, classes, driver }: Around) {
  const pod = podOf(manifest);
  const found = pod && hostNetworkProblem(pod.spec, { ...pod, own: known.own, classes, driver });
  return found ? [found] : [];
}

function ofTheAgent({ manifest, title, place }: FileObject, around: Around): Problem[] {
  const { kind } = manifest!;
  if (kind !== "ResourceClaim" && kind !== "ResourceClaimTemplate") return [];
  const base = kind === "ResourceClaim" ? "spec" : "spec.spec";
  return planProblems(manifest!, { ...around, base }).map(
    ({ rule, deviceClass, path, message }) => {
      // What follows a colon stands in another object.
      const [own = path] = path.split(": ");
      const owner = deviceClass && around.objects.find((each) => each.manifest === deviceClass);
      const { file, line } = owner
        ? { file: owner.place.file, line: owner.place.lineOf(own) }
        : { file: place.file, line: place.lineOf(own) };
      return {
        level: "error",
        rule,
        file,
        line,
        object: owner?.title ?? title,
        message: `${path}: ${message}`,
      };
    },
  );
}

/** The objects that other objects can name. */
class Known {
  readonly own: readonly Manifest[];
  readonly #names: Readonly<Record<string, readonly string[]>>;
  readonly #complete: boolean;

  /** @param complete false where an object could not be read: it may be the one that is named */
  constructor(own: readonly Manifest[], { classes, complete }: {
    readonly classes: ReadonlyMap<string, Manifest>;
    readonly complete: boolean;
  }) {
    this.own = own;
    this.#complete = complete;
    const of = (kind: string) => own.filter((each) => each.kind === kind).map(fullName);
    this.#names = {
      ResourceClaim: of("ResourceClaim"),
      ResourceClaimTemplate: of("ResourceClaimTemplate"),
      DeviceClass: [...classes.keys()],
      NetworkAttachmentDefinition: of("NetworkAttachmentDefinition"),
    };
  }

  /** What a manifest names that the files lack: it may be on the cluster already. */
  missing(manifest: Manifest): { readonly path: string; readonly message: string }[] {
    const references = this.#complete ? referencesOf(manifest) : [];
    const missing = references.flatMap(({ path, kind, name }) => {
      const names = this.#names[kind]!;
      if (names.includes(name)) return [];
      const meant = nearest(name, names);
      const other = kind === "DeviceClass"
        ? undefined
        : namesake(name, names, this.#otherThan(kind));
      const advice = other ?? (meant && `did you mean ${meant}?`);
      const message = `${kind} ${name} is not in the files${advice ? `; ${advice}` : ""}`;
      return [{ path, message }];
    });
    const pod = podOf(manifest);
    return pod ? [...missing, ...unknownRequests(pod.spec, { ...pod, own: this.own })] : missing;
  }

  #otherThan(kind: string) {
    const other = kind === "ResourceClaim" ? "ResourceClaimTemplate" : "ResourceClaim";
    return { kind: other, field: POD_FIELDS[other], names: this.#names[other]! };
  }
}

interface Reference {
  /** Of the field that holds the name. */
  readonly path: string;
  readonly kind: string;
  readonly name: string;
}

function referencesOf(manifest: Manifest): Reference[] {
  const kind = "NetworkAttachmentDefinition";
  const definitions = namedDefinitions(manifest)
    // Which namespace a class means depends on the claim.
    .filter(({ name }) => !name.startsWith("*/"))
    .map((each) => ({ ...each, kind }));
  return [...definitions, ...otherReferences(manifest)];
}

function otherReferences(manifest: Manifest): Reference[] {
  switch (manifest.kind) {
    case "DeviceClass":
      return [];
    case "ResourceClaim":
      return classReferences(manifest.spec as Fields, "spec");
    case "ResourceClaimTemplate":
      return classReferences((manifest.spec as Fields).spec as Fields, "spec.spec");
  }
  const pod = podOf(manifest);
  if (!pod) return [];
  const { spec, at, namespace } = pod;
  const entries = (spec.resourceClaims ?? []) as Fields[];
  return entries.flatMap((entry, i) =>
    ["ResourceClaim", "ResourceClaimTemplate"].flatMap((kind) => {
      const key = `r${kind.slice(1)}Name`;
      if (typeof entry[key] !== "string") return [];
      return [{
        path: `${at}.resourceClaims[${i}].${key}`,
        kind,
        name: `${namespace}/${entry[key]}`,
      }];
    })
  );
}

const WITHOUT_PODS = ["DeviceClass", "ResourceClaim", "ResourceClaimTemplate", ...NETWORK_KINDS];

/** The pod of a manifest, or the first that a workload makes; undefined for other kinds. */
function podOf(manifest: Manifest) {
  if (WITHOUT_PODS.includes(manifest.kind)) return;
  const [pod] = podsOf(manifest).pods;
  if (!pod) return;
  const { namespace = "default" } = manifest.metadata;
  const at = POD_SPECS[manifest.kind] ?? "spec.template.spec";
  return { spec: pod.spec as Fields, at, namespace };
}

/** The path of the pod's spec in kinds other than the usual workloads. */
const POD_SPECS: Readonly<Record<string, string>> = {
  Pod: "spec",
  CronJob: "spec.jobTemplate.spec.template.spec",
};

function classReferences(spec: Fields | undefined, base: string): Reference[] {
  const { requests = [] } = (spec?.devices ?? {}) as { requests?: Fields[] };
  return requests.flatMap((request, i) => {
    const at = `${base}.devices.requests[${i}]`;
    const alternatives = (request.firstAvailable ?? []) as Fields[];
    const ways: [Fields, string][] = request.exactly
      ? [[request.exactly as Fields, `${at}.exactly`]]
      : alternatives.map((each, j) => [each, `${at}.firstAvailable[${j}]`]);
    return ways.map(([way, path]) => ({
      path: `${path}.deviceClassName`,
      kind: "DeviceClass",
      name: `${way.deviceClassName}`,
    }));
  });
}

function fullName({ metadata: { namespace = "default", name } }: Manifest): string {
  return `${namespace}/${name}`;
}
