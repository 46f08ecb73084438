import { isDeepStrictEqual } from "node:util";
import { errorMessage } from "../async/error_message.ts";
import { array, type Fields, object, optional } from "../claim/field.ts";
import type { Policy } from "../claim/policy.ts";
import type { PlanProblem } from "../lint/claim_plans.ts";
import { CLAIM_API } from "../manifests/kinds.ts";
import { type Manifest, objectsIn } from "../manifests/manifest.ts";
import { NETWORK_API, parseNetwork } from "../networks/network_object.ts";
import { certainProblems } from "./certain_problems.ts";
import { selectsOnly } from "./class_drivers.ts";
import type { AdmissionRequest } from "./review.ts";
import type { Verdict } from "./verdict.ts";

/** What objects are judged with. */
export interface JudgeOptions {
  readonly driver: string;
  readonly policy: Policy;
  /** Of the cluster, by name; what is not among them is not judged. */
  readonly classes: ReadonlyMap<string, Manifest>;
}

const ALLOWED: Verdict = { is: "allowed", warnings: [] };

/** Kubernetes' limits of a claim (resource.k8s.io/v1): the API server refuses what is beyond them. */
const MOST = { requests: 32, alternatives: 8, configurations: 32, parameters: 10 * 1024 } as const;

/**
 * Judges an object as the agent of any node would when a pod is to start. It denies what an agent
 * would surely refuse, and allows what depends on the node, on the device, or on objects that it does
 * not know. Does not throw: an object that cannot be judged is allowed with a warning.
 */
export function judge(request: AdmissionRequest, options: JudgeOptions): Verdict {
  try {
    return needsNone(request) ? ALLOWED : verdict(request, options);
  } catch (error) {
    return warn([
      `network-dra cannot judge this object and lets it through: ${errorMessage(error)}`,
    ]);
  }
}

function warn(warnings: readonly string[]): Verdict {
  return { is: "allowed", warnings };
}

/** An object that goes, and one whose spec stays, must not be held back: finalizers could not be removed. */
function needsNone({ operation, subResource, object: now, oldObject: before }: AdmissionRequest) {
  if (operation !== "CREATE" && operation !== "UPDATE" || subResource) return true;
  if (optional(object, now.metadata, "metadata")?.deletionTimestamp) return true;
  return operation === "UPDATE" && before !== undefined &&
    isDeepStrictEqual(now.spec, before.spec);
}

function verdict(request: AdmissionRequest, options: JudgeOptions): Verdict {
  switch (`${request.apiVersion} ${request.kind}`) {
    case `${CLAIM_API} ResourceClaim`:
      return ofClaim(request, { ...options, base: "spec" });
    case `${CLAIM_API} ResourceClaimTemplate`:
      return ofClaim(request, { ...options, base: "spec.spec" });
    case `${CLAIM_API} DeviceClass`:
      return ofClass(request, options);
    case `${NETWORK_API} Network`:
      return ofNetwork(request);
    default:
      return ALLOWED;
  }
}

function ofClaim(
  request: AdmissionRequest,
  { classes, base, ...options }: JudgeOptions & { readonly base: "spec" | "spec.spec" },
): Verdict {
  const claim = manifestOf(request);
  const spec = object(claim.spec, "spec");
  const inner = base === "spec" ? spec : object(spec.spec, base);
  const devices = object(inner.devices, `${base}.devices`);
  const requests = optional(array, devices.requests, `${base}.devices.requests`) ?? [];
  assertWithinLimits(requests, devices.config);
  const plain = { devices: { ...devices, requests: requests.map(withoutSelectors) } };
  const ours = namedClasses(requests, classes)
    .filter((each) => selectsOnly(each, options.driver));
  const problems = certainProblems({ ...claim, spec: base === "spec" ? plain : { spec: plain } }, {
    ...options,
    base,
    classes: new Map(ours.map((each) => [each.metadata.name, each])),
    networks: UNKNOWN_NETWORKS,
  });
  const sure = problems.filter(({ certain, deviceClass }) => certain && !deviceClass);
  if (sure.length > 0) return denied(sure);
  return warn(
    problems.map((problem) =>
      problem.deviceClass
        ? `DeviceClass ${problem.deviceClass.metadata.name}: ${sentence(problem)}`
        : `if the scheduler takes this alternative: ${sentence(problem)}`
    ),
  );
}

