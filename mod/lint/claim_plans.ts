import type { Attachment } from "../claim/attachment.ts";
import { CNI_DEVICE, deviceName } from "../claim/device_names.ts";
import { assignInterfaceNames } from "../claim/interface_names.ts";
import type { AskedNetwork } from "../claim/parameters.ts";
import { planClaim } from "../claim/plan.ts";
import { FieldError, type Fields } from "../claim/field.ts";
import { assertAllowed } from "../claim/policy_judge.ts";
import { type Policy, refusalIn } from "../claim/policy.ts";
import { type Manifest, objectsIn } from "../manifests/manifest.ts";
import { compileSelector } from "../selectors/selector.ts";
import { type FileNetworkObjects, isElsewhere, networkInFiles } from "./file_networks.ts";
import { isOurs } from "./pod_claims.ts";

export interface PlanOptions {
  readonly driver: string;
  readonly policy: Policy;
  readonly classes: ReadonlyMap<string, Manifest>;
  readonly networks: FileNetworkObjects;
  /**
   * The interface of the node whose device requests are taken to get, where they can; by default the
   * device is the likely one.
   */
  readonly interfaceName?: string;
}

/** What the agent would say about a claim, and where. */
export interface PlanProblem {
  readonly rule: "agent" | "policy";
  /** The class, if the problem is in a class's configuration. */
  readonly deviceClass?: Manifest;
  /** A path in the claim, or in the class. */
  readonly path: string;
  readonly message: string;
  /** False where the scheduler can take another alternative of the request, which has no problem. */
  readonly certain: boolean;
}

/** A configuration in an allocation, and where it comes from. */
interface Origin {
  readonly path: string;
  readonly deviceClass?: Manifest;
}

/**
 * What the agent would say about a claim once it is allocated: for each request, and each of its
 * alternatives, as if a device had been found.
 *
 * @param base the path of the claim's spec: `spec`, or `spec.spec` in a template
 */
export function planProblems(
  claim: Manifest,
  { base, ...options }: PlanOptions & { readonly base: string },
): PlanProblem[] {
  const spec = (base === "spec" ? claim.spec : (claim.spec as Fields)?.spec) as Fields | undefined;
  const devices = (spec?.devices ?? {}) as Readonly<Record<string, Fields[]>>;
  const at = `${base}.devices`;
  const found: PlanProblem[] = [];
  const attachments: Attachment[] = [];
  for (const [i, request] of (devices.requests ?? []).entries()) {
    const alternatives = request.firstAvailable as Fields[] | undefined;
    const ways: [Fields, string, string][] = alternatives
      ? alternatives.map((way, j) => [
        way,
        `${request.name}/${way.name}`,
        `${at}.requests[${i}].firstAvailable[${j}]`,
      ])
      : [[request.exactly as Fields, `${request.name}`, `${at}.requests[${i}]`]];
    const before = found.length;
    let failed = 0;
    for (const [way, name, path] of ways) {
      const deviceClass = options.classes.get(`${way.deviceClassName}`);
      if (!deviceClass || !isOurs(deviceClass, options.driver)) continue;
      const result = planned(claim, {
        name,
        way,
        deviceClass,
        at,
        config: devices.config ?? [],
        path,
      }, options);
      if ("rule" in result) failed = found.push(result) - before;
      // Only one of the alternatives is attached.
      else if (ways[0]![0] === way) attachments.push(...result.attachments);
    }
    if (failed === ways.length) continue;
    for (let k = before; k < found.length; k++) found[k] = { ...found[k]!, certain: false };
  }
  const clash = nameClash(claim, attachments);
  if (found.length === 0 && clash) {
    const certain = (devices.requests ?? []).every(({ firstAvailable }) => !firstAvailable);
    found.push({ rule: "agent", path: at, message: clash, certain });
  }
  return unique(found);
}

interface Way {
  /** Of the request, as an allocation names it. */
  readonly name: string;
  readonly way: Fields;
  readonly deviceClass: Manifest;
  /** Of `devices`. */
  readonly at: string;
  readonly config: readonly Fields[];
  /** Of the request. */
  readonly path: string;
}

function planned(
  claim: Manifest,
  { name, way, deviceClass, at, config, path }: Way,
  { driver, policy, networks, interfaceName: assumed }: PlanOptions,
): PlanProblem | { readonly attachments: readonly Attachment[] } {
  const ofClass = objectsIn((deviceClass.spec as Fields | undefined)?.config);
  const origins: Origin[] = [
    ...ofClass.map((_, i) => ({ path: `spec.config[${i}]`, deviceClass })),
    ...config.map((_, i) => ({ path: `${at}.config[${i}]` })),
  ];
  const configs = [
    ...ofClass.map((entry) => ({ source: "FromClass", requests: [name], ...entry })),
    ...config.map((entry) => ({ source: "FromClaim", ...entry })),
  ];
  const possible = possibleDevices(deviceClass, way, driver);
  const interfaceName = assumed !== undefined && possible.interface
    ? assumed
    : possible.network
    ? undefined
    : parentsIn(configs, driver)[0] ?? "eth0";
  const device = interfaceName === undefined ? CNI_DEVICE : deviceName(interfaceName);
  const { namespace = "default", name: claimName } = claim.metadata;
  const result = { request: name, driver, pool: "node", device };
  // Two devices would be two interfaces of the node, only one of which is known here.
  const count = device === CNI_DEVICE ? Math.min(countOf(way), MOST_DEVICES) : 1;
  let asked: AskedNetwork | undefined;
  try {
    const plan = planClaim({
      metadata: { namespace, name: claimName, uid: "lint" },
      status: {
        allocation: {
          devices: { results: Array.from({ length: count }, () => result), config: configs },
        },
      },
    }, {
      driver,
      interfaceOf: () => ({ device, ...(interfaceName !== undefined && { interfaceName }) }),
      networkOf: (named) => {
        asked = named;
        return networkInFiles(named, { namespace, networks });
      },
    });
    // Whose text it is, and so whether the policy holds for it, is not known.
    const unknown = asked?.by === "networkAttachmentDefinition" &&
      isElsewhere(asked, { namespace, networks });
    for (const attachment of unknown ? [] : plan.attachments) {
      assertAllowed(attachment, { policy, namespace, node: ANY_NODE, networkNames: [] });
    }
    return { attachments: plan.attachments };
  } catch (error) {
    return placed(error as Error, origins, path);
  }
}

