import type { Inventory, Log, NodeDevice } from "../agent/ports.ts";
import { devicesOf } from "./link_devices.ts";
import type { Link } from "./link.ts";
import { type InterfacePatterns, offeredLinks } from "./offered_links.ts";

export interface NodeInventoryOptions {
  /** Reads the node's links; may reject. */
  readonly readLinks: (signal: AbortSignal) => Promise<Link[]>;
  /** The types of CNI plugins that the node can run. */
  readonly pluginTypes: () => string[];
  readonly patterns: InterfacePatterns;
  readonly log: Log;
}

/** The node's links and CNI plugins as devices. */
export class NodeInventory implements Inventory {
  readonly #options: NodeInventoryOptions;
  /** As they were read last: a failure makes no device vanish. */
  #links: readonly Link[] = [];
  #problem: string | undefined;

  constructor(options: NodeInventoryOptions) {
    this.#options = options;
  }

  async read(signal: AbortSignal): Promise<NodeDevice[]> {
    const { readLinks, pluginTypes, patterns, log } = this.#options;
    try {
      this.#links = await readLinks(signal);
      this.#problem = undefined;
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      if (problem !== this.#problem && !signal.aborted) {
        log.warn("cannot read the node's interfaces", { error: problem });
      }
      this.#problem = problem;
    }
    return devicesOf(offeredLinks(this.#links, patterns), pluginTypes());
  }
}
