import { nearest } from "../claim/did_you_mean.ts";
import { FieldError, type Fields } from "../claim/field.ts";
import { type Manifest, objectsIn } from "./manifest.ts";

/** The name that the chart installs by default. */
export const DEFAULT_DRIVER = "dra.networking";

/**
 * The driver for which files are written: one that their classes select and their configurations name,
 * or that a configuration names where a class selects devices of any driver.
 */
export function driverOf(manifests: readonly Manifest[]): string {
  const classes = manifests.filter(({ kind }) => kind === "DeviceClass");
  const selected = new Set(classes.flatMap((each) => selectedDrivers(each) ?? []));
  const open = classes.some((each) => selectedDrivers(each) === undefined);
  const named = new Set(manifests.flatMap(configurations).map(({ driver }) => driver));
  const fitting = open || named.size === 0
    ? [...selected, ...named]
    : [...named].filter((driver) => selected.has(driver));
  const [driver, ...others] = new Set(fitting);
  if (driver === undefined || others.length > 0) return DEFAULT_DRIVER;
  return nearest(driver, [DEFAULT_DRIVER]) ?? driver;
}

/**
 * Finds configurations for a driver whose devices their requests cannot get: a typo, or an agent with a
 * different name.
 *
 * @param classes those of the files, and the chart's
 * @returns the first of a manifest
 */
export function driverMistake(
  manifest: Manifest,
  { driver, classes }: {
    readonly driver: string;
    readonly classes: ReadonlyMap<string, Manifest>;
  },
): FieldError | undefined {
  if (manifest.kind === "DeviceClass") {
    const typo = selectedDrivers(manifest)?.find((each) => nearest(each, [driver]) !== undefined);
    if (typo !== undefined) {
      const problem = `no driver has the name "${typo}": did you mean "${driver}"? ` +
        `(set --driver-name ${typo} if the agent has that name)`;
      return new FieldError("spec.selectors", problem);
    }
  }
  for (const { driver: named, path, classNames } of configurations(manifest)) {
    if (named === driver) continue;
    const used = classNames.flatMap((name) => classes.get(name) ?? []);
    const those = manifest.kind === "DeviceClass" ? [manifest] : used;
    const selected = those.map(selectedDrivers);
    const isTypo = nearest(named, [driver]) !== undefined;
    const fits = selected.some((drivers) => drivers === undefined || drivers.includes(named));
    if (those.length === 0 || fits && !isTypo) continue;
    const names = those.map(({ metadata }) => metadata.name).join(", ");
    const meant = isTypo ? `did you mean "${driver}"?` : `the agent's driver is "${driver}"`;
    return new FieldError(
      path,
      `no device of driver "${named}" is selected by DeviceClass ${names}: ${meant} ` +
        `(set --driver-name ${named} if the agent has that name)`,
    );
  }
  return undefined;
}

/** The drivers that a class selects by `device.driver == "…"`; undefined where it does not ask for one. */
export function selectedDrivers({ spec }: Manifest): string[] | undefined {
  const drivers = objectsIn((spec as Fields | undefined)?.selectors).flatMap(({ cel }) => [
    ...`${(cel as Fields | undefined)?.expression}`.matchAll(
      /device\.driver\s*==\s*(["'])([^"']+)\1/g,
    ),
  ]).map(([, , driver]) => driver!);
  return drivers.length === 0 ? undefined : drivers;
}

interface Configuration {
  readonly driver: string;
  /** Of the driver's name. */
  readonly path: string;
  /** The classes of the requests that it is for. */
  readonly classNames: readonly string[];
}

function configurations({ kind, spec }: Manifest): Configuration[] {
  if (kind === "DeviceClass") return named(spec as Fields, "spec", () => []);
  if (kind !== "ResourceClaim" && kind !== "ResourceClaimTemplate") return [];
  const inner = kind === "ResourceClaimTemplate" ? (spec as Fields)?.spec : spec;
  const devices = (inner as Fields)?.devices as Fields;
  const at = kind === "ResourceClaimTemplate" ? "spec.spec.devices" : "spec.devices";
  const requests = objectsIn(devices?.requests);
  return named(devices, at, (names) => requests.flatMap((request) => classNames(request, names)));
}

function named(
  parent: Fields | undefined,
  path: string,
  classesOf: (requests: readonly string[]) => string[],
): Configuration[] {
  return objectsIn(parent?.config).flatMap(({ opaque, requests }, i) => {
    const { driver } = (opaque ?? {}) as Fields;
    if (typeof driver !== "string") return [];
    const classNames = classesOf(Array.isArray(requests) ? requests : []);
    return [{ driver, path: `${path}.config[${i}].opaque.driver`, classNames }];
  });
}

/** The classes of a request, or of those of its alternatives that are named. */
function classNames({ name, exactly, firstAvailable }: Fields, names: readonly string[]): string[] {
  const isMeant = (full: string) => names.length === 0 || names.includes(full);
  const alternatives = objectsIn(firstAvailable);
  const ways = exactly
    ? [exactly as Fields]
    : alternatives.filter((each) => isMeant(`${name}`) || isMeant(`${name}/${each.name}`));
  const isOwn = isMeant(`${name}`) || alternatives.length > 0;
  return isOwn ? ways.map(({ deviceClassName }) => `${deviceClassName}`) : [];
}