/** Kubernetes' limit of devices in one claim. */
const MOST_DEVICES = 32;

function countOf({ count = 1, allocationMode = "ExactCount" }: Fields): number {
  return allocationMode === "ExactCount" ? count as number : 1;
}

/** An unknown node: it may have whatever a claim names. */
const ANY_NODE = {
  offers: () => true,
  taken: () => false,
  needs: () => undefined,
  addresses: [],
};

/** Which devices a request can get, as far as their types decide it. */
interface Possible {
  /** The device `cni`. */
  readonly network: boolean;
  /** That of an interface. */
  readonly interface: boolean;
}

/** Of classes, for requests without selectors of their own. */
const POSSIBLE = new WeakMap<Manifest, Possible>();

function possibleDevices(deviceClass: Manifest, way: Fields, driver: string): Possible {
  const known = way.selectors === undefined ? POSSIBLE.get(deviceClass) : undefined;
  if (known) return known;
  const ofClass = objectsIn((deviceClass.spec as Fields | undefined)?.selectors);
  const selectors = [...ofClass, ...objectsIn(way.selectors)];
  const network = selectors.every((each) =>
    verdict(each, { driver, type: CNI_DEVICE }) === "matches"
  );
  const possible = {
    network,
    interface: !network ||
      INTERFACE_TYPES.some((type) =>
        selectors.every((each) => verdict(each, { driver, type }) !== "no match")
      ),
  };
  if (way.selectors === undefined) POSSIBLE.set(deviceClass, possible);
  return possible;
}

/** What interfaces are tried as: selectors hardly speak of other types. */
const INTERFACE_TYPES = [
  ...["physical", "bond", "bridge", "vlan", "veth", "virtual", "vxlan", "macvlan", "ipvlan"],
  ...["dummy", "tun", "team", "wireguard", "other"],
];

/** What a selector says of a device of which no more than the type is known. */
function verdict(
  { cel }: Fields,
  { driver, type }: { readonly driver: string; readonly type: string },
): "matches" | "no match" | "unknown" {
  try {
    const device = { driver, attributes: { type: { string: type } } };
    const { expression } = cel as { expression: string };
    return compileSelector(expression).matches(device) ? "matches" : "no match";
  } catch {
    return "unknown";
  }
}

/** The node's interfaces that configurations of the driver name as the parent. */
export function parentsIn(configs: readonly object[], driver: string): string[] {
  const found: string[] = [];
  for (const { opaque } of configs as { opaque?: { driver?: string; parameters?: Fields } }[]) {
    if (opaque?.driver !== driver) continue;
    const config = opaque.parameters?.config as Fields | undefined;
    for (const plugin of [config, ...objectsIn(config?.plugins)]) {
      const parent = plugin?.master ?? plugin?.device ?? plugin?.bridge;
      if (typeof parent === "string" && parent !== "") found.push(parent);
    }
  }
  return found;
}

/** Finds the field of the claim or class that an error is about. */
function placed(error: Error, origins: readonly Origin[], request: string): PlanProblem {
  const rule = refusalIn(error) ? "policy" : "agent";
  let cause: unknown = error;
  while (cause instanceof Error && !(cause instanceof FieldError) && cause.cause) {
    cause = cause.cause;
  }
  if (!(cause instanceof FieldError)) {
    return { rule, path: request, message: (cause as Error).message, certain: true };
  }
  const problem = cause.message.slice(cause.path.length + 2);
  const [, index, rest] = cause.path.match(/^status\.allocation\.devices\.config\[(\d+)\](.*)$/) ??
    [];
  const origin = index === undefined ? undefined : origins[Number(index)];
  if (!origin) return { rule, path: request, message: problem, certain: true };
  return {
    rule,
    ...origin,
    path: `${origin.path}${rest}`,
    message: inClaimsTerms(problem, origins),
    certain: true,
  };
}

/** Replaces other places of the allocation that an error names, too. */
function inClaimsTerms(problem: string, origins: readonly Origin[]): string {
  return problem.replaceAll(
    /status\.allocation\.devices\.config\[(\d+)\]/g,
    (text, index) => origins[Number(index)]?.path ?? text,
  );
}

function nameClash(
  { metadata: { namespace = "default", name } }: Manifest,
  attachments: readonly Attachment[],
): string | undefined {
  try {
    assignInterfaceNames({ claim: { namespace, name, uid: "lint" }, attachments }, []);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function unique(problems: readonly PlanProblem[]): PlanProblem[] {
  const seen = new Set<string>();
  return problems.filter(({ path, message }) => {
    const key = `${path}: ${message}`;
    return !seen.has(key) && seen.add(key);
  });
}
