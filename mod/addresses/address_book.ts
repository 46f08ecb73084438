import { aborted } from "../async/aborted.ts";
import { Background } from "../async/background.ts";
import type { Clock } from "../async/clock.ts";
import { type TimeLimit, timeLimit } from "../async/time_limit.ts";
import type { Events, Log } from "../agent/ports.ts";
import { addressObjectName, type AddressOwner, type NetworkAddress } from "./address_object.ts";
import { AddressRequests, describeHolder } from "./address_requests.ts";
import { AddressUpkeep, type LookAtUsers } from "./address_upkeep.ts";
import { freeAddresses } from "./free_address.ts";
import { FollowedNetworks } from "./followed_networks.ts";
import { comesBack } from "./kept_addresses.ts";
import type { NetworkView } from "./network_view.ts";
import { OwnAddresses, type OwnerKey } from "./own_addresses.ts";
import { type Family, familyOf } from "./ip_range.ts";
import {
  assertMayHave,
  countAddresses,
  familiesOf,
  mayGive,
  type NetworkAddresses,
  poolOf,
} from "./pools.ts";
import type { AddressApi, AddressMetrics } from "./ports.ts";

/** Within this an attachment has its addresses, or has given them back, or the operation fails. */
const LIMIT_MS = 15_000;
/** What is left of that for operations that run when the agent stops. */
const STOP_MS = 3_000;
/** For how long the watch may take to tell of an address that another node has. */
const CATCH_UP_MS = 1_000;
/** How often it is looked whether the addresses of this node are those of its attachments, */
const INTERVAL_MS = 60_000;
/** and whether the container runtime has listed its sandboxes, which that needs. */
const SOON_MS = 1_000;

/** Which addresses an attachment is to have: one of each family of the network's pools. */
export interface WantedAddresses {
  readonly network: string;
  readonly pools: NetworkAddresses;
  readonly owner: Omit<AddressOwner, "node">;
  /** Addresses that the claim names. */
  readonly fixed: readonly string[];
}

export interface AddressBookOptions {
  readonly api: AddressApi;
  readonly node: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: AddressMetrics;
  readonly events: Events;
}

/** A network has no address left. */
class NoFreeAddress extends Error {}

/** The time for which the agent leads. */
interface Term {
  /** Aborted at its end. */
  readonly signal: AbortSignal;
  /** Aborted when operations that run are to fail: the agent stops. */
  readonly hurry: AbortSignal;
}

/**
 * The addresses of the cluster's networks, as the agent of one node takes them and gives them back.
 *
 * An object in the API server is the lock of one address: two nodes cannot create it. An attachment has
 * an address from before its ADD until after its DEL, so that the attachment's record on disk covers
 * the address too.
 */
export class AddressBook {
  readonly #options: AddressBookOptions;
  readonly #own: OwnAddresses;
  readonly #networks: FollowedNetworks;
  readonly #requests: AddressRequests;
  readonly #upkeep: AddressUpkeep;
  /** Undefined while the agent does not lead. */
  #term: Term | undefined;

  constructor(options: AddressBookOptions) {
    this.#options = options;
    const { api, node, clock, log, events } = options;
    const own = this.#own = new OwnAddresses(node);
    const networks = this.#networks = new FollowedNetworks({ api, clock, own });
    const requests = this.#requests = new AddressRequests({ api, clock, own, networks });
    const limit = this.#limit.bind(this);
    this.#upkeep = new AddressUpkeep({ own, requests, node, log, events, limit });
  }