/** Networks may be files of nodes, which go before the objects of the cluster. */
const UNKNOWN_NETWORKS = {
  networks: new Map<string, never>(),
  definitions: new Map<string, never>(),
  namespaces: new Map<string, never>(),
};

function namedClasses(
  requests: readonly unknown[],
  classes: ReadonlyMap<string, Manifest>,
): Manifest[] {
  const names = requests.flatMap((each) => {
    const { exactly, firstAvailable } = each as Fields;
    const ways = [...exactly ? [exactly as Fields] : [], ...objectsIn(firstAvailable)];
    return ways.map(({ deviceClassName }) => `${deviceClassName}`);
  });
  return [...new Set(names)].flatMap((name) => classes.get(name) ?? []);
}

/** A claim's own selectors are anyone's, and may be long to evaluate: without them, more devices count. */
function withoutSelectors(value: unknown): Fields {
  const { exactly, firstAvailable, ...request } = object(value, "request");
  const plain = ({ selectors: _, ...way }: Fields) => way;
  return {
    ...request,
    ...(exactly !== undefined && { exactly: plain(object(exactly, "exactly")) }),
    ...(firstAvailable !== undefined && { firstAvailable: objectsIn(firstAvailable).map(plain) }),
  };
}

/** Nobody but the API server is to be judged for, which has checked them before. */
function assertWithinLimits(requests: readonly unknown[], config: unknown): void {
  const configurations = objectsIn(config);
  const fits = requests.length <= MOST.requests &&
    requests.every((each) =>
      objectsIn((each as Fields | null)?.firstAvailable).length <= MOST.alternatives
    ) && configurations.length <= MOST.configurations &&
    configurations.every(({ opaque }) => sizeOf(opaque) <= 2 * MOST.parameters);
  if (!fits) throw new Error("it is beyond the limits of resource.k8s.io/v1");
}

function sizeOf(value: unknown): number {
  return JSON.stringify(value)?.length ?? 0;
}

/** A class's own parameters, as they apply to claims that have none. */
function ofClass(request: AdmissionRequest, { driver, policy }: JudgeOptions): Verdict {
  const deviceClass = manifestOf(request);
  const { config } = optional(object, deviceClass.spec, "spec") ?? {};
  assertWithinLimits([], config);
  const { name } = deviceClass.metadata;
  const claim = {
    apiVersion: CLAIM_API,
    kind: "ResourceClaim",
    metadata: { namespace: "default", name: "any" },
    spec: { devices: { requests: [{ name: "any", exactly: { deviceClassName: name } }] } },
  };
  const problems = certainProblems(claim, {
    driver,
    policy,
    base: "spec",
    classes: new Map([[name, deviceClass]]),
    networks: UNKNOWN_NETWORKS,
  });
  // That the class has no parameters is no mistake: claims can have them.
  const own = problems.filter((problem) => problem.deviceClass && problem.rule === "agent");
  return own.length > 0 ? denied(own) : ALLOWED;
}

function ofNetwork(request: AdmissionRequest): Verdict {
  try {
    parseNetwork(manifestOf(request));
    return ALLOWED;
  } catch (error) {
    return { is: "denied", reason: "Invalid", message: errorMessage(error) };
  }
}

/** The object, with the name and namespace that it is to have. */
function manifestOf({ apiVersion, kind, namespace, object: fields }: AdmissionRequest): Manifest {
  const { name, generateName } = object(fields.metadata, "metadata");
  return {
    ...fields,
    apiVersion,
    kind,
    metadata: {
      name: `${name || generateName || kind.toLowerCase()}`,
      ...(namespace !== undefined && { namespace }),
    },
  };
}

function denied(problems: readonly PlanProblem[]): Verdict {
  return {
    is: "denied",
    reason: problems.every(({ rule }) => rule === "policy") ? "Forbidden" : "Invalid",
    message: problems.map(sentence).join("; "),
  };
}

function sentence({ path, message }: PlanProblem): string {
  return `${path}: ${message}`;
}
