import { parseAddresses } from "../addresses/parse_addresses.ts";
import { LONGEST_NETWORK_NAME } from "../addresses/pools.ts";
import { FieldError, type Fields, identity, object, optional, show, text } from "../claim/field.ts";
import { parseInterfaceName } from "../claim/interface_names.ts";
import { type NetworkList, parseNetworkList } from "../claim/network_list.ts";
import { assertNotPodsOwn } from "../claim/parameters.ts";
import { assertPlain } from "../claim/plain.ts";
import { withMtu } from "./mtu.ts";
import { type NamespaceSelector, parseNamespaceSelector } from "./namespace_selector.ts";

/** The API of Networks. */
export const NETWORK_API = "dra.networking/v1alpha1";

/** A Network that the administrator has defined for the cluster, validated once at the edge. */
export interface NetworkObject {
  readonly name: string;
  /** Its CNI configuration, with the object's name and MTU. */
  readonly network: NetworkList;
  /** The interface's name in the pod, where claims give none. */
  readonly ifName?: string;
  /** The namespaces whose claims may use it; absent where all may. */
  readonly namespaces?: NamespaceSelector;
}

/** The fields of `spec`, with what each holds. */
export const NETWORK_FIELDS = {
  description: "What the network is for, in words.",
  config: "A CNI network configuration list (with `plugins`), or the configuration of one plugin " +
    "(with `type`). It takes the object's name.",
  interfaceName: "The interface's name in the pod, for claims that give none.",
  mtu: "The MTU of the interface, in bytes, for plugins that take one.",
  namespaceSelector:
    "The namespaces whose claims may use the network, by their labels. All if it " +
    "is left out.",
  addresses:
    "The addresses of the network in the whole cluster: pools of which each attachment gets " +
    "one address of each family. The first plugin has no `ipam` then.",
} as const;

/**
 * Reads a Network (`dra.networking/v1alpha1`).
 *
 * @throws FieldError with the path of the first field that is invalid
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseNetwork } from "./network_object.ts";
 *
 * const { network } = parseNetwork({
 *   metadata: { name: "lan" },
 *   spec: { config: { cniVersion: "1.0.0", type: "macvlan" }, mtu: 9000 },
 * });
 * assert.deepEqual(network, {
 *   cniVersion: "1.0.0",
 *   name: "lan",
 *   plugins: [{ cniVersion: "1.0.0", name: "lan", type: "macvlan", mtu: 9000 }],
 * });
 * ```
 */
export function parseNetwork(value: unknown): NetworkObject {
  const { metadata, spec } = object(value, "the Network");
  const name = identity(object(metadata, "metadata").name, "metadata.name");
  assertPlain(spec, "spec");
  const fields = object(spec, "spec", Object.keys(NETWORK_FIELDS));
  optional(text, fields.description, "spec.description");
  const network = parseNetworkList(named(fields.config, name), "spec.config");
  const addresses = optional(parseAddresses, fields.addresses, "spec.addresses");
  if (addresses) assertTakesAddresses(name, network);
  const ifName = optional(interfaceName, fields.interfaceName, "spec.interfaceName");
  const mtu = optional(wholeMtu, fields.mtu, "spec.mtu");
  const at = "spec.namespaceSelector";
  const namespaces = optional(parseNamespaceSelector, fields.namespaceSelector, at) ?? [];
  return {
    name,
    network: {
      ...(mtu === undefined ? network : withMtu(network, { mtu, path: "spec.mtu" })),
      ...(addresses && { addresses }),
    },
    ...(ifName !== undefined && { ifName }),
    ...(namespaces.length > 0 && { namespaces }),
  };
}

/** Plugins know a network by its name: it must be the object's, so that no two objects share one. */
function named(config: unknown, name: string): Fields {
  if (config === undefined) {
    throw new FieldError("spec.config", "is missing: it holds the CNI configuration");
  }
  if (typeof config === "string") {
    throw new FieldError("spec.config", "must be an object, not a string: write the JSON as YAML");
  }
  const fields = object(config, "spec.config");
  const own = optional(text, fields.name, "spec.config.name") ?? name;
  if (own === name) return { ...fields, name };
  throw new FieldError(
    "spec.config.name",
    `${show(own)} must be the object's name, ${show(name)}; or leave it out`,
  );
}

/** @throws FieldError if the addresses could not reach the plugins, or their objects had no names */
function assertTakesAddresses(name: string, { plugins: [first] }: NetworkList): void {
  if (name.length > LONGEST_NETWORK_NAME) {
    const most = `at most ${LONGEST_NETWORK_NAME} characters if the Network has addresses`;
    throw new FieldError("metadata.name", `must have ${most}`);
  }
  if (first?.ipam === undefined || first.capabilities?.ips === true) return;
  throw new FieldError(
    "spec.addresses",
    `the plugin ${
      show(first.type)
    } has an ipam of its own: leave it out, or leave the addresses out`,
  );
}

function interfaceName(value: unknown, path: string): string {
  const name = text(value, path);
  assertNotPodsOwn(name, path);
  return parseInterfaceName(name, path);
}

function wholeMtu(value: unknown, path: string): number {
  const isMtu = Number.isInteger(value) && value as number >= 68 && value as number <= 65_535;
  if (isMtu) return value as number;
  throw new FieldError(path, `must be a whole number from 68 to 65535, not ${show(value)}`);
}
