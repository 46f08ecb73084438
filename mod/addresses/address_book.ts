import { aborted } from "../async/aborted.ts";
import { Background } from "../async/background.ts";
import { type Backoff, pauseAfter } from "../async/backoff.ts";
import type { Clock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import { type TimeLimit, timeLimit } from "../async/time_limit.ts";
import { WarnOnce } from "../async/warn_once.ts";
import type { Events, Log } from "../agent/ports.ts";
import { addressObjectName, type AddressOwner, type NetworkAddress } from "./address_object.ts";
import { freeAddresses } from "./free_address.ts";
import { comesBack, isKeptFor } from "./kept_addresses.ts";
import type { KeptAttachment } from "./kept_attachments.ts";
import { NetworkView } from "./network_view.ts";
import { isSameOwner, type OwnAddress, OwnAddresses, type OwnerKey } from "./own_addresses.ts";
import { type Family, familyOf } from "./ip_range.ts";
import {
  assertMayHave,
  countAddresses,
  familiesOf,
  mayGive,
  type NetworkAddresses,
  poolOf,
} from "./pools.ts";
import { addressesIn } from "./result_addresses.ts";
import {
  type AddressApi,
  AddressApiError,
  type AddressMetrics,
  type StoredAddress,
} from "./ports.ts";

/** Within this an attachment has its addresses, or has given them back, or the operation fails. */
const LIMIT_MS = 15_000;
/** What is left of that for operations that run when the agent stops. */
const STOP_MS = 3_000;
/** Between two tries of a request that had no answer. */
const RETRY: Backoff = { first: 200, most: 2_000 };
/** How often it is looked whether the addresses of this node are those of its attachments, */
const INTERVAL_MS = 60_000;
/** and whether the container runtime has listed its sandboxes, which that needs. */
const SOON_MS = 1_000;
/** A network from which no address was taken for this time is no longer followed. */
const UNUSED_MS = 10 * 60_000;

/** Which addresses an attachment is to have: one of each family of the network's pools. */
export interface WantedAddresses {
  readonly network: string;
  readonly pools: NetworkAddresses;
  readonly owner: Omit<AddressOwner, "node">;
  /** Addresses that the claim names. */
  readonly fixed: readonly string[];
}

/** What tells a leftover from an address in use. */
export interface AddressUsers {
  /** All attachments of this node that are on record, or about to be. */
  readonly attachments: readonly KeptAttachment[];
  /** Whether the sandbox with this id lives. */
  readonly lives: (containerID: string) => boolean;
}

/** Who uses addresses at this moment; undefined while that is not known. */
export type LookAtUsers = () => AddressUsers | undefined;

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

/** A network that is followed. */
interface Followed {
  readonly view: NetworkView;
  readonly over: AbortController;
  readonly running: Promise<void>;
  lastUsed: number;
  users: number;
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
  readonly #networks = new Map<string, Followed>();
  readonly #problem: WarnOnce;
  /** Undefined while the agent does not lead. */
  #term: Term | undefined;

  constructor(options: AddressBookOptions) {
    this.#options = options;
    this.#own = new OwnAddresses(options.node);
    this.#problem = new WarnOnce(options.log);
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
      const followed = [...this.#networks.values()];
      this.#networks.clear();
      if (this.#term === term) this.#term = undefined;
      await Promise.allSettled(followed.map(({ running }) => running));
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
      await this.#remove(address, { keepMs: isKept ? keepMs : 0, signal: limit.signal });
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
    const { node, metrics } = this.#options;
    const addressOf = (address: string) => ({ network, address, owner: { ...owner, node } });
    const asker = { namespace: owner.claim.namespace, claim: owner.claim.name };
    const fixed = wanted.fixed.find((each) => familyOf(each) === family);
    if (fixed !== undefined) {
      assertMayHave(pools, fixed, asker);
      return await this.#takeFixed(addressOf(fixed), signal);
    }
    for (const { address } of this.#own.of({ network, ...owner })) {
      if (familyOf(address) !== family || !poolOf(pools, address)) continue;
      const claimed = await this.#claim(addressOf(address), { signal });
      if (claimed.is === "ours") return claimed.address;
    }
    using followed = this.#follow(network);
    const { view } = followed;
    await view.listed(signal);
    for (const { address } of view.keptFor(owner.pod)) {
      if (familyOf(address) !== family || !mayGive(pools, address, asker)) continue;
      const claimed = await this.#claim(addressOf(address), { signal });
      if (claimed.is === "ours") return claimed.address;
    }
    for (const address of freeAddresses(pools, family, view, { node, asker })) {
      // No other attachment of this node asks for it meanwhile.
      view.add(address);
      const claimed = await this.#claim(addressOf(address), { whose: false, signal });
      if (claimed.is === "ours") return claimed.address;
      metrics.conflicted();
    }
    throw new NoFreeAddress(describeFull(network, pools, family));
  }

  async #takeFixed(address: NetworkAddress, signal: AbortSignal): Promise<NetworkAddress> {
    const claimed = await this.#claim(address, { signal });
    if (claimed.is === "ours") return claimed.address;
    throw new Error(
      `address ${address.address} of network ${address.network} is taken by ` +
        `${describeHolder(claimed.holder)}: name another address in the claim, or delete ` +
        (claimed.holder && claimed.holder.keptUntil === undefined
          ? "that pod"
          : `the object if no pod has the address (kubectl delete networkaddress ${
            addressObjectName(address.network, address.address)
          })`),
    );
  }

  /**
   * Creates the object of an address, or finds that it is there. Without an answer, the address stays
   * among those of its owner: it may be there.
   *
   * @param options.whose whether whoever has it matters, which costs a request
   */
  async #claim(
    address: NetworkAddress,
    { whose = true, signal }: { readonly whose?: boolean; readonly signal: AbortSignal },
  ): Promise<Claimed> {
    const { api } = this.#options;
    const { pod } = address.owner;
    const known = this.#own.at(address);
    if (known && !isSameOwner(known.owner, address.owner) && !isKeptFor(known, pod)) {
      return { is: "another's", holder: known };
    }
    if (!known) this.#own.put(address);
    let tries = 0;
    try {
      const answer = await this.#persist(() => {
        // It may be ours if this process has asked for it before, and had no answer.
        const asked = known !== undefined || tries++ > 0;
        return api.create(address, { whose: whose || asked, signal });
      }, signal);
      const there = answer.address;
      const found = there && isKeptFor(there, pod)
        ? await this.#persist(() => api.update(address, { over: there, signal }), signal)
        : there;
      if (found && isSameOwner(found.owner, address.owner)) {
        this.#own.put(found);
        this.#networks.get(found.network)?.view.set(found);
        return { is: "ours", address: found };
      }
      this.#own.drop(address);
      return { is: "another's", holder: found };
    } catch (error) {
      const isRefused = error instanceof AddressApiError && error.outcome === "refused";
      if (!known && isRefused && tries === 1) this.#forget(address);
      throw new Error(
        `cannot take address ${address.address} of network ${address.network}: ` +
          errorMessage(error),
        { cause: error },
      );
    }
  }

  /** @param options.keepMs for how long it is kept instead */
  async #remove(
    address: OwnAddress,
    { keepMs = 0, signal }: { readonly keepMs?: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const { api, clock, metrics } = this.#options;
    try {
      let stored = isStored(address)
        ? address
        : await this.#persist(() => api.get(address, signal), signal);
      if (keepMs > 0 && stored && isSameOwner(stored.owner, address.owner)) {
        const over = stored;
        const keptUntil = new Date(clock.now().getTime() + keepMs).toISOString();
        stored = await this.#persist(() => {
          return api.update({ ...over, keptUntil }, { over, signal });
        }, signal) ??
          // An earlier try was done, though it had no answer: the next pod may have the object already.
          await this.#persist(() => api.get(address, signal), signal);
      }
      if (!stored) this.#forget(address);
      else if (!isSameOwner(stored.owner, address.owner)) this.#own.drop(address);
      else if (stored.keptUntil !== undefined) {
        this.#own.put(stored);
        this.#networks.get(stored.network)?.view.set(stored);
      } else {
        const leftover = stored;
        await this.#persist(() => api.remove(leftover, signal), signal);
        this.#forget(leftover);
      }
    } catch (error) {
      throw new Error(
        `cannot give back address ${address.address} of network ${address.network}: ` +
          `${errorMessage(error)}; the agent tries again`,
        { cause: error },
      );
    }
    metrics.held(this.#own.count);
  }

  /** This node does not have the address. */
  #forget(address: OwnAddress): void {
    this.#own.drop(address);
    this.#networks.get(address.network)?.view.delete(address.address);
  }

  /** Makes a request again while it has no answer. @throws what it came to last */
  async #persist<T>(request: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { clock } = this.#options;
    for (let failures = 1;; failures++) {
      try {
        return await request();
      } catch (error) {
        const isUnknown = error instanceof AddressApiError && error.outcome === "unknown";
        if (!isUnknown || signal.aborted) throw error;
        await clock.sleep(pauseAfter(failures, RETRY), signal).catch(() => {});
        if (signal.aborted) throw error;
      }
    }
  }

  #limit(signal: AbortSignal): TimeLimit {
    const { hurry } = this.#term ?? {};
    const until = hurry ? AbortSignal.any([signal, hurry]) : signal;
    return timeLimit(this.#options.clock, LIMIT_MS, until);
  }

  /** Follows a network for as long as it is used, and some minutes more. */
  #follow(network: string): Disposable & { readonly view: NetworkView } {
    const { api, clock } = this.#options;
    const term = this.#term;
    if (!term) throw new Error("this agent does not lead");
    let followed = this.#networks.get(network);
    if (!followed) {
      const view = new NetworkView(network);
      for (const own of this.#own.all) if (own.network === network) view.add(own.address);
      const over = new AbortController();
      const running = view.run(api, AbortSignal.any([term.signal, over.signal]));
      followed = { view, over, running, lastUsed: 0, users: 0 };
      this.#networks.set(network, followed);
    }
    const used = followed;
    used.users++;
    return {
      view: used.view,
      [Symbol.dispose]: () => {
        used.users--;
        used.lastUsed = clock.elapsed();
      },
    };
  }

  /** Every minute, from the time on at which the runtime has listed its sandboxes. */
  async #lookAfter(look: LookAtUsers, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      const users = this.#own.isKnown ? look() : undefined;
      if (users) await this.#tidy(look, users, signal);
      this.#endUnused();
      await clock.sleep(users ? INTERVAL_MS : SOON_MS, signal).catch(() => {});
    }
  }

  async #tidy(look: LookAtUsers, users: AddressUsers, signal: AbortSignal): Promise<void> {
    const left = await this.#collect(users, signal);
    // Collecting may have taken minutes: who is attached is looked at again.
    const now = signal.aborted ? undefined : look();
    const missing = now ? await this.#restore(now, signal) : [];
    if (signal.aborted) return;
    const [problem] = [...left, ...missing];
    if (problem === undefined) return this.#problem.over();
    const about = { error: errorMessage(problem) };
    this.#problem.say("cannot look after the addresses of this node; trying again", about);
  }

  #endUnused(): void {
    const now = this.#options.clock.elapsed();
    for (const [network, { over, users, lastUsed }] of this.#networks) {
      if (users > 0 || now - lastUsed < UNUSED_MS) continue;
      over.abort(new Error("the network is not used"));
      this.#networks.delete(network);
    }
  }

  /**
   * Gives back what no attachment on record has: an agent died before it knew what it had taken, or
   * gave up a network that it could not detach. The sandbox has ended, so that no pod lives by it.
   *
   * @returns why some are left
   */
  async #collect({ attachments, lives }: AddressUsers, signal: AbortSignal): Promise<unknown[]> {
    const { log } = this.#options;
    const kept = new Set(attachments.map(({ owner }) => keyOf(owner)));
    const left = this.#own.all.filter(({ owner, keptUntil }) =>
      keptUntil === undefined && !kept.has(keyOf(owner)) && !lives(owner.containerID)
    );
    return await eachOf(left, signal, async (address) => {
      using limit = this.#limit(signal);
      await this.#remove(address, { signal: limit.signal });
      const { network, address: ip, owner: { pod } } = address;
      log.info(`gave back address ${ip} of network ${network}, which no attachment has`, {
        pod: `${pod.namespace}/${pod.name}`,
      });
    });
  }

  /**
   * Creates anew what someone has deleted while a pod lives by it.
   *
   * @returns why some are missing
   */
  #restore({ attachments }: AddressUsers, signal: AbortSignal): Promise<unknown[]> {
    const { node, log, events } = this.#options;
    return eachOf(
      attachments,
      signal,
      async ({ network: { name: network, addresses: pools }, owner, result }) => {
        if (!pools || !result) return;
        for (const address of addressesIn(result, pools)) {
          const wanted = { network, address, owner: { ...owner, node } };
          const known = this.#own.at(wanted);
          // One without a UID was asked for and had no answer: it is asked for again.
          if (known && isStored(known) && isSameOwner(known.owner, wanted.owner)) continue;
          using limit = this.#limit(signal);
          const claimed = await this.#claim(wanted, { signal: limit.signal });
          const { pod } = owner;
          if (claimed.is === "ours") {
            log.warn(`created the NetworkAddress of ${address} of network ${network} again`, {
              pod: `${pod.namespace}/${pod.name}`,
            });
            continue;
          }
          const message = `address ${address} of network ${network} is also taken by ` +
            `${
              describeHolder(claimed.holder)
            }: someone deleted the pod's NetworkAddress while the ` +
            "pod had the address; recreate one of the two pods";
          log.warn(message, { pod: `${pod.namespace}/${pod.name}` });
          events.warn({
            reason: "NetworkAddressConflict",
            message,
            about: { kind: "Pod", ...pod },
          });
        }
      },
    );
  }
}

