import { addressText } from "../addresses/ip_range.ts";
import { parseAddresses } from "../addresses/parse_addresses.ts";
import { LONGEST_NETWORK_NAME, type NetworkAddresses } from "../addresses/pools.ts";
import { FieldError, type Fields } from "../claim/field.ts";
import { NETWORK_API } from "../networks/network_object.ts";
import { type Definition, type DefinitionConfig, keyOf } from "./definition.ts";
import { excludedBy, type Lease, leasesOf } from "./leases.ts";
import type { Commented } from "./migration.ts";
import { Names } from "./names.ts";
import { type Capability, declaring } from "./network_parameters.ts";
import { pluginsOf } from "./obstacles.ts";
import { type WhereaboutsIpam, whereaboutsIpam } from "./whereabouts.ts";

/** A Network that takes the place of a definition with whereabouts. */
export interface NetworkDraft {
  /** It names the Network. */
  readonly definition: Definition;
  readonly name: string;
  readonly config: DefinitionConfig & { readonly how: "network" };
  readonly addresses: NetworkAddresses;
  /** What a person must do before it is applied. */
  readonly decision: string;
  readonly notes: readonly string[];
  /** The namespaces of those who use it. */
  readonly namespaces: Set<string>;
  /** What they ask of its plugins. */
  readonly asked: Set<Capability>;
}

/** As many entries as `exclude` of a pool may have. */
const MOST_EXCLUDED = 256;

/** The Networks that take the place of definitions. */
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
   * @param leases all that whereabouts has given
   * @throws FieldError for what a Network cannot say
   */
  draft(definition: Definition, leases: readonly Lease[]): NetworkDraft | undefined {
    const { config, namespace, name: given } = definition;
    if (config.how !== "inline") return undefined;
    const [first, ...rest] = pluginsOf(config.value);
    const { ipam, ...plugin } = first!;
    if ((ipam as Fields | undefined)?.type !== "whereabouts") return undefined;
    const isList = "plugins" in config.value;
    const read = inConfig(() =>
      whereaboutsIpam(ipam as Fields, isList ? "plugins[0].ipam" : "ipam")
    );
    const own = leasesOf(leases, read);
    const { addresses, others } = addressesOf(read, own);
    const name = this.#names.take(`${namespace}.${given}`, LONGEST_NETWORK_NAME);
    // A Network has the object's name.
    const { name: _, ...bare } = isList
      ? { ...config.value, plugins: [withoutIps(plugin), ...rest] } as Fields
      : withoutIps(plugin);
    const moved = { how: "network", name, value: bare } as const;
    return {
      definition: { ...definition, config: moved },
      name,
      config: moved,
      addresses,
      decision: decisionOf(definition, { addresses, leases: own, others }),
      notes: read.notes,
      namespaces: new Set([namespace]),
      asked: new Set(),
    };
  }

  add(draft: NetworkDraft): void {
    this.#drafts.push(draft);
  }

  /** The objects, once it is known who uses them. */
  get all(): Commented[] {
    return this.#drafts.map((draft) => ({
      object: objectOf(draft),
      comments: [
        `Was: the addresses of NetworkAttachmentDefinition ${
          keyOf(draft.definition)
        }, by whereabouts.`,
        `DECIDE: ${draft.decision}`,
      ],
    }));
  }
}

/** Inside the text of a configuration there are no lines of the file. */
function inConfig<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof FieldError ? new FieldError("spec.config", error.message) : error;
  }
}

/** whereabouts does not take the capability, and the agent would give it the addresses. */
function withoutIps(plugin: Fields): Fields {
  const { ips: _, ...rest } = (plugin.capabilities ?? {}) as Fields;
  const { capabilities: __, ...others } = plugin;
  return Object.keys(rest).length === 0 ? others : { ...others, capabilities: rest };
}

function addressesOf(
  { pools, subnets, routes, dns }: WhereaboutsIpam,
  leases: readonly Lease[],
): { readonly addresses: NetworkAddresses; readonly others: bigint } {
  let others = 0n;
  const withLeases = pools.map((pool, i) => {
    const leased = leases.map(({ address }) => address)
      .filter(({ family }) => family === subnets[i]!.family);
    const { exclude = [] } = pool;
    const found = excludedBy(leased, Math.max(MOST_EXCLUDED - exclude.length, 1));
    others += found.others;
    const all = [...exclude, ...found.ranges];
    return { ...pool, ...(all.length > 0 && { exclude: all }) };
  });
  const addresses = { pools: withLeases, ...(routes && { routes }), ...(dns && { dns }) };
  return { addresses: inConfig(() => parseAddresses(addresses, "ipam")), others };
}

/** whereabouts and the agents must never give addresses of one range at the same time. */
function decisionOf(
  definition: Definition,
  { addresses, leases, others }: {
    readonly addresses: NetworkAddresses;
    readonly leases: readonly Lease[];
    readonly others: bigint;
  },
): string {
  const [one] = leases;
  const count = leases.length === 1 ? "1 address" : `${leases.length} addresses`;
  const between = others === 0n ? "" : `, and ${others} between them`;
  const which = one === undefined
    ? "No lease of whereabouts was read"
    : `exclude holds ${count} that pods with Multus have, such as ${
      addressText(one.address.first, one.address.family)
    } (${one.pod})${between}`;
  const all = addresses.pools.map(({ subnet }) => JSON.stringify(subnet)).join(" and ");
  return `${which}. whereabouts does not know of what the agents give: before you apply this, let it ` +
    `give no more (add ${all} to "exclude" of the range in ${
      keyOf(definition)
    }), and migrate again. ` +
    "Pods that run keep their addresses. When they have ended, migrate and apply again: exclude gets " +
    "shorter.";
}

function objectOf({ name, config: { value }, addresses, namespaces, asked }: NetworkDraft) {
  let plugins = [...pluginsOf(value)];
  for (const key of asked) if (key !== "ips") plugins = declaring(plugins, key);
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
      addresses,
    },
  };
}
