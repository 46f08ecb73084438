import type { ClaimRef } from "../claim/attachment.ts";
import { FieldError, identity, join, object, optional, show, text } from "../claim/field.ts";
import { parseInterfaceName } from "../claim/interface_names.ts";
import { addressText, BITS, familyOf, ipNumber } from "./ip_range.ts";

export const ADDRESS_API = "dra.networking/v1alpha1";
/** Where the API server serves them. */
export const ADDRESS_PATH = `/apis/${ADDRESS_API}/networkaddresses`;

/** An address of a Network that is taken: a NetworkAddress (`dra.networking/v1alpha1`). */
export interface NetworkAddress {
  /** Absent while it is not created. */
  readonly uid?: string;
  readonly network: string;
  /** In canonical notation, without a prefix length. */
  readonly address: string;
  readonly owner: AddressOwner;
  /** RFC 3339. Set while no attachment has it: until then, it is kept for the pod's namespace and name. */
  readonly keptUntil?: string;
}

/** An address with its object in the API server. */
export type StoredAddress = NetworkAddress & {
  readonly uid: string;
  readonly resourceVersion: string;
};

/** The attachment that has an address: the sandbox and the interface say which, as in the CNI SPEC. */
export interface AddressOwner {
  readonly node: string;
  readonly claim: ClaimRef;
  readonly pod: ClaimRef;
  readonly containerID: string;
  readonly ifName: string;
}

/**
 * The object's name: one for each address of a network, so that only one can be created.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { addressObjectName } from "./address_object.ts";
 *
 * assert.equal(addressObjectName("lan", "10.38.0.5"), "lan.10-38-0-5");
 * assert.equal(addressObjectName("lan", "fd00::5"), "lan.fd00-0-0-0-0-0-0-5");
 * ```
 */
export function addressObjectName(network: string, address: string): string {
  if (familyOf(address) === 4) return `${network}.${address.replaceAll(".", "-")}`;
  const hex = ipNumber(address)!.toString(16).padStart(BITS[6] / 4, "0");
  const groups = hex.match(/.{4}/g)!.map((group) => parseInt(group, 16).toString(16));
  return `${network}.${groups.join("-")}`;
}

/** The object for the API server. */
export function toObject({ network, address, owner, keptUntil }: NetworkAddress) {
  return {
    apiVersion: ADDRESS_API,
    kind: "NetworkAddress",
    metadata: { name: addressObjectName(network, address) },
    spec: { network, address, ...owner, ...(keptUntil !== undefined && { keptUntil }) },
  };
}

/** @throws FieldError with the path of the first field that is invalid */
export function parseNetworkAddress(value: unknown): StoredAddress {
  const { metadata, spec } = object(value, "the NetworkAddress");
  const { name, uid, resourceVersion } = object(metadata, "metadata");
  const fields = object(spec, "spec");
  const network = identity(fields.network, "spec.network");
  const address = text(fields.address, "spec.address");
  const number = ipNumber(address);
  if (number === undefined || addressText(number, familyOf(address)) !== address) {
    throw new FieldError(
      "spec.address",
      `${show(address)} is not an address in canonical notation`,
    );
  }
  const expected = addressObjectName(network, address);
  if (name !== expected) throw new FieldError("metadata.name", `must be ${expected}`);
  const keptUntil = optional(time, fields.keptUntil, "spec.keptUntil");
  return {
    uid: identity(uid, "metadata.uid"),
    resourceVersion: text(resourceVersion, "metadata.resourceVersion"),
    network,
    address,
    owner: {
      node: identity(fields.node, "spec.node"),
      claim: reference(fields.claim, "spec.claim"),
      pod: reference(fields.pod, "spec.pod"),
      containerID: identity(fields.containerID, "spec.containerID"),
      ifName: parseInterfaceName(text(fields.ifName, "spec.ifName"), "spec.ifName"),
    },
    ...(keptUntil !== undefined && { keptUntil }),
  };
}

function reference(value: unknown, path: string): ClaimRef {
  const fields = object(value, path);
  return {
    namespace: identity(fields.namespace, join(path, "namespace")),
    name: identity(fields.name, join(path, "name")),
    uid: identity(fields.uid, join(path, "uid")),
  };
}

function time(value: unknown, path: string): string {
  const given = text(value, path);
  if (!Number.isNaN(Date.parse(given))) return given;
  throw new FieldError(path, `${show(given)} is not a time`);
}
