import type { ParametersForm } from "./attachment.ts";
import {
  array,
  FieldError,
  type Fields,
  join,
  LABEL,
  object,
  optional,
  show,
  text,
} from "./field.ts";
import { parseInterfaceName } from "./interface_names.ts";
import {
  CAPABILITY_ARGUMENTS,
  type CapabilityName,
  CNI,
  OWN,
  PARAMETER_KINDS,
  type ParameterKind,
} from "./parameter_kinds.ts";
import { type NetworkList, parseNetworkList } from "./network_list.ts";
import { assertPlain } from "./plain.ts";
import { errorMessage } from "../async/error_message.ts";

/** The opaque parameters of one network, from a claim or a device class. */
export interface Parameters {
  /** The interface's name, where one was given. */
  readonly ifName?: string;
  readonly network: NetworkList;
  readonly form: ParametersForm;
  /** NAMESPACE/NAME of the NetworkAttachmentDefinition that the parameters name. */
  readonly definition?: string;
  /** Where each plugin's configuration stands, for errors. */
  readonly pluginPaths: readonly string[];
  readonly capabilityArgs: Readonly<Record<string, unknown>>;
}

/** What names a network that is defined elsewhere. */
export type AskedNetwork =
  /** A network of the administrator's. */
  | { readonly by: "networkName"; readonly name: string }
  /** A NetworkAttachmentDefinition; without a namespace, one of the claim's own. */
  | {
    readonly by: "networkAttachmentDefinition";
    readonly namespace?: string;
    readonly name: string;
  };

/**
 * Returns the network that is named.
 *
 * @throws Error that says what to do when there is none, or the claim may not use it
 */
export type NetworkOf = (asked: AskedNetwork) => NamedNetwork;

/** A network that is defined outside of the parameters. */
export interface NamedNetwork {
  readonly network: NetworkList;
  /** The file or the object that holds it, for errors. */
  readonly place: string;
  /** The interface's name in the pod, for parameters that give none. */
  readonly ifName?: string;
  /** NAMESPACE/NAME of the NetworkAttachmentDefinition that was named. */
  readonly definition?: string;
  /** Whose text it is: `name` where the administrator's, else how a definition holds it. */
  readonly form: ParametersForm;
}

const KINDS = `${OWN.apiVersion} ${OWN.kinds[0]}, ${CNI.apiVersion} ${CNI.kinds[0]} ` +
  `(or ${CNI.kinds[1]}), or no apiVersion and kind`;

/**
 * Reads opaque parameters of one of the kinds:
 * - `dra.networking/v1alpha1` Network {interfaceName, capabilities, and one of config,
 *   networkName and networkAttachmentDefinition};
 * - `cni.networking.x-k8s.io/v1alpha1` CNIConfig or CNI {ifName, config};
 * - without a kind {interface, config}.
 *
 * @param path the path of the parameters, for errors
 * @param networkOf the networks that parameters can name on this node
 * @throws FieldError with the path of the first field that is invalid
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseParameters } from "./parameters.ts";
 *
 * const config = { name: "lan", type: "macvlan" };
 * const { ifName, network } = parseParameters({ interface: "eth1", config }, "parameters");
 * assert.deepEqual([ifName, network.name], ["eth1", "lan"]);
 * assert.throws(() => parseParameters({ mtu: 9000 }, "parameters"), /parameters\.mtu: is unknown/);
 * ```
 */
export function parseParameters(
  value: unknown,
  path: string,
  networkOf: NetworkOf = noNetwork,
): Parameters {
  assertPlain(value, path);
  const { apiVersion, kind } = object(value, path);
  const found = PARAMETER_KINDS.find((each) =>
    each.apiVersion === apiVersion &&
    (each.kinds.length === 0 ? kind === undefined : each.kinds.includes(kind as string))
  );
  if (!found) {
    const known = PARAMETER_KINDS.some((each) => each.apiVersion === apiVersion && apiVersion);
    throw new FieldError(
      join(path, known ? "kind" : "apiVersion"),
      `${show(known ? kind : apiVersion)} is unknown; must be one of ${KINDS}`,
    );
  }
  if (found.kinds.length === 0) assertPlainFields(value as Fields, { path, known: found.fields });
  const meta = found.kinds.length === 0 ? [] : ["apiVersion", "kind", "metadata"];
  const fields = object(value, path, [...meta, ...Object.keys(found.fields)]);
  const asked = askedNetwork(fields, path);
  const parameters = asked
    ? named(fields, path, () => networkOf(asked))
    : read(fields, path, found.nameField);
  return {
    ...parameters,
    capabilityArgs: capabilities(fields.capabilities, join(path, "capabilities"), parameters),
  };
}

