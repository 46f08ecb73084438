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
  const { parameters, decisions = [], notes = [] } = definition.config.how === "file"
    ? byName(definition, use)
    : inline(definition, { config: definition.config.value, use });
  const value = { ...head, ...parameters };
  assertAccepted(value, use);
  return { value, decisions, notes };
}

interface Parts {
  readonly parameters: Fields;
  readonly decisions?: readonly string[];
  readonly notes?: readonly string[];
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
  const capabilities = Object.fromEntries(
    (["ips", "mac", "bandwidth", "portMappings"] as const).flatMap((key) =>
      use[key] === undefined ? [] : [[key, use[key]]]
    ),
  );
  const named = Object.keys(capabilities);
  return {
    parameters: { networkName: name, ...(named.length > 0 && { capabilities }) },
    decisions: [
      `The configuration is in a file on each node: copy it from /etc/cni/multus/net.d to the agent's ` +
      `networkDir, as ${name}.conflist, with the name ${show(name)}.`,
      ...named.length === 0 ? [] : [
        `The plugin in the file must declare what pods ask for: "capabilities": {${
          named.map((each) => `"${each}": true`).join(", ")
        }}.`,
      ],
      ...use.defaultRoute ? [routeAdvice(use.defaultRoute)] : [],
    ],
  };
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
  let plugins = pluginsOf(config).map((plugin) => ({ ...plugin }) as Fields);

  const ask = (key: "ips" | "mac" | "bandwidth" | "portMappings", takers: number) => {
    const value = use[key];
    if (value === undefined) return;
    const declared = plugins.findIndex((plugin) => capabilitiesOf(plugin)[key] === true);
    const taker = declared < 0 ? takers : declared;
    if (taker < 0) {
      notes.push(
        `${key} of the annotation is left out: no plugin of ${title} takes it, so it had no effect ` +
          "with Multus either.",
      );
      return;
    }
    capabilities[key] = value;
    plugins = plugins.with(taker, {
      ...plugins[taker],
      capabilities: { ...capabilitiesOf(plugins[taker]!), [key]: true },
    });
  };
  const withIpam = plugins.findIndex(({ ipam }) => TAKE_IPS.includes(`${(ipam as Fields)?.type}`));
  ask("ips", withIpam);
  ask("mac", plugins.findIndex(({ type }) => TAKE_MAC.includes(`${type}`)));
  ask("bandwidth", -1);
  ask("portMappings", -1);
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
    decisions.push(routeAdvice(use.defaultRoute));
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

function routeAdvice(gateways: readonly string[]): string {
  return `Multus made ${
    gateways.join(", ")
  } the pod's default gateway; the agent leaves the default ` +
    "route with the cluster's network. Add routes to the network's ipam, or have the network's DHCP " +
    "server give them.";
}
