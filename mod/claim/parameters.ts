import type { ParametersForm } from "./attachment.ts";
import { array, FieldError, type Fields, join, object, optional, show, text } from "./field.ts";
import { parseInterfaceName } from "./interface_names.ts";
import { type NetworkList, parseNetworkList } from "./network_list.ts";
import { errorMessage } from "../async/error_message.ts";

/** The opaque parameters of one network, from a claim or a device class. */
export interface Parameters {
  /** The interface's name, where one was given. */
  readonly ifName?: string;
  readonly network: NetworkList;
  readonly form: ParametersForm;
  /** Where each plugin's configuration stands, for errors. */
  readonly pluginPaths: readonly string[];
  readonly capabilityArgs: Readonly<Record<string, unknown>>;
}

/**
 * Returns the administrator's network of a name.
 *
 * @throws Error that says what to do when there is none
 */
export type NetworkOf = (name: string) => NamedNetwork;

/** A network that the administrator has defined on the node. */
export interface NamedNetwork {
  readonly network: NetworkList;
  /** The file that holds it, for errors. */
  readonly file: string;
}

/** The API of the CNI driver that SIG Network designed (kubernetes-sigs/cni-dra-driver). */
const CNI_API = "cni.networking.x-k8s.io/v1alpha1";
/** This project's own. */
const OWN_API = "dra.networking/v1alpha1";
const OWN_KIND = "Network";

const KINDS = `${OWN_API} ${OWN_KIND}, ${CNI_API} CNIConfig (or CNI), or no apiVersion and kind`;

/**
 * Reads opaque parameters of one of the kinds:
 * - `dra.networking/v1alpha1` Network {interfaceName, config or networkName, capabilities};
 * - `cni.networking.x-k8s.io/v1alpha1` CNIConfig or CNI {ifName, config};
 * - without a kind {interface, config}.
 *
 * @param path the path of the parameters, for errors
 * @param networkOf the administrator's networks on this node
 * @throws FieldError with the path of the first field that is invalid
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseParameters } from "./parameters.ts";
 *
 * const config = { name: "lan", type: "macvlan" };
 * const { ifName, network } = parseParameters({ interface: "eth1", config }, "parameters");
 * assert.deepEqual([ifName, network.name], ["eth1", "lan"]);
 * assert.throws(() => parseParameters({ mtu: 9000 }, "parameters"), /parameters\.mtu: is not known/);
 * ```
 */
export function parseParameters(
  value: unknown,
  path: string,
  networkOf: NetworkOf = noNetwork,
): Parameters {
  assertPlain(value, path);
  const fields = object(value, path);
  const { apiVersion, kind } = fields;
  if (apiVersion === undefined && kind === undefined) {
    return read(object(value, path, ["interface", "config"]), path, "interface");
  }
  const meta = ["apiVersion", "kind", "metadata"];
  if (apiVersion === CNI_API && (kind === "CNIConfig" || kind === "CNI")) {
    return read(object(value, path, [...meta, "ifName", "config"]), path, "ifName");
  }
  if (apiVersion === OWN_API && kind === OWN_KIND) {
    const known = object(value, path, [
      ...meta,
      "interfaceName",
      "config",
      "networkName",
      "capabilities",
    ]);
    const parameters = known.networkName === undefined
      ? read(known, path, "interfaceName")
      : named(known, path, networkOf);
    return {
      ...parameters,
      capabilityArgs: capabilities(known.capabilities, join(path, "capabilities"), parameters),
    };
  }
  const known = apiVersion === CNI_API || apiVersion === OWN_API;
  throw new FieldError(
    join(path, known ? "kind" : "apiVersion"),
    `${show(known ? kind : apiVersion)} is not known; allowed are ${KINDS}`,
  );
}

/** Deeper than any plugin's configuration. */
const MOST_DEEP = 32;
/** Names that JavaScript gives meaning to: what stands under them would not be kept as it is. */
const FORBIDDEN_KEYS = ["__proto__", "constructor", "prototype"];

/** Refuses what could not be written to the journal and read again unchanged. */
function assertPlain(value: unknown, path: string): void {
  const left = [{ value, path, depth: 0 }];
  for (let next = left.pop(); next; next = left.pop()) {
    const { value, path, depth } = next;
    if (typeof value !== "object" || value === null) continue;
    if (depth > MOST_DEEP) {
      throw new FieldError(path, `is nested too deeply: at most ${MOST_DEEP} levels are allowed`);
    }
    for (const key of Object.keys(value)) {
      if (FORBIDDEN_KEYS.includes(key)) {
        throw new FieldError(join(path, key), "is not allowed as a name");
      }
      const at = Array.isArray(value) ? `${path}[${key}]` : join(path, key);
      left.push({ value: (value as Fields)[key], path: at, depth: depth + 1 });
    }
  }
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

/** Where the configuration of each of a network's plugins stands in parameters. */
export function pluginPaths(
  { path, form }: { readonly path: string; readonly form: ParametersForm },
  { plugins }: NetworkList,
): string[] {
  const at = join(path, "config");
  return plugins.map((_, i) => form === "list" ? `${join(at, "plugins")}[${i}]` : at);
}

function noNetwork(name: string): NamedNetwork {
  throw new Error(
    `there is no network ${show(name)}: the administrator has defined none on this node`,
  );
}

/** A network of the administrator's, by its name. */
function named(fields: Fields, path: string, networkOf: NetworkOf): Parameters {
  const at = join(path, "networkName");
  const name = text(fields.networkName, at);
  if (fields.config !== undefined) {
    throw new FieldError(
      join(path, "config"),
      "must be left out: networkName already names the network",
    );
  }
  let found: NamedNetwork;
  try {
    found = networkOf(name);
  } catch (error) {
    throw new FieldError(at, errorMessage(error));
  }
  const { network, file } = found;
  return {
    ...interfaceName(fields, path, "interfaceName"),
    network,
    form: "name",
    pluginPaths: network.plugins.map((_, i) => `${file}: plugins[${i}]`),
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
  if (PODS_OWN.includes(ifName)) {
    throw new FieldError(at, `${show(ifName)} is an interface that the pod already has`);
  }
  return { ifName: parseInterfaceName(ifName, at) };
}

/** How each capability argument looks (CNI CONVENTIONS, "Dynamic Plugin specific fields"). */
const CAPABILITIES: Readonly<Record<string, (value: unknown, path: string) => unknown>> = {
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
  const fields = optional((all, at) => object(all, at, Object.keys(CAPABILITIES)), value, path);
  const args: Record<string, unknown> = {};
  for (const [name, argument] of Object.entries(fields ?? {})) {
    if (!network.plugins.some((plugin) => plugin.capabilities?.[name] === true)) {
      // CNI would drop it silently.
      throw new FieldError(
        join(path, name),
        `no plugin of network ${show(network.name)} takes it; add ` +
          `"capabilities": {"${name}": true} to the plugin that does`,
      );
    }
    args[name] = CAPABILITIES[name]!(argument, join(path, name));
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
