import type { Inventory, Log, PolicyNode } from "../agent/ports.ts";
import type { NodeDevice } from "../agent/model.ts";
import type { NodeAddress, NodeView } from "../claim/policy_checks.ts";
import { useOf } from "./link_use.ts";
import { devicesOf } from "./link_devices.ts";
import type { Link } from "./link.ts";
import { type InterfacePatterns, isOpenName, offeredLinks } from "./offered_links.ts";
import { errorMessage } from "../async/error_message.ts";

export interface NodeInventoryOptions {
  /** Reads the node's links; may reject. */
  readonly readLinks: (signal: AbortSignal) => Promise<Link[]>;
  /** The types of CNI plugins that the node can run. */
  readonly pluginTypes: () => string[];
  /** The node's own addresses. */
  readonly readAddresses: () => NodeAddress[];
  readonly patterns: InterfacePatterns;
  readonly log: Log;
}

/** The node's links and CNI plugins as devices. */
export class NodeInventory implements Inventory, PolicyNode {
  readonly #options: NodeInventoryOptions;
  /** As they were read last: a failure makes no device vanish. */
  #links: readonly Link[] = [];
  /**
   * Read as often as the links: while many pods start, the kernel may be long in telling. Undefined
   * when they could not be read: then each caller that needs them asks, and fails with the cause.
   */
  #addresses: readonly NodeAddress[] | undefined;
  #problem: string | undefined;

  constructor(options: NodeInventoryOptions) {
    this.#options = options;
  }

  async read(signal: AbortSignal): Promise<NodeDevice[]> {
    const { readLinks, pluginTypes, patterns, log } = this.#options;
    this.#addresses = this.#tryAddresses();
    try {
      this.#links = await readLinks(signal);
      this.#problem = undefined;
    } catch (error) {
      const problem = errorMessage(error);
      if (problem !== this.#problem && !signal.aborted) {
        log.warn("cannot read the node's interfaces", { error: problem });
      }
      this.#problem = problem;
    }
    return devicesOf(offeredLinks(this.#links, patterns), pluginTypes());
  }

  view(): NodeView {
    const { patterns, readAddresses } = this.#options;
    const there = new Set(this.#links.map(({ name }) => name));
    const offered = new Set(offeredLinks(this.#links, patterns).map(({ name }) => name));
    const addresses = this.#addresses ?? readAddresses();
    return {
      offers: (name) => offered.has(name),
      taken: (name) => there.has(name) || !isOpenName(name, patterns),
      needs: (name) => useOf(name, { links: this.#links, addresses }),
      addresses,
    };
  }

  #tryAddresses(): NodeAddress[] | undefined {
    try {
      return this.#options.readAddresses();
    } catch {
      return undefined;
    }
  }
}
