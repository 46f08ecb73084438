import { FieldError, type Fields, identity, object, optional, show } from "../claim/field.ts";
import { type NetworkList, parseNetworkList } from "../claim/network_list.ts";
import { assertPlain } from "../claim/plain.ts";
import { errorMessage } from "../async/error_message.ts";

/** The API of NetworkAttachmentDefinitions (Network Plumbing Working Group, version 1.3). */
export const DEFINITION_API = "k8s.cni.cncf.io/v1";

/** A NetworkAttachmentDefinition, with its configuration as text. */
export interface Definition {
  readonly namespace: string;
  readonly name: string;
  /** Empty where a file of that name on the node holds the configuration. */
  readonly config: string;
}

/** The configuration that a definition's text holds. */
export interface DefinedNetwork {
  readonly network: NetworkList;
  readonly form: "list" | "single";
}

/**
 * Reads the object. Its configuration is read when a claim names it: a cluster may have many.
 *
 * @throws FieldError with the path of the first field that is invalid
 */
export function parseDefinition(value: unknown): Definition {
  const { metadata, spec } = object(value, "the NetworkAttachmentDefinition");
  const { namespace, name } = object(metadata, "metadata");
  const fields = optional(object, spec, "spec") ?? {};
  return {
    namespace: identity(namespace, "metadata.namespace"),
    name: identity(name, "metadata.name"),
    config: optional(configText, fields.config, "spec.config") ?? "",
  };
}

function configText(value: unknown, path: string): string {
  if (typeof value === "string") return value.trim();
  throw new FieldError(path, `must be JSON as a string, not ${show(value)}`);
}

/**
 * Reads the configuration of a definition that has one. As in Multus, one without a name has the
 * object's.
 *
 * @throws FieldError with the path of the first field that is invalid
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { definedNetwork } from "./definition.ts";
 *
 * const config = '{"cniVersion": "1.0.0", "type": "macvlan"}';
 * const { network, form } = definedNetwork({ namespace: "default", name: "lan", config });
 * assert.deepEqual([network.name, form], ["lan", "single"]);
 * ```
 */
export function definedNetwork({ name, config }: Definition): DefinedNetwork {
  const path = "spec.config";
  let value: unknown;
  try {
    value = JSON.parse(config);
  } catch (error) {
    throw new FieldError(path, `is not JSON: ${errorMessage(error)}`);
  }
  assertPlain(value, path);
  const fields: Fields = object(value, path);
  const { name: given } = fields;
  const isNamed = given !== undefined && given !== null && given !== "";
  const network = parseNetworkList(isNamed ? fields : { ...fields, name }, path);
  return { network, form: "plugins" in fields ? "list" : "single" };
}
