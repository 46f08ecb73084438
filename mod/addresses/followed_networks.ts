import type { Clock } from "../async/clock.ts";
import { NetworkView } from "./network_view.ts";
import type { OwnAddresses } from "./own_addresses.ts";
import type { AddressApi } from "./ports.ts";

/** A network from which no address was taken for this time is no longer followed, in milliseconds. */
const UNUSED_MS = 10 * 60_000;

interface Followed {
  readonly view: NetworkView;
  readonly over: AbortController;
  readonly running: Promise<void>;
  lastUsed: number;
  users: number;
}

export interface FollowedNetworksOptions {
  readonly api: AddressApi;
  readonly clock: Clock;
  readonly own: OwnAddresses;
}

/** The networks from which this node has taken addresses lately: it keeps up with which are taken. */
export class FollowedNetworks {
  readonly #options: FollowedNetworksOptions;
  readonly #networks = new Map<string, Followed>();

  constructor(options: FollowedNetworksOptions) {
    this.#options = options;
  }

  /**
   * Follows a network until what is returned is disposed of, and some minutes more.
   *
   * @param signal ends it earlier
   */
  use(network: string, signal: AbortSignal): Disposable & { readonly view: NetworkView } {
    const followed = this.#networks.get(network) ?? this.#follow(network, signal);
    followed.users++;
    return {
      view: followed.view,
      [Symbol.dispose]: () => {
        followed.users--;
        followed.lastUsed = this.#options.clock.elapsed();
      },
    };
  }

  /** What is known of a network that is followed. */
  view(network: string): NetworkView | undefined {
    return this.#networks.get(network)?.view;
  }

  /** Follows no longer what is not used. */
  endUnused(): void {
    const now = this.#options.clock.elapsed();
    for (const [network, { over, users, lastUsed }] of this.#networks) {
      if (users > 0 || now - lastUsed < UNUSED_MS) continue;
      over.abort(new Error("the network is not used"));
      this.#networks.delete(network);
    }
  }

  /** Forgets all, once the signals that they were followed with are aborted. */
  async ended(): Promise<void> {
    const followed = [...this.#networks.values()];
    this.#networks.clear();
    await Promise.allSettled(followed.map(({ running }) => running));
  }

  #follow(network: string, signal: AbortSignal): Followed {
    const { api, own } = this.#options;
    const view = new NetworkView(network);
    for (const each of own.all) if (each.network === network) view.add(each.address);
    const over = new AbortController();
    const running = view.run(api, AbortSignal.any([signal, over.signal]));
    const followed = { view, over, running, lastUsed: 0, users: 0 };
    this.#networks.set(network, followed);
    return followed;
  }
}