  /**
   * Keeps up with the cluster while the agent leads. To be disposed of once no operation can follow.
   *
   * @param over aborted when the agent is to lead no longer: operations that run have some seconds left
   */
  lead(look: LookAtUsers, over: AbortSignal): Background {
    const { api, clock } = this.#options;
    const hurry = new AbortController();
    return new Background(async (signal) => {
      const term = { signal, hurry: hurry.signal };
      this.#term = term;
      aborted(over, signal).then(() => clock.sleep(STOP_MS, signal)).then(
        () => hurry.abort(new Error("the agent stops")),
        () => {},
      );
      await Promise.all([this.#own.run(api, signal), this.#lookAfter(look, signal)]);
      if (this.#term === term) this.#term = undefined;
      await this.#networks.ended();
    });
  }

  /**
   * The addresses of an attachment. Asked again, it answers the same.
   *
   * @throws Error that says which network has no address left, whose a fixed address is, or why the
   *   API server does not give one
   */
  async take(wanted: WantedAddresses, signal: AbortSignal): Promise<readonly NetworkAddress[]> {
    const { metrics } = this.#options;
    using limit = this.#limit(signal);
    try {
      await this.#own.known(limit.signal);
      const families = familiesOf(wanted.pools);
      // All end before one fails: what they have asked for is given back by then.
      const taken = await Promise.allSettled(
        families.map((family) => this.#takeOne(wanted, { family, signal: limit.signal })),
      );
      const addresses = taken.map((each) => {
        if (each.status === "rejected") throw each.reason;
        return each.value;
      });
      metrics.taken("ok");
      return addresses;
    } catch (error) {
      metrics.taken(error instanceof NoFreeAddress ? "exhausted" : "error");
      throw error;
    } finally {
      metrics.held(this.#own.count);
    }
  }

  /**
   * Gives back what an attachment has, and what has been asked for it.
   *
   * @param options.keepMs for how long it stays with the pod's name, where that comes back
   * @throws Error that says which address is left, and why
   */
  async giveBack(
    owner: OwnerKey,
    { keepMs = 0, signal }: { readonly keepMs?: number; readonly signal: AbortSignal },
  ): Promise<void> {
    using limit = this.#limit(signal);
    await this.#own.known(limit.signal);
    for (const address of this.#own.of(owner)) {
      const isKept = keepMs > 0 && comesBack(address.owner.pod);
      const options = { keepMs: isKept ? keepMs : 0, signal: limit.signal };
      await this.#requests.giveBack(address, options);
      this.#options.metrics.held(this.#own.count);
    }
  }

  /** What is known of an attachment's addresses. */
  of(owner: OwnerKey): readonly NetworkAddress[] {
    return this.#own.of(owner);
  }

  async #takeOne(
    wanted: WantedAddresses,
    { family, signal }: { readonly family: Family; readonly signal: AbortSignal },
  ): Promise<NetworkAddress> {
    const { network, pools, owner } = wanted;
    const { node, clock, metrics } = this.#options;
    const requests = this.#requests;
    const addressOf = (address: string) => ({
      network,
      address,
      owner: { ...owner, node },
    });
    const asker = { namespace: owner.claim.namespace, claim: owner.claim.name };
    const fixed = wanted.fixed.find((each) => familyOf(each) === family);
    if (fixed !== undefined) {
      assertMayHave(pools, fixed, asker);
      return await this.#takeFixed(addressOf(fixed), signal);
    }
    for (const { address } of this.#own.of({ network, ...owner })) {
      if (familyOf(address) !== family || !poolOf(pools, address)) continue;
      const asked = await requests.take(addressOf(address), { signal });
      if (asked.is === "ours") return asked.address;
    }
    using followed = this.#follow(network);
    const { view } = followed;
    await view.listed(signal);
    for (const { address } of view.keptFor(owner.pod)) {
      if (familyOf(address) !== family || !mayGive(pools, address, asker)) continue;
      const asked = await requests.take(addressOf(address), { signal });
      if (asked.is === "ours") return asked.address;
    }
    for (const address of freeAddresses(pools, family, view, { node, asker })) {
      // No other attachment of this node asks for it meanwhile.
      view.add(address);
      const asked = await requests.take(addressOf(address), { whose: false, signal });
      if (asked.is === "ours") return asked.address;
      metrics.conflicted();
      // Another node was quicker, and has taken more, perhaps.
      using limit = timeLimit(clock, CATCH_UP_MS, signal);
      await view.caughtUp(address, limit.signal).catch(() => {});
      signal.throwIfAborted();
    }
    throw new NoFreeAddress(describeFull(network, pools, family));
  }

  async #takeFixed(address: NetworkAddress, signal: AbortSignal): Promise<NetworkAddress> {
    const asked = await this.#requests.take(address, { signal });
    if (asked.is === "ours") return asked.address;
    throw new Error(
      `address ${address.address} of network ${address.network} is taken by ` +
        `${describeHolder(asked.holder)}: name another address in the claim, or delete ` +
        (asked.holder && asked.holder.keptUntil === undefined
          ? "that pod"
          : `the object if no pod has the address (kubectl delete networkaddress ${
            addressObjectName(address.network, address.address)
          })`),
    );
  }

  #limit(signal: AbortSignal): TimeLimit {
    const { hurry } = this.#term ?? {};
    const until = hurry ? AbortSignal.any([signal, hurry]) : signal;
    return timeLimit(this.#options.clock, LIMIT_MS, until);
  }

  #follow(network: string): Disposable & { readonly view: NetworkView } {
    const term = this.#term;
    if (!term) throw new Error("this agent does not lead");
    return this.#networks.use(network, term.signal);
  }

  /** Every minute, from the time on at which the runtime has listed its sandboxes. */
  async #lookAfter(look: LookAtUsers, signal: AbortSignal): Promise<void> {
    const { clock, metrics } = this.#options;
    while (!signal.aborted) {
      const users = this.#own.isKnown ? look() : undefined;
      if (users) {
        await this.#upkeep.round(users, look, signal);
        metrics.held(this.#own.count);
      }
      this.#networks.endUnused();
      await clock.sleep(users ? INTERVAL_MS : SOON_MS, signal).catch(() => {});
    }
  }
}

function describeFull(network: string, addresses: NetworkAddresses, family: Family): string {
  const subnets = addresses.pools.map(({ subnet }) => subnet)
    .filter((subnet) => familyOf(subnet) === family);
  return `network ${network} has no free IPv${family} address: all ` +
    `${countAddresses(addresses, family)} of ${subnets.join(", ")} are taken or reserved ` +
    "(kubectl get networkaddresses): add a pool to the Network, or delete pods that use it";
}