/** Does the work for each, one after the other, also where it fails for some. @returns why it failed */
async function eachOf<T>(
  items: readonly T[],
  signal: AbortSignal,
  work: (item: T) => Promise<void>,
): Promise<unknown[]> {
  const failures: unknown[] = [];
  for (const item of items) {
    if (signal.aborted) break;
    await work(item).catch((error) => void failures.push(error));
  }
  return failures;
}

/** What became of the claim to an address; the holder is undefined if it was not asked for, or cannot be read. */
type Claimed =
  | { readonly is: "ours"; readonly address: StoredAddress }
  | { readonly is: "another's"; readonly holder: NetworkAddress | undefined };

function keyOf({ containerID, ifName }: Omit<OwnerKey, "network">): string {
  return `${containerID}/${ifName}`;
}

function describeHolder(holder: NetworkAddress | undefined): string {
  if (!holder) return "a NetworkAddress that the agent did not write, and cannot read";
  const { pod, node } = holder.owner;
  if (holder.keptUntil !== undefined) {
    return `pod ${pod.namespace}/${pod.name}, for whose name it is kept until ${holder.keptUntil}`;
  }
  return `pod ${pod.namespace}/${pod.name} on node ${node}`;
}

function describeFull(network: string, addresses: NetworkAddresses, family: Family): string {
  const subnets = addresses.pools.map(({ subnet }) => subnet)
    .filter((subnet) => familyOf(subnet) === family);
  return `network ${network} has no free IPv${family} address: all ` +
    `${countAddresses(addresses, family)} of ${subnets.join(", ")} are taken or reserved ` +
    "(kubectl get networkaddresses): add a pool to the Network, or delete pods that use it";
}

function isStored(address: OwnAddress): address is StoredAddress {
  return address.uid !== undefined;
}
