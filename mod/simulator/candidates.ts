import { compileSelector, type Selector } from "../selectors/selector.ts";
import type { Fields, Manifest } from "../manifests/manifest.ts";
import type { PublishedDevice, Taint } from "./published_devices.ts";

/** One way to serve a request: its `exactly`, or one entry of its `firstAvailable`. */
export interface Wanted {
  /** `lan`, or `lan/fast` for an alternative. */
  readonly request: string;
  /** Its path in the claim. */
  readonly path: string;
  readonly deviceClass: Manifest;
  readonly selectors: readonly NamedSelector[];
  /** Undefined means all that fit. */
  readonly count?: number;
  readonly capacity: Readonly<Record<string, string>>;
  readonly tolerations: readonly Toleration[];
  readonly adminAccess: boolean;
}

interface NamedSelector extends Selector {
  /** Its path. */
  readonly at: string;
}

export interface Toleration {
  readonly key?: string;
  readonly operator?: string;
  readonly value?: string;
  readonly effect?: string;
}

/** The ways to serve a request, the best first. @throws Error if a class does not exist */
export function waysOf(
  request: Fields,
  { path, classOf }: { readonly path: string; readonly classOf: (name: string) => Manifest },
): Wanted[] {
  const alternatives = request.firstAvailable as Fields[] | undefined;
  if (!alternatives) {
    const at = `${path}.exactly`;
    return [wanted(request.exactly as Fields, { request: `${request.name}`, path: at, classOf })];
  }
  return alternatives.map((alternative, i) => {
    const name = `${request.name}/${alternative.name}`;
    return wanted(alternative, { request: name, path: `${path}.firstAvailable[${i}]`, classOf });
  });
}

function wanted(
  fields: Fields,
  { request, path, classOf }: {
    readonly request: string;
    readonly path: string;
    readonly classOf: (name: string) => Manifest;
  },
): Wanted {
  const deviceClass = classOf(fields.deviceClassName as string);
  const { selectors: ofClass } = (deviceClass.spec ?? {}) as Fields;
  const { requests: capacity = {} } = (fields.capacity ?? {}) as { requests?: object };
  const isAll = fields.allocationMode === "All";
  return {
    request,
    path,
    deviceClass,
    selectors: [
      ...named(ofClass, `DeviceClass ${deviceClass.metadata.name} spec.selectors`),
      ...named(fields.selectors, `${path}.selectors`),
    ],
    ...(!isAll && { count: (fields.count as number | undefined) || 1 }),
    capacity: Object.fromEntries(Object.entries(capacity).map(([key, value]) => [key, `${value}`])),
    tolerations: (fields.tolerations ?? []) as Toleration[],
    adminAccess: fields.adminAccess === true,
  };
}

function named(selectors: unknown, path: string): NamedSelector[] {
  const all = (selectors ?? []) as { readonly cel: { readonly expression: string } }[];
  return all.map(({ cel }, i) => ({ ...compileSelector(cel.expression), at: `${path}[${i}]` }));
}

/**
 * Why a device does not fit; undefined for one that does.
 *
 * @throws Error if a selector cannot be evaluated: the scheduler then tries the pod again later
 */
export function misfit(
  device: PublishedDevice,
  { selectors, tolerations }: Wanted,
): string | undefined {
  for (const selector of selectors) {
    let matches: boolean;
    try {
      matches = selector.matches(device);
    } catch (error) {
      throw new Error(runtimeProblem(selector, device, error as Error), { cause: error });
    }
    if (!matches) return `${selector.at} is false${mentioned(device, selector.expression)}`;
  }
  const taint = device.taints.find((each) =>
    each.effect !== "None" && !tolerations.some((toleration) => tolerates(toleration, each))
  );
  return taint && `it has the taint ${taint.key}:${taint.effect}`;
}

function runtimeProblem({ at }: NamedSelector, device: PublishedDevice, error: Error): string {
  const missing = error.message.match(/^no such key: (\w+)$/)?.[1];
  const advice = missing === undefined
    ? ""
    : `; read an attribute that a device may lack with .?${missing}.orValue(…)`;
  return `${at}: CEL runtime error: ${error.message} (device ${device.name} of ${device.node})${advice}`;
}

/** The device's values of the attributes that an expression mentions. */
function mentioned({ attributes = {} }: PublishedDevice, expression: string): string {
  const words: readonly string[] = expression.match(/[A-Za-z_][A-Za-z0-9_]*/g) ?? [];
  const shown = Object.entries(attributes).filter(([key]) => words.includes(key.split("/").at(-1)!))
    .map(([key, value]) =>
      `${key.split("/").at(-1)} is ${JSON.stringify(Object.values(value)[0])}`
    );
  return shown.length === 0 ? "" : `, as ${shown.join(", ")}`;
}

function tolerates(
  { key, operator = "Equal", value = "", effect }: Toleration,
  taint: Taint,
): boolean {
  if (effect !== undefined && effect !== "" && effect !== taint.effect) return false;
  if (key === undefined || key === "") return operator === "Exists";
  return key === taint.key && (operator === "Exists" || value === (taint.value ?? ""));
}
