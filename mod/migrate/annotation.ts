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
import { parseInterfaceName } from "../claim/interface_names.ts";
import { parseJson } from "./json.ts";
import { objectName } from "./names.ts";

/** The annotation by which pods ask Multus for networks. */
export const NETWORKS = "k8s.v1.cni.cncf.io/networks";
/** The annotation by which pods ask Multus for another default network. */
export const DEFAULT_NETWORK = "v1.multus-cni.io/default-network";

/** One network of the annotation (Kubernetes Network Custom Resource Definition De-facto Standard). */
export interface NetworkElement {
  /** Where it stands, for errors. */
  readonly path: string;
  /** That of the pod where it is left out. */
  readonly namespace?: string;
  readonly name: string;
  /** As the annotation says, or as Multus counts: net1 for the first network, net2 for the second. */
  readonly interfaceName: string;
  /** Whether the annotation says the interface's name. */
  readonly interfaceGiven: boolean;
  readonly ips?: readonly string[];
  readonly mac?: string;
  readonly defaultRoute?: readonly string[];
  readonly bandwidth?: Fields;
  readonly portMappings?: readonly unknown[];
  readonly cniArgs?: Fields;
  /** Keys that Multus ignores. */
  readonly ignored: readonly string[];
}

/** As long as all annotations of an object may be together, in characters. */
const LONGEST = 256 * 1024;
/** As many requests as a ResourceClaim may have. */
const MOST_NETWORKS = 32;
/** What the pod already has. */
const PODS_OWN = ["lo", "eth0"];

/**
 * Reads the annotation in its short form (`namespace/name@interface, name`) or as JSON.
 *
 * @param path the annotation's path, for errors
 * @throws FieldError
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseNetworks } from "./annotation.ts";
 *
 * const found = parseNetworks("infra/lan@lan0, storage", "annotation");
 * assert.deepEqual(found.map(({ name, interfaceName }) => [name, interfaceName]), [
 *   ["lan", "lan0"],
 *   ["storage", "net2"],
 * ]);
 * ```
 */
export function parseNetworks(value: unknown, path: string): NetworkElement[] {
  if (value === undefined || value === null || value === "") return [];
  const given = text(value, path);
  if (given.length > LONGEST) {
    throw new FieldError(path, `has ${given.length} characters; at most ${LONGEST} are allowed`);
  }
  // The sign by which Multus tells the two forms apart.
  const elements = /[[{"]/.test(given) ? jsonForm(given, path) : shortForm(given, path);
  if (elements.length > MOST_NETWORKS) {
    throw new FieldError(
      path,
      `names ${elements.length} networks; a claim can request at most ${MOST_NETWORKS}`,
    );
  }
  assertDifferentInterfaces(elements);
  return elements;
}

function shortForm(given: string, path: string): NetworkElement[] {
  return given.split(",").map((item, i): NetworkElement => {
    const trimmed = item.trim();
    const found = /^(?:([^/@]*)\/)?([^/@]+)(?:@([^@]*))?$/.exec(trimmed);
    if (!found) {
      throw new FieldError(
        path,
        `${show(trimmed)} must be NAME, NAMESPACE/NAME or NAMESPACE/NAME@INTERFACE`,
      );
    }
    const [, namespace, name, interfaceName] = found;
    return {
      path,
      ...(namespace !== undefined && { namespace: objectName(namespace, path) }),
      name: objectName(name, path),
      ...interfaceOf(interfaceName, { path, index: i }),
      ignored: [],
    };
  });
}

const KEYS = [
  "name",
  "namespace",
  "ips",
  "mac",
  "interface",
  "interfaceRequest",
  "default-route",
  "bandwidth",
  "portMappings",
  "cni-args",
];
/** Keys for what claims cannot carry, with what that is. */
const NOT_CARRIED: Readonly<Record<string, string>> = {
  "infiniband-guid": "the agent passes no GUID to plugins",
  "ipam-claim-reference": "the agent does not read IPAMClaims",
};

function jsonForm(given: string, path: string): NetworkElement[] {
  return array(parseJson(given, path), path).map((item, i): NetworkElement => {
    const at = `${path}[${i}]`;
    const fields = object(item, at);
    for (const [key, why] of Object.entries(NOT_CARRIED)) {
      if (isGiven(fields[key])) throw new FieldError(join(at, key), `cannot be moved: ${why}`);
    }
    const namespace = optional(objectName, blank(fields.namespace), join(at, "namespace"));
    const ips = addresses(blank(fields.ips), join(at, "ips"));
    const mac = optional(text, blank(fields.mac), join(at, "mac"));
    const defaultRoute = addresses(fields["default-route"], join(at, "default-route"));
    const bandwidth = optional(object, fields.bandwidth, join(at, "bandwidth"));
    const portMappings = optional(array, fields.portMappings, join(at, "portMappings"));
    const cniArgs = optional(object, fields["cni-args"], join(at, "cni-args"));
    const asked = blank(fields.interface) ?? blank(fields.interfaceRequest);
    return {
      path: at,
      ...(namespace !== undefined && { namespace }),
      name: objectName(fields.name, join(at, "name")),
      ...interfaceOf(asked, { path: join(at, "interface"), index: i }),
      ...(ips && { ips }),
      ...(mac !== undefined && { mac: parseMac(mac, join(at, "mac")) }),
      ...(defaultRoute && { defaultRoute }),
      ...(bandwidth && { bandwidth }),
      ...(portMappings && portMappings.length > 0 && { portMappings }),
      ...(cniArgs && Object.keys(cniArgs).length > 0 && { cniArgs }),
      ignored: Object.keys(fields).filter((key) => !KEYS.includes(key) && !(key in NOT_CARRIED)),
    };
  });
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}

/** Go takes an empty string for a field that is left out. */
function blank(value: unknown): unknown {
  return value === "" ? undefined : value;
}

function addresses(value: unknown, path: string): readonly string[] | undefined {
  // Old releases took one address that is not in a list.
  const list = typeof value === "string" ? [value] : optional(array, value, path);
  if (!list || list.length === 0) return undefined;
  return list.map((item, i) => text(item, `${path}[${i}]`));
}

/** As Go's net.ParseMAC reads an address of six bytes, in the form of capability arguments. */
function parseMac(given: string, path: string): string {
  const digits = given.toLowerCase().replaceAll(/[:.-]/g, "");
  if (/^[0-9a-f]{12}$/.test(digits) && /[:.-]/.test(given)) {
    return digits.match(/../g)!.join(":");
  }
  throw new FieldError(path, `${show(given)} must be a MAC address such as 02:00:5e:10:00:01`);
}

function interfaceOf(
  given: unknown,
  { path, index }: { readonly path: string; readonly index: number },
): Pick<NetworkElement, "interfaceName" | "interfaceGiven"> {
  if (given === undefined || given === "") {
    return { interfaceName: `net${index + 1}`, interfaceGiven: false };
  }
  const interfaceName = parseInterfaceName(text(given, path).trim(), path);
  if (PODS_OWN.includes(interfaceName)) {
    throw new FieldError(path, `${show(interfaceName)} is an interface that the pod already has`);
  }
  return { interfaceName, interfaceGiven: true };
}

function assertDifferentInterfaces(elements: readonly NetworkElement[]): void {
  const seen = new Map<string, NetworkElement>();
  for (const element of elements) {
    const before = seen.get(element.interfaceName);
    if (before) {
      throw new FieldError(
        element.path,
        `the networks ${before.name} and ${element.name} both get the interface name ` +
          `${show(element.interfaceName)}: give one of them another`,
      );
    }
    seen.set(element.interfaceName, element);
  }
}
