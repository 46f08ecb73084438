import type { ConfiguredNetwork } from "./objects.ts";
import type { ClaimPhase, ClaimView, ClassView, NetworkView } from "./picture.ts";

/** The networks that claims and classes name, by name. */
export function networkViews(
  claims: readonly ClaimView[],
  classes: readonly ClassView[],
): NetworkView[] {
  const found = new Map<string, Collected>();
  const of = (network: ConfiguredNetwork): Collected => {
    const key = `${network.source} ${network.name}`;
    let one = found.get(key);
    if (!one) found.set(key, one = new Collected(network));
    one.plugins.set(network.plugins.join(), network.plugins);
    return one;
  };
  for (const { name, networks } of classes) {
    for (const network of networks) of(network).classes.add(name);
  }
  for (const claim of claims) {
    for (const { network, node, state } of claim.attachments) {
      if (!network) continue;
      const one = of(network);
      one.count(state.phase);
      if (node !== undefined) one.nodes.add(node);
    }
    // Claims that are not allocated yet have no attachments to count.
    if (claim.attachments.length > 0) continue;
    for (const network of claim.networks) of(network).count(claim.state.phase);
  }
  return [...found.values()].map((one) => one.view())
    .toSorted((one, other) => one.name < other.name ? -1 : 1);
}

class Collected {
  readonly plugins = new Map<string, readonly string[]>();
  readonly classes = new Set<string>();
  readonly nodes = new Set<string>();
  readonly #network: ConfiguredNetwork;
  readonly #phases: Partial<Record<ClaimPhase, number>> = {};

  constructor(network: ConfiguredNetwork) {
    this.#network = network;
  }

  count(phase: ClaimPhase): void {
    this.#phases[phase] = (this.#phases[phase] ?? 0) + 1;
  }

  view(): NetworkView {
    const { name, source } = this.#network;
    return {
      name,
      source,
      plugins: [...this.plugins.values()].filter(({ length }) => length > 0),
      classes: [...this.classes].toSorted(),
      nodes: [...this.nodes].toSorted(),
      phases: this.#phases,
    };
  }
}
