import type { CniResult } from "../agent/model.ts";
import { CNI_VERSIONS } from "../claim/network_list.ts";

type Fields = Record<string, unknown>;

/**
 * Reads a plugin's result (CNI SPEC, section 5).
 *
 * @param version the configuration's cniVersion, for a result that names none
 * @throws Error when the result is malformed or its version is unknown
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseResult } from "./result.ts";
 *
 * assert.deepEqual(parseResult({ ips: [] }, "1.0.0"), { cniVersion: "1.0.0", ips: [] });
 * assert.throws(() => parseResult([], "1.0.0"), /the result is not an object/);
 * ```
 */
export function parseResult(json: unknown, version: string): CniResult {
  const fields = asObject(json, "the result");
  const cniVersion = fields.cniVersion === undefined || fields.cniVersion === ""
    ? version
    : fields.cniVersion;
  if (typeof cniVersion !== "string" || !isKnown(cniVersion)) {
    throw new Error(
      `the result has the unknown cniVersion ${JSON.stringify(cniVersion)}; known versions are ${
        CNI_VERSIONS.join(", ")
      }`,
    );
  }
  for (const list of ["interfaces", "ips", "routes"]) {
    const value = fields[list];
    if (value === undefined || value === null) continue;
    if (!Array.isArray(value)) throw new Error(`the result's ${list} is not a list`);
    value.forEach((item, i) => asObject(item, `the result's ${list}[${i}]`));
  }
  // Kept as they came, and read again for each conversion: so they must be well formed now.
  if (isOld(cniVersion)) fromOld({ ...fields, cniVersion });
  return { ...fields, cniVersion };
}

/**
 * Converts a result to another version of the SPEC (CNI SPEC, section 5; libcni's rules).
 *
 * Up to 0.2.0 a result has one address of each family and no interfaces: the rest is left out.
 *
 * @throws Error for an unknown version, and for 0.1.0 and 0.2.0 when the result has no address
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { convertResult } from "./result.ts";
 *
 * const result = { cniVersion: "1.0.0", ips: [{ address: "10.0.0.2/24" }] };
 * const old = { cniVersion: "0.2.0", ip4: { ip: "10.0.0.2/24" } };
 * assert.deepEqual(convertResult(result, "0.2.0"), old);
 * ```
 */
export function convertResult(result: CniResult, version: string): CniResult {
  if (!isKnown(version)) throw new Error(`unknown CNI version ${JSON.stringify(version)}`);
  if (result.cniVersion === version) return result;
  const current = isOld(result.cniVersion) ? fromOld(result) : { ...result };
  if (isOld(version)) return toOld(current, version);
  const ips = asList(current.ips).map((ip) => {
    const { version: _, ...rest } = ip;
    return isOne(version) ? rest : { version: family(ip), ...rest };
  });
  return {
    ...current,
    cniVersion: version,
    ...(current.ips !== undefined && { ips }),
    ...(!isOne(version) && Array.isArray(current.interfaces) && {
      interfaces: asList(current.interfaces).map((
        { mtu: _m, socketPath: _s, pciID: _p, ...rest },
      ) => rest),
    }),
  };
}

/** Converts a result of any version to the form of 1.x. @throws Error like convertResult() */
export function toCurrent(result: CniResult): CniResult {
  return isOne(result.cniVersion) ? result : convertResult(result, "1.0.0");
}

/** Whether `version` is `other` or later. Both must be in CNI_VERSIONS. */
export function atLeast(version: string, other: (typeof CNI_VERSIONS)[number]): boolean {
  return CNI_VERSIONS.findIndex((known) => known === version) >= CNI_VERSIONS.indexOf(other);
}

function isKnown(version: string): boolean {
  return (CNI_VERSIONS as readonly string[]).includes(version);
}

function isOld(version: string): boolean {
  return version === "0.1.0" || version === "0.2.0";
}

function isOne(version: string): boolean {
  return atLeast(version, "1.0.0");
}

/** 0.1.0 and 0.2.0: ip4 and ip6, each with an address, a gateway and its routes. */
function fromOld(result: CniResult): Fields {
  const { ip4, ip6, ...rest } = result;
  const ips: Fields[] = [];
  const routes: Fields[] = [];
  for (const [family, value] of [["4", ip4], ["6", ip6]] as const) {
    if (value === undefined || value === null) continue;
    const { ip, gateway, routes: own } = asObject(value, `the result's ip${family}`);
    ips.push({ version: family, address: ip, ...(gateway !== undefined && { gateway }) });
    for (const [i, item] of asList(own).entries()) {
      const route = asObject(item, `the result's ip${family}.routes[${i}]`);
      // A route without a gateway of its own goes by that of its address.
      routes.push(
        route.gw === undefined && gateway !== undefined ? { ...route, gw: gateway } : route,
      );
    }
  }
  return { ...rest, ips, ...(routes.length > 0 && { routes }) };
}

function toOld(result: Fields, version: string): CniResult {
  const { ips, routes, dns } = result;
  const old: Fields = { cniVersion: version, ...(dns !== undefined && { dns }) };
  for (const wanted of ["4", "6"] as const) {
    const ip = asList(ips).find((candidate) => family(candidate) === wanted);
    if (!ip) continue;
    const own = asList(routes).filter(({ dst }) => familyOf(dst) === wanted);
    old[`ip${wanted}`] = {
      ip: ip.address,
      ...(ip.gateway !== undefined && { gateway: ip.gateway }),
      ...(own.length > 0 && { routes: own.map(({ dst, gw }) => ({ dst, ...(gw ? { gw } : {}) })) }),
    };
  }
  if (!old.ip4 && !old.ip6) {
    throw new Error(`a result without an address cannot be converted to CNI ${version}`);
  }
  return old as CniResult;
}

function family(ip: Fields): string {
  return typeof ip.version === "string" ? ip.version : familyOf(ip.address);
}

function familyOf(address: unknown): string {
  return typeof address === "string" && address.includes(":") ? "6" : "4";
}

function asObject(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error(`${what} is not an object`);
  }
  return value as Fields;
}

function asList(value: unknown): Fields[] {
  return Array.isArray(value) ? value as Fields[] : [];
}
