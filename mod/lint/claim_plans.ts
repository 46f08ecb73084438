import type { Attachment } from "../claim/attachment.ts";
import { CNI_DEVICE, deviceName } from "../claim/device_names.ts";
import { assignInterfaceNames } from "../claim/interface_names.ts";
import type { NetworkList } from "../claim/network_list.ts";
import { planClaim } from "../claim/plan.ts";
import { FieldError, type Fields } from "../claim/field.ts";
import { assertAllowed } from "../claim/policy_judge.ts";
import { type Policy, refusalIn } from "../claim/policy.ts";
import { selectedDrivers } from "../manifests/drivers.ts";
import type { Manifest } from "../manifests/manifest.ts";
import { compileSelector } from "../selectors/selector.ts";

export interface PlanOptions {
  readonly driver: string;
  readonly policy: Policy;
  readonly classes: ReadonlyMap<string, Manifest>;
}

/** What the agent would say of a claim, and where. */
export interface PlanProblem {
  readonly rule: "agent" | "policy";
  /** The class whose configuration it is about, where it is one's. */
  readonly deviceClass?: Manifest;
  /** Of the claim, or of the class. */
  readonly path: string;
  readonly message: string;
}

/** A configuration in an allocation, and where it comes from. */
interface Origin {
  readonly path: string;
  readonly deviceClass?: Manifest;
}

/**
 * What the agent would say of a claim once it is allocated: for each request, and each of its
 * alternatives, as if a device was found.
 *
 * @param base where the claim's spec stands: `spec`, or `spec.spec` in a template
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
      if ("rule" in result) found.push(result);
      // Only one of the alternatives is attached.
      else if (ways[0]![0] === way) attachments.push(...result.attachments);
    }
  }
  const clash = nameClash(attachments);
  if (found.length === 0 && clash) found.push({ rule: "agent", path: at, message: clash });
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
  { driver, policy }: PlanOptions,
): PlanProblem | { readonly attachments: readonly Attachment[] } {
  const ofClass = ((deviceClass.spec as Fields)?.config ?? []) as Fields[];
  const origins: Origin[] = [
    ...ofClass.map((_, i) => ({ path: `spec.config[${i}]`, deviceClass })),
    ...config.map((_, i) => ({ path: `${at}.config[${i}]` })),
  ];
  const configs = [
    ...ofClass.map((entry) => ({ source: "FromClass", requests: [name], ...entry })),
    ...config.map((entry) => ({ source: "FromClaim", ...entry })),
  ];
  const interfaceName = isNetworkDevice(deviceClass, way, driver)
    ? undefined
    : parentOf(configs, driver) ?? "eth0";
  const device = interfaceName === undefined ? CNI_DEVICE : deviceName(interfaceName);
  const { namespace = "default", name: claimName } = claim.metadata;
  try {
    const plan = planClaim({
      metadata: { namespace, name: claimName, uid: "lint" },
      status: {
        allocation: {
          devices: { results: [{ request: name, driver, pool: "node", device }], config: configs },
        },
      },
    }, {
      driver,
      interfaceOf: () => ({ device, ...(interfaceName !== undefined && { interfaceName }) }),
      networkOf: (network) => ({ network: anyNetwork(network), file: "networkDir" }),
    });
    for (const attachment of plan.attachments) {
      assertAllowed(attachment, { policy, namespace, node: ANY_NODE, networkNames: [] });
    }
    return { attachments: plan.attachments };
  } catch (error) {
    return placed(error as Error, origins, path);
  }
}

/** A node of which nothing is known: whatever a claim names may be there. */
const ANY_NODE = {
  offers: () => true,
  taken: () => false,
  needs: () => undefined,
  addresses: [],
};

/** An administrator's network, which lies on the nodes. */
function anyNetwork(name: string): NetworkList {
  const capabilities = { ips: true, mac: true, bandwidth: true, portMappings: true };
  return { cniVersion: "1.0.0", name, plugins: [{ type: "any", capabilities }] };
}

function isOurs(deviceClass: Manifest, driver: string): boolean {
  return selectedDrivers(deviceClass)?.includes(driver) ?? true;
}

/** Whether the device `cni` can be what is allocated. */
function isNetworkDevice(deviceClass: Manifest, way: Fields, driver: string): boolean {
  const ofClass = ((deviceClass.spec as Fields)?.selectors ?? []) as Fields[];
  const selectors = [...ofClass, ...(way.selectors ?? []) as Fields[]];
  return selectors.every(({ cel }) => {
    try {
      const { expression } = cel as { expression: string };
      return compileSelector(expression).matches({
        driver,
        attributes: { type: { string: CNI_DEVICE } },
      });
    } catch {
      return false;
    }
  });
}

/** The node's interface that the configuration names. */
function parentOf(configs: readonly object[], driver: string): string | undefined {
  for (const { opaque } of configs as { opaque?: { driver?: string; parameters?: Fields } }[]) {
    if (opaque?.driver !== driver) continue;
    const config = opaque.parameters?.config as Fields | undefined;
    for (const plugin of [config, ...(config?.plugins ?? []) as Fields[]]) {
      const parent = plugin?.master ?? plugin?.device ?? plugin?.bridge;
      if (typeof parent === "string" && parent !== "") return parent;
    }
  }
  return undefined;
}

/** The field of the claim or class that an error is about. */
function placed(error: Error, origins: readonly Origin[], request: string): PlanProblem {
  const rule = refusalIn(error) ? "policy" : "agent";
  let cause: unknown = error;
  while (cause instanceof Error && !(cause instanceof FieldError) && cause.cause) {
    cause = cause.cause;
  }
  if (!(cause instanceof FieldError)) {
    return { rule, path: request, message: (cause as Error).message };
  }
  const problem = cause.message.slice(cause.path.length + 2);
  const [, index, rest] = cause.path.match(/^status\.allocation\.devices\.config\[(\d+)\](.*)$/) ??
    [];
  const origin = index === undefined ? undefined : origins[Number(index)];
  if (!origin) return { rule, path: request, message: problem };
  return {
    rule,
    ...origin,
    path: `${origin.path}${rest}`,
    message: inClaimsTerms(problem, origins),
  };
}

/** Errors may name other places of the allocation too. */
function inClaimsTerms(problem: string, origins: readonly Origin[]): string {
  return problem.replaceAll(
    /status\.allocation\.devices\.config\[(\d+)\]/g,
    (text, index) => origins[Number(index)]?.path ?? text,
  );
}

function nameClash(attachments: readonly Attachment[]): string | undefined {
  const claim = { namespace: "default", name: "claim", uid: "lint" };
  try {
    assignInterfaceNames({ claim, attachments }, []);
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