/** Parameters without apiVersion and kind lack fields that those with them have: the user forgot to say. */
function assertPlainFields(
  value: Fields,
  { path, known }: { readonly path: string; readonly known: ParameterKind["fields"] },
): void {
  const { apiVersion, kinds, fields } = OWN;
  const key = Object.keys(value).find((each) =>
    !Object.hasOwn(known, each) && Object.hasOwn(fields, each)
  );
  if (key === undefined) return;
  throw new FieldError(
    join(path, key),
    `needs apiVersion and kind beside it: apiVersion: ${apiVersion}, kind: ${kinds[0]}`,
  );
}

function read(fields: Fields, path: string, nameKey: string): Parameters {
  const ifName = interfaceName(fields, path, nameKey);
  if (fields.config === undefined) {
    throw new FieldError(join(path, "config"), "is missing: it holds the CNI configuration");
  }
  const at = join(path, "config");
  const network = parseNetworkList(fields.config, at);
  const form = "plugins" in (fields.config as Fields) ? "list" : "single";
  return {
    ...ifName,
    network,
    form,
    pluginPaths: pluginPaths({ path, form }, network),
    capabilityArgs: {},
  };
}

/** Where the configuration of each of a network's plugins stands, in parameters or in a definition. */
export function pluginPaths(
  { path, form, definition }: {
    readonly path: string;
    readonly form: ParametersForm;
    readonly definition?: string;
  },
  { plugins }: NetworkList,
): string[] {
  const at = definition === undefined
    ? join(path, "config")
    : `${join(path, "networkAttachmentDefinition")}: ${definition}: spec.config`;
  return plugins.map((_, i) => form === "list" ? `${at}.plugins[${i}]` : at);
}

/** @param definition NAMESPACE/NAME */
export function describeDefinition(definition: string): string {
  return `NetworkAttachmentDefinition ${definition}`;
}

function noNetwork({ by, name }: AskedNetwork): NamedNetwork {
  if (by === "networkAttachmentDefinition") {
    throw new Error("NetworkAttachmentDefinitions are not read here");
  }
  throw new Error(
    `there is no network ${show(name)}: the administrator has defined none on this node`,
  );
}

/** The network that parameters name, where they name one. */
function askedNetwork(fields: Fields, path: string): AskedNetwork | undefined {
  const { config, networkName, networkAttachmentDefinition: definition } = fields;
  const [first, second] = Object.entries({
    networkAttachmentDefinition: definition,
    networkName,
    config,
  }).filter(([, value]) => value !== undefined).map(([key]) => key);
  if (second !== undefined) {
    const problem = `must be left out: ${first} already names the network`;
    throw new FieldError(join(path, second), problem);
  }
  if (networkName !== undefined) {
    return { by: "networkName", name: text(networkName, join(path, "networkName")) };
  }
  if (definition === undefined) return undefined;
  return definitionName(definition, join(path, "networkAttachmentDefinition"));
}

/** `NAME` or `NAMESPACE/NAME`, as in the annotation that Multus reads. */
function definitionName(value: unknown, path: string): AskedNetwork {
  const given = text(value, path);
  const words = given.split("/");
  const [name = "", namespace] = words.toReversed();
  const isName = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(name) &&
    (namespace === undefined || LABEL.test(namespace)) && words.length <= 2;
  if (!isName) {
    throw new FieldError(
      path,
      `${show(given)} must be NAME or NAMESPACE/NAME of a NetworkAttachmentDefinition`,
    );
  }
  const by = "networkAttachmentDefinition";
  return { by, name, ...(namespace !== undefined && { namespace }) };
}

