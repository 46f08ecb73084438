import { FieldError, type Fields, join, show } from "../claim/field.ts";
import { parseParameters } from "../claim/parameters.ts";
import { OWN } from "../claim/parameter_kinds.ts";
import type { NetworkElement } from "./annotation.ts";
import type { Definition } from "./definition.ts";
import { pluginsOf } from "./obstacles.ts";

/** What a pod asks of a network beyond its configuration. */
export type Use =
  & Pick<
    NetworkElement,
    "ips" | "mac" | "defaultRoute" | "bandwidth" | "portMappings" | "cniArgs"
  >
  & {
    readonly path: string;
    /** Left to the agent where it is undefined. */
    readonly interfaceName?: string;
  };

/** What a network's element asks for beyond the network and its name. */
export function argumentsOf(
  { ips, mac, defaultRoute, bandwidth, portMappings, cniArgs }: NetworkElement,
): Omit<Use, "path" | "interfaceName"> {
  return {
    ...(ips && { ips }),
    ...(mac !== undefined && { mac }),
    ...(defaultRoute && { defaultRoute }),
    ...(bandwidth && { bandwidth }),
    ...(portMappings && { portMappings }),
    ...(cniArgs && { cniArgs }),
  };
}

/** Parameters of a DeviceClass, and what a person must know of them. */
export interface NetworkParameters {
  readonly value: Fields;
  /** What a person must decide or do, a sentence each. */
  readonly decisions: readonly string[];
  /** What is different and changes nothing, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * The parameters that attach a definition's network as Multus does.
 *
 * This is the one place that decides where the configuration of a network stands: inline, so that it
 * is the administrator's as a DeviceClass is, or in a file that `networkName` names. Objects that hold
 * networks come in here: by name, as files do.
 *
 * @throws FieldError for what cannot be moved
 */
export function networkParameters(definition: Definition, use: Use): NetworkParameters {
  const head = {
    apiVersion: OWN.apiVersion,
    kind: OWN.kinds[0],
    ...(use.interfaceName !== undefined && { interfaceName: use.interfaceName }),
  };
  const { parameters, decisions = [], notes = [] } = parts(definition, use);
  const value = { ...head, ...parameters };
  assertAccepted(value, use);
  return { value, decisions, notes };
}

interface Parts {
  readonly parameters: Fields;
  readonly decisions?: readonly string[];
  readonly notes?: readonly string[];
}

function parts(definition: Definition, use: Use): Parts {
  const { config } = definition;
  switch (config.how) {
    case "file":
      return byName(definition, use);
    case "network":
      return byObject(definition, { network: config, use });
    case "inline":
      return inline(definition, { config: config.value, use });
  }
}

/** The agent's own reader has the last word. */
function assertAccepted(value: Fields, { path }: Use): void {
  const capabilities = { ips: true, mac: true, bandwidth: true, portMappings: true };
  try {
    parseParameters(value, "", ({ name }) => ({
      network: { cniVersion: "1.0.0", name, plugins: [{ type: "any", capabilities }] },
      place: name,
      form: "name",
    }));
  } catch (error) {
    throw error instanceof FieldError ? new FieldError(path, error.message) : error;
  }
}

function byName({ name }: Definition, use: Use): Parts {
  if (use.cniArgs) {
    throw new FieldError(
      join(use.path, "cni-args"),
      `cannot be moved: the configuration of ${name} is in a file, and its plugins' args stand there`,
    );
  }
  const named = CAPABILITIES.filter((key) => use[key] !== undefined);
  return {
    parameters: { networkName: name, ...asked(named, use) },
    decisions: [
      `The configuration is in a file on each node: copy it from /etc/cni/multus/net.d to the agent's ` +
      `networkDir, as ${name}.conflist, with the name ${show(name)}.`,
      ...named.length === 0 ? [] : [
        `The plugin in the file must declare what pods ask for: "capabilities": {${
          named.map((each) => `"${each}": true`).join(", ")
        }}.`,
      ],
      ...use.defaultRoute ? [routeAdvice(use.defaultRoute, IPAM_ROUTES)] : [],
    ],
  };
}

function byObject(
  { title }: Definition,
  { network: { name, value }, use }: {
    readonly network: Definition["config"] & { readonly how: "network" };
    readonly use: Use;
  },
): Parts {
  if (use.cniArgs) {
    throw new FieldError(
      join(use.path, "cni-args"),
      `cannot be moved: all pods of ${title} share one configuration, which is that of a Network`,
    );
  }
  const plugins = pluginsOf(value);
  const given = CAPABILITIES.filter((key) => use[key] !== undefined);
  // The agent gives addresses itself.
  const taken = given.filter((key) => key === "ips" || takerOf(plugins, key) >= 0);
  return {
    parameters: { networkName: name, ...asked(taken, use) },
    notes: given.filter((key) => !taken.includes(key)).map((key) => withoutEffect(key, title)),
    decisions: [
      ...use.ips
        ? [
          `With whereabouts, the pod had ${
            use.ips.join(", ")
          } besides the address that it was given; ` +
          "now it has this instead of another one of the Network.",
        ]
        : [],
      ...use.defaultRoute ? [routeAdvice(use.defaultRoute, "addresses.routes of the Network")] : [],
    ],
  };
}

/** What pods ask for by the annotation and plugins take as capabilities. */
const CAPABILITIES = ["ips", "mac", "bandwidth", "portMappings"] as const;
export type Capability = typeof CAPABILITIES[number];

function asked(keys: readonly Capability[], use: Use): Fields {
  if (keys.length === 0) return {};
  return { capabilities: Object.fromEntries(keys.map((key) => [key, use[key]])) };
}

function withoutEffect(key: Capability, title: string): string {
  return `${key} of the annotation is left out: no plugin of ${title} takes it, so it had no effect ` +
    "with Multus either.";
}

/** Interface plugins that set the MAC address of CNI_ARGS, which Multus gives, or of the capability. */
const TAKE_MAC = ["macvlan", "bridge", "tuning", "sriov"];
/** IPAM plugins that take the addresses of CNI_ARGS or of the capability, and have routes. */
const TAKE_IPS = ["static", "host-local"];

function inline(
  { title }: Definition,
  { config, use }: { readonly config: Fields; readonly use: Use },
): Parts {
  const notes: string[] = [];
  const decisions: string[] = [];
  const capabilities: Record<string, unknown> = {};
  let plugins = [...pluginsOf(config)];

  for (const key of CAPABILITIES) {
    if (use[key] === undefined) continue;
    if (takerOf(plugins, key) < 0) {
      notes.push(withoutEffect(key, title));
      continue;
    }
    capabilities[key] = use[key];
    plugins = declaring(plugins, key);
  }
  const withIpam = plugins.findIndex(takesIps);
  const bare = use.ips?.find((ip) => !ip.includes("/"));
  const isStatic = withIpam >= 0 && (plugins[withIpam]!.ipam as Fields).type === "static";
  if (bare !== undefined && isStatic) {
    throw new FieldError(
      join(use.path, "ips"),
      `${show(bare)} has no prefix length, which the IPAM plugin static needs, as in ${bare}/${
        bare.includes(":") ? 64 : 24
      }`,
    );
  }
  if (use.cniArgs) {
    const { cniArgs } = use;
    plugins = plugins.map((plugin) => {
      const args = plugin.args as Fields | undefined;
      return { ...plugin, args: { ...args, cni: { ...args?.cni as Fields, ...cniArgs } } };
    });
  }
  if (use.defaultRoute && withIpam >= 0) {
    plugins = plugins.with(withIpam, withRoutes(plugins[withIpam]!, use.defaultRoute));
    notes.push(
      "Instead of replacing the pod's default route, the network has two routes of half of all " +
        `addresses each by ${
          use.defaultRoute.join(", ")
        }: they are more specific, so traffic takes ` +
        "the same way.",
    );
  } else if (use.defaultRoute) {
    decisions.push(routeAdvice(use.defaultRoute, IPAM_ROUTES));
  }
  const [first] = plugins;
  return {
    parameters: {
      config: "plugins" in config ? { ...config, plugins } : first,
      ...(Object.keys(capabilities).length > 0 && { capabilities }),
    },
    notes,
    decisions,
  };
}

/** The plugin that takes what pods ask for: the one that declares it, or takes it undeclared; or -1. */
function takerOf(plugins: readonly Fields[], key: Capability): number {
  const declared = plugins.findIndex((plugin) => capabilitiesOf(plugin)[key] === true);
  if (declared >= 0) return declared;
  if (key === "ips") return plugins.findIndex(takesIps);
  return key === "mac" ? plugins.findIndex(({ type }) => TAKE_MAC.includes(`${type}`)) : -1;
}

function takesIps({ ipam }: Fields): boolean {
  return TAKE_IPS.includes(`${(ipam as Fields | undefined)?.type}`);
}

/** The plugins, the one that takes it declaring so. */
export function declaring(plugins: readonly Fields[], key: Capability): Fields[] {
  const taker = takerOf(plugins, key);
  return plugins.map((plugin, i) =>
    i === taker ? { ...plugin, capabilities: { ...capabilitiesOf(plugin), [key]: true } } : plugin
  );
}

function capabilitiesOf({ capabilities }: Fields): Fields {
  return (capabilities ?? {}) as Fields;
}

function withRoutes(plugin: Fields, gateways: readonly string[]): Fields {
  const ipam = plugin.ipam as Fields;
  const before = Array.isArray(ipam.routes) ? ipam.routes as readonly unknown[] : [];
  const halves = gateways.flatMap((gw) =>
    (gw.includes(":") ? ["::/1", "8000::/1"] : ["0.0.0.0/1", "128.0.0.0/1"])
      .map((dst) => ({ dst, gw }))
  );
  return { ...plugin, ipam: { ...ipam, routes: [...before, ...halves] } };
}

const IPAM_ROUTES = "the network's ipam, or have the network's DHCP server give them";

/** @param where routes can stand instead, as the end of a sentence */
function routeAdvice(gateways: readonly string[], where: string): string {
  return `Multus made ${
    gateways.join(", ")
  } the pod's default gateway; the agent leaves the default ` +
    `route with the cluster's network. Add routes to ${where}.`;
}
