import type { AddressRange } from "../claim/addresses.ts";
import type { Fields } from "../claim/field.ts";
import { NETWORK_API } from "../networks/network_object.ts";
import { type Definition, keyOf } from "./definition.ts";
import { type Lease, leasesOf } from "./leases.ts";
import type { Commented } from "./migration.ts";
import { Names } from "./names.ts";
import { type Capability, declaring } from "./network_parameters.ts";
import { pluginsOf } from "./obstacles.ts";
import { type WhereaboutsIpam, whereaboutsIpam, written } from "./whereabouts.ts";

/** A definition whose addresses a Network gives. */
export interface NetworkDraft {
  /** It names the Network. */
  readonly definition: Definition;
  readonly name: string;
  readonly ipam: WhereaboutsIpam;
  /** The namespaces of those who use it. */
  readonly namespaces: Set<string>;
  /** What they ask of its plugins. */
  readonly asked: Set<Capability>;
}

export interface FinishedNetwork {
  readonly definition: Definition;
  readonly written: Commented;
  readonly decision: string;
}

/** As long as the name of a Network with addresses may be: the names of its addresses begin with it. */
const MOST = 200;

/** The Networks that take the place of definitions with whereabouts. */
export class NetworkObjects {
  readonly #drafts: NetworkDraft[] = [];
  readonly #names: Names;

  /** @param taken names of other Networks */
  constructor(taken: readonly string[]) {
    this.#names = new Names(taken);
  }

  /**
   * A Network for a definition, if whereabouts gives its addresses.
   *
   * @throws FieldError for what a Network cannot say
   */
  draft(definition: Definition): NetworkDraft | undefined {
    const { config, namespace, name: given } = definition;
    if (config.how !== "inline") return undefined;
    const [first, ...rest] = pluginsOf(config.value);
    const { ipam, ...plugin } = first!;
    if ((ipam as Fields | undefined)?.type !== "whereabouts") return undefined;
    const at = "plugins" in config.value ? "spec.config.plugins[0].ipam" : "spec.config.ipam";
    const read = whereaboutsIpam(ipam as Fields, at);
    const name = this.#names.take(`${namespace}.${given}`, MOST);
    const plugins = [withoutIps(plugin), ...rest];
    const { name: _, ...list } = config.value;
    const { name: _name, ...single } = plugins[0]!;
    const value = "plugins" in config.value ? { ...list, plugins } : single;
    return {
      definition: { ...definition, config: { how: "network", name, value } },
      name,
      ipam: read,
      namespaces: new Set([namespace]),
      asked: new Set(),
    };
  }

  add(draft: NetworkDraft): void {
    this.#drafts.push(draft);
  }

  /** Each Network, with what a person must do, once it is known who uses it and what is leased. */
  finish(leases: readonly Lease[]): FinishedNetwork[] {
    const otherNames = this.#drafts.flatMap(({ ipam }) => ipam.networkName ?? []);
    return this.#drafts.map((draft) => {
      const { ipam, definition } = draft;
      const own = leasesOf(leases, { ...ipam, otherNames });
      const decision = warning(draft, own);
      const was = `Was: NetworkAttachmentDefinition ${
        keyOf(definition)
      }, with addresses by whereabouts.`;
      const object = networkOf(draft, own);
      return { definition, written: { object, comments: [was, `DECIDE: ${decision}`] }, decision };
    });
  }
}

/** whereabouts does not take the capability, and the agent would give it the addresses. */
function withoutIps(plugin: Fields): Fields {
  const { ips: _, ...rest } = (plugin.capabilities ?? {}) as Fields;
  const { capabilities: __, ...others } = plugin;
  return Object.keys(rest).length === 0 ? others : { ...others, capabilities: rest };
}

function networkOf(draft: NetworkDraft, leases: readonly Lease[]) {
  const { name, ipam: { pools, routes, dns }, namespaces, asked } = draft;
  const { value } = draft.definition.config as Definition["config"] & { readonly how: "network" };
  let plugins = [...pluginsOf(value)];
  for (const key of asked) if (key !== "ips") plugins = declaring(plugins, key);
  const withLeases = pools.map((pool, i) => {
    const { exclude, gateway, ...rest } = pool;
    const family = draft.ipam.subnets[i]!.family;
    const leased = leases.filter(({ address }) => address.family === family);
    const all = [...new Set([...exclude, ...blocks(leased.map(({ address }) => address))])];
    return { ...rest, ...(all.length > 0 && { exclude: all }), ...(gateway && { gateway }) };
  });
  return {
    apiVersion: NETWORK_API,
    kind: "Network",
    metadata: { name },
    spec: {
      config: "plugins" in value ? { ...value, plugins } : plugins[0],
      namespaceSelector: {
        matchExpressions: [{
          key: "kubernetes.io/metadata.name",
          operator: "In",
          values: [...namespaces].toSorted(),
        }],
      },
      addresses: { pools: withLeases, ...(routes && { routes }), ...(dns && { dns }) },
    },
  };
}

/** Addresses, in order and each once, as few CIDRs; one address stands alone. */
function blocks(addresses: readonly AddressRange[]): string[] {
  const found: string[] = [];
  for (let i = 0; i < addresses.length;) {
    const { family, first } = addresses[i]!;
    const bits = family === 4 ? 32 : 128;
    let host = 0;
    const holds = (size: bigint) =>
      first % size === 0n &&
      addresses[i + Number(size) - 1]?.first === first + size - 1n;
    while (host < 16 && holds(1n << BigInt(host + 1))) host++;
    found.push(
      host === 0 ? written({ family, first }) : `${written({ family, first })}/${bits - host}`,
    );
    i += 2 ** host;
  }
  return found;
}

/** Both must never give addresses of one range. */
function warning({ definition, ipam }: NetworkDraft, leases: readonly Lease[]): string {
  const [one] = leases;
  const which = one === undefined
    ? "No lease of whereabouts was read"
    : `exclude holds the ${leases.length} ${
      leases.length === 1 ? "address" : "addresses"
    } that pods with Multus have, such as ${written(one.address)} (${one.pod})`;
  const all = ipam.pools.map(({ subnet }) => JSON.stringify(subnet)).join(" and ");
  return `${which}. whereabouts does not know of what the agents give: before you apply this, let it ` +
    `give no more (add ${all} to "exclude" of the range in ${
      keyOf(definition)
    }), and migrate again. ` +
    "Pods that run keep their addresses. When they have ended, migrate and apply again: exclude gets " +
    "shorter.";
}
