import { FieldError, type Fields, join, object, optional, text } from "../claim/field.ts";
import { parseParameters } from "../claim/parameters.ts";
import type { FileObject, Place } from "../manifests/manifests.ts";
import { parseJson } from "./json.ts";
import { objectName } from "./names.ts";

/** A NetworkAttachmentDefinition (k8s.cni.cncf.io/v1). */
export interface Definition {
  readonly place: Place;
  readonly title: string;
  readonly namespace: string;
  readonly name: string;
  readonly config: DefinitionConfig;
  /** The extended resource of the device plugin that chooses the network's device. */
  readonly resourceName?: string;
}

export type DefinitionConfig =
  /** A configuration list, or one plugin's. It has a name. */
  | { readonly how: "inline"; readonly value: Fields }
  /** A file with the definition's name, in a folder of each node. */
  | { readonly how: "file" }
  /** A Network that takes its place, with this name and configuration. */
  | { readonly how: "network"; readonly name: string; readonly value: Fields };

/** The namespace of objects that name none. */
export const DEFAULT_NAMESPACE = "default";

const API_VERSION = "k8s.cni.cncf.io/v1";
const RESOURCE_NAME = "k8s.v1.cni.cncf.io/resourceName";

/** Whether an object of a file is a NetworkAttachmentDefinition. */
export function isDefinition({ unread }: FileObject): boolean {
  return unread?.kind === "NetworkAttachmentDefinition";
}

/** `NAMESPACE/NAME` */
export function keyOf({ namespace, name }: Pick<Definition, "namespace" | "name">): string {
  return `${namespace}/${name}`;
}

/**
 * Reads a NetworkAttachmentDefinition as Multus does: without a configuration, a file on the node has
 * it; a configuration without a name gets the definition's.
 *
 * @throws FieldError
 */
export function parseDefinition({ unread, place, title }: FileObject): Definition {
  const fields = object(unread, "");
  if (fields.apiVersion !== API_VERSION) {
    throw new FieldError("apiVersion", `must be ${API_VERSION}`);
  }
  const metadata = object(fields.metadata, "metadata");
  const name = objectName(metadata.name, "metadata.name");
  const namespace = optional(objectName, metadata.namespace, "metadata.namespace") ??
    DEFAULT_NAMESPACE;
  const at = "metadata.annotations";
  const annotations = optional(object, metadata.annotations, at) ?? {};
  const resource = annotations[RESOURCE_NAME];
  const resourceName = resource === ""
    ? undefined
    : optional(text, resource, join(at, RESOURCE_NAME));
  return {
    place,
    title,
    namespace,
    name,
    config: parseConfig(optional(object, fields.spec, "spec")?.config, name),
    ...(resourceName !== undefined && { resourceName }),
  };
}

function parseConfig(config: unknown, name: string): DefinitionConfig {
  const at = "spec.config";
  if (config === undefined || config === null || config === "") return { how: "file" };
  if (typeof config !== "string") {
    throw new FieldError(at, "must be text that holds the CNI configuration as JSON");
  }
  const given = object(parseJson(config, at), at);
  const value = given.name === undefined || given.name === "" ? { ...given, name } : given;
  try {
    parseParameters({ config: value }, "spec");
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    // Inside the text there are no lines of the file.
    throw new FieldError(at, inside(error, at));
  }
  return { how: "inline", value };
}

/** What is wrong, with the way to it inside of a field's text. */
function inside({ path, message }: FieldError, at: string): string {
  const rest = path.slice(at.length).replace(/^\./, "");
  const problem = message.slice(path.length + 2);
  return rest === "" ? problem : `${rest}: ${problem}`;
}