function named(fields: Fields, path: string, find: () => NamedNetwork): Parameters {
  const key = fields.networkName === undefined ? "networkAttachmentDefinition" : "networkName";
  const at = join(path, key);
  let found: NamedNetwork;
  try {
    found = find();
  } catch (error) {
    throw new FieldError(at, errorMessage(error));
  }
  const { network, place, ifName, definition, form } = found;
  return {
    ...(ifName !== undefined && { ifName }),
    ...interfaceName(fields, path, "interfaceName"),
    network,
    form,
    ...(definition !== undefined && { definition }),
    pluginPaths: form === "name"
      ? network.plugins.map((_, i) => `${place}: plugins[${i}]`)
      : pluginPaths({ path, form, definition }, network),
    capabilityArgs: {},
  };
}

/**
 * What runtimes and the kernel call a pod's own interfaces. No other can be called so; but the plugin
 * tap takes the one that is there for its own, and gives it addresses, and DEL deletes it.
 */
const PODS_OWN = ["lo", "eth0"];

function interfaceName(fields: Fields, path: string, key: string): { readonly ifName?: string } {
  const at = join(path, key);
  const ifName = optional(text, fields[key], at);
  if (ifName === undefined) return {};
  assertNotPodsOwn(ifName, at);
  return { ifName: parseInterfaceName(ifName, at) };
}

/** @throws FieldError for the name of an interface that every pod has */
export function assertNotPodsOwn(ifName: string, path: string): void {
  if (!PODS_OWN.includes(ifName)) return;
  throw new FieldError(path, `${show(ifName)} is an interface that the pod already has`);
}

/** How each capability argument looks (CNI CONVENTIONS, "Dynamic Plugin specific fields"). */
const CAPABILITIES: Readonly<Record<CapabilityName, (value: unknown, path: string) => unknown>> = {
  ips: (value, path) => array(value, path).map((ip, i) => text(ip, `${path}[${i}]`)),
  mac: (value, path) => {
    const mac = text(value, path).toLowerCase();
    if (/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac)) return mac;
    throw new FieldError(path, `${show(value)} must be a MAC address such as 02:00:5e:10:00:01`);
  },
  bandwidth: (value, path) => {
    const keys = ["ingressRate", "ingressBurst", "egressRate", "egressBurst"];
    const fields = object(value, path, keys);
    for (const [key, rate] of Object.entries(fields)) wholeNumber(rate, join(path, key));
    return fields;
  },
  portMappings: (value, path) =>
    array(value, path).map((item, i) => {
      const at = `${path}[${i}]`;
      const fields = object(item, at, ["hostPort", "containerPort", "protocol", "hostIP"]);
      port(fields.hostPort, join(at, "hostPort"));
      port(fields.containerPort, join(at, "containerPort"));
      const protocol = optional(text, fields.protocol, join(at, "protocol"));
      if (protocol !== undefined && !["tcp", "udp", "sctp"].includes(protocol.toLowerCase())) {
        throw new FieldError(join(at, "protocol"), `${show(protocol)} must be tcp, udp or sctp`);
      }
      optional(text, fields.hostIP, join(at, "hostIP"));
      return fields;
    }),
};

function capabilities(value: unknown, path: string, { network }: Parameters) {
  const fields = optional(
    (all, at) => object(all, at, Object.keys(CAPABILITY_ARGUMENTS)),
    value,
    path,
  );
  const args: Record<string, unknown> = {};
  for (const [name, argument] of Object.entries(fields ?? {})) {
    // Where the network has addresses, the agent gives it the ones that the claim names.
    const isOurs = name === "ips" && network.addresses !== undefined;
    if (!isOurs && !network.plugins.some((plugin) => plugin.capabilities?.[name] === true)) {
      // CNI would drop it silently.
      throw new FieldError(
        join(path, name),
        `no plugin of network ${show(network.name)} accepts it; add ` +
          `"capabilities": {"${name}": true} to the plugin that does`,
      );
    }
    args[name] = CAPABILITIES[name as CapabilityName](argument, join(path, name));
  }
  return args;
}

function wholeNumber(value: unknown, path: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new FieldError(path, `must be a whole number, 0 or more, not ${show(value)}`);
}

function port(value: unknown, path: string): void {
  if (wholeNumber(value, path) < 1 || (value as number) > 65535) {
    throw new FieldError(path, `must be a port, 1 to 65535, not ${show(value)}`);
  }
}
