import type { NodeNetworks } from "../agent/model.ts";
import type { Log, Networks } from "../agent/ports.ts";
import { show } from "../claim/field.ts";
import { type AskedNetwork, describeDefinition, type NamedNetwork } from "../claim/parameters.ts";
import { errorMessage } from "../async/error_message.ts";
import { definedNetwork, type Definition } from "./definition.ts";
import type { Invalid } from "./invalid.ts";
import { describeSelector, type Labels, needsLabels, selects } from "./namespace_selector.ts";
import type { NetworkObject } from "./network_object.ts";
import type { FileNetworks, Known, KnownObjects, NetworkFileSource } from "./ports.ts";

/** Where the networks come from; absent what the agent does not read. */
export interface ClusterNetworkSources {
  readonly files: NetworkFileSource;
  readonly networks?: KnownObjects<NetworkObject | Invalid>;
  readonly definitions?: KnownObjects<Definition | Invalid>;
  /** The labels of namespaces. Asked only if a network selects by them. */
  readonly namespaces: KnownObjects<Labels>;
  readonly log: Log;
}

/** What has been read for the claims of one namespace. */
export interface ReadNetworks {
  readonly files: FileNetworks;
  readonly networks: Known<NetworkObject | Invalid> | undefined;
  readonly definitions: Known<Definition | Invalid> | undefined;
  readonly namespaces: Known<Labels> | undefined;
  readonly namespace: string;
}

/**
 * The networks that claims can name on this node: files of the node, Networks, and
 * NetworkAttachmentDefinitions.
 *
 * A file replaces the Network of its name as a whole. It is the exception that the administrator makes
 * for one node; it is there while the API server is not; and whoever may write Networks cannot change
 * what the node's root has written.
 */
export class ClusterNetworks implements Networks {
  readonly #sources: ClusterNetworkSources;
  /** The networks that files replace, as was logged last. */
  #replaced = "";

  constructor(sources: ClusterNetworkSources) {
    this.#sources = sources;
  }

  async read(namespace: string, signal: AbortSignal): Promise<NodeNetworks> {
    const { networks: cluster, definitions, namespaces } = this.#sources;
    const files = await this.#sources.files.read();
    const networks = await cluster?.look(signal);
    const objects = networks?.state === "known" ? networks.objects : new Map<string, never>();
    const bySelector = [...objects.values()].some((each) =>
      !("invalid" in each) && needsLabels(each.namespaces ?? [])
    );
    const read: ReadNetworks = {
      files,
      networks,
      definitions: await definitions?.look(signal),
      namespaces: bySelector ? await namespaces.look(signal) : undefined,
      namespace,
    };
    this.#tellReplaced(files.names.filter((name) => objects.has(name)));
    return {
      names: [...new Set([...files.names, ...objects.keys()])],
      networkOf: (asked) => networkIn(read, asked),
    };
  }

  #tellReplaced(names: readonly string[]): void {
    const replaced = names.join(", ");
    if (replaced !== this.#replaced && replaced !== "") {
      this.#sources.log.info("files of this node replace Networks of the cluster", {
        networks: replaced,
      });
    }
    this.#replaced = replaced;
  }
}

/** @throws Error that says what to do when there is no such network, or it is not for the namespace */
export function networkIn(read: ReadNetworks, asked: AskedNetwork): NamedNetwork {
  return asked.by === "networkName" ? namedNetwork(asked.name, read) : definition(asked, read);
}

function namedNetwork(name: string, read: ReadNetworks): NamedNetwork {
  const { files, networks } = read;
  const found = files.find(name);
  if (found) return { network: found.network, place: found.file, form: "name" };
  const missing = `there is no network ${show(name)}`;
  switch (networks?.state) {
    case undefined:
      throw new Error(`${missing} ${files.where}`);
    case "not served":
      throw new Error(`${missing} ${files.where}, and the cluster does not have the kind Network`);
    case "unreadable":
      throw new Error(
        `${missing} ${files.where}, and the cluster's Networks cannot be read: ${networks.cause}`,
      );
    case "known":
      break;
  }
  const object = networks.objects.get(name);
  if (!object) {
    throw new Error(`${missing} ${files.where}, and the cluster has no Network of that name`);
  }
  if ("invalid" in object) throw new Error(`Network ${name} is not valid: ${object.invalid}`);
  assertSelected(object, read);
  const { network, ifName } = object;
  const place = `Network ${name}`;
  return { network, place, form: "name", ...(ifName !== undefined && { ifName }) };
}

function assertSelected(
  { name, namespaces: selector }: NetworkObject,
  { namespace, namespaces }: ReadNetworks,
): void {
  if (!selector) return;
  const labels = needsLabels(selector) ? labelsOf(namespace, { name, namespaces }) : {};
  if (selects(selector, { name: namespace, labels })) return;
  throw new Error(
    `Network ${name} is not for claims in namespace ${namespace}: its namespaceSelector ` +
      `(${describeSelector(selector)}) does not select the namespace`,
  );
}

function labelsOf(
  namespace: string,
  { name, namespaces }: { readonly name: string; readonly namespaces: Known<Labels> | undefined },
): Labels {
  const labels = namespaces?.state === "known" ? namespaces.objects.get(namespace) : undefined;
  if (labels) return labels;
  const cause = namespaces?.state === "unreadable"
    ? namespaces.cause
    : "the agent does not know the namespace yet";
  throw new Error(`cannot tell whether Network ${name} is for namespace ${namespace}: ${cause}`);
}

function definition(
  asked: AskedNetwork & { readonly by: "networkAttachmentDefinition" },
  { files, definitions, namespace }: ReadNetworks,
): NamedNetwork {
  const key = `${asked.namespace ?? namespace}/${asked.name}`;
  const what = describeDefinition(key);
  switch (definitions?.state) {
    case undefined:
      throw new Error(
        "the agent of this node does not read NetworkAttachmentDefinitions: an administrator can " +
          "set networkAttachmentDefinitions in the agent's configuration file",
      );
    case "not served":
      throw new Error(`the cluster does not have the kind NetworkAttachmentDefinition`);
    case "unreadable":
      throw new Error(`${what} cannot be read: ${definitions.cause}`);
    case "known":
      break;
  }
  const object = definitions.objects.get(key);
  if (!object) throw new Error(`there is no ${what}`);
  if ("invalid" in object) throw new Error(`${what} is not valid: ${object.invalid}`);
  if (object.config === "") {
    const found = files.find(object.name);
    if (found) {
      return { network: found.network, place: found.file, form: "name", definition: key };
    }
    throw new Error(
      `${what} has no spec.config, and there is no network ${show(object.name)} ${files.where}`,
    );
  }
  try {
    return { ...definedNetwork(object), place: what, definition: key };
  } catch (error) {
    throw new Error(`${what} is not valid: ${errorMessage(error)}`);
  }
}
