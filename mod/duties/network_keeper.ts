import { isDeepStrictEqual } from "node:util";
import type { Log } from "../agent/ports.ts";
import type { Clock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import { WarnOnce } from "../async/warn_once.ts";
import type { AddressUse } from "./address_use.ts";
import { type NetworkStatus, networkStatus, type Users } from "./network_status.ts";
import { networksNamedBy, podsOf, users } from "./network_users.ts";
import type { NetworkApi } from "./ports.ts";
import { FINALIZER, type WatchedNetwork } from "./watched_network.ts";

/** All claims are listed at most this often, in milliseconds. */
const CLAIMS_MS = 30_000;

/** A status that the watch has not told of yet. */
interface Written {
  readonly status: NetworkStatus;
  /** Of the Network that it was written over. */
  readonly over: string;
}

/**
 * Writes the status of Networks, and lets those be deleted that nothing uses.
 *
 * Only Networks with addresses get the finalizer: whatever else is attached keeps the configuration
 * that it was attached with, and needs the object no longer.
 */
export class NetworkKeeper {
  readonly #api: NetworkApi;
  readonly #driver: string;
  readonly #clock: Clock;
  readonly #problem: WarnOnce;
  /** When all claims were listed last, by the clock that is never set back. */
  #listed = -Infinity;
  /** By UID. */
  readonly #written = new Map<string, Written>();

  constructor(
    api: NetworkApi,
    { driver, clock, log }: {
      readonly driver: string;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {
    this.#api = api;
    this.#driver = driver;
    this.#clock = clock;
    this.#problem = new WarnOnce(log);
  }

  /** Looks at all Networks once. Rejects only if the signal is aborted. */
  async round(
    networks: ReadonlyMap<string, WatchedNetwork>,
    { addresses, signal }: {
      readonly addresses: ReadonlyMap<string, AddressUse>;
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const uses = byNetwork(addresses.values());
    const claims = new ClaimsOnce(() => this.#claims(signal));
    let failure: unknown;
    for (const network of [...networks.values()]) {
      try {
        await this.#keep(network, { uses: uses.get(network.name) ?? [], claims, signal });
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
      }
    }
    if (failure) {
      const error = errorMessage(failure);
      this.#problem.say("cannot write the status of Networks; trying again", { error });
    } else this.#problem.over();
    const uids = new Set([...networks.values()].map(({ uid }) => uid));
    for (const uid of this.#written.keys()) if (!uids.has(uid)) this.#written.delete(uid);
  }

  async #keep(network: WatchedNetwork, round: Round): Promise<void> {
    const { finalizers, isDeleting, pools } = network;
    const hasFinalizer = finalizers.includes(FINALIZER);
    if (!isDeleting || !hasFinalizer) {
      if (!isDeleting && pools && !hasFinalizer) {
        const { signal } = round;
        await this.#api.writeFinalizers(network, {
          finalizers: [...finalizers, FINALIZER],
          signal,
        });
      }
      return await this.#writeStatus(network, { ...round, using: undefined });
    }
    const using = await this.#users(network, round);
    if (!using) return;
    if (using.named.length > 0) return await this.#writeStatus(network, { ...round, using });
    const others = finalizers.filter((each) => each !== FINALIZER);
    await this.#api.writeFinalizers(network, { finalizers: others, signal: round.signal });
  }

  /** Undefined where that is looked at again later. */
  async #users({ name }: WatchedNetwork, { uses, claims }: Round): Promise<Users | undefined> {
    const pods = podsOf(uses);
    if (pods.length > 0) return users(pods);
    const naming = await claims.get();
    return naming && users(naming.get(name) ?? []);
  }

  /** The allocated claims that name Networks, by the names of these; undefined if they were just listed. */
  async #claims(signal: AbortSignal): Promise<ReadonlyMap<string, string[]> | undefined> {
    const now = this.#clock.elapsed();
    if (now - this.#listed < CLAIMS_MS) return undefined;
    this.#listed = now;
    const found = new Map<string, string[]>();
    for await (const page of this.#api.claims(signal)) {
      for (const claim of page) {
        for (const network of networksNamedBy(claim, this.#driver)) {
          const list = found.get(network);
          if (list) list.push(describeClaim(claim));
          else found.set(network, [describeClaim(claim)]);
        }
      }
    }
    return found;
  }

  async #writeStatus(
    network: WatchedNetwork,
    { uses, using, signal }: Round & { readonly using: Users | undefined },
  ): Promise<void> {
    const { uid, resourceVersion: over } = network;
    const written = this.#written.get(uid);
    const before = written?.over === over ? written.status : network.status;
    const now = this.#clock.now();
    const status = networkStatus({ ...network, users: using, before }, { uses, now });
    if (isDeepStrictEqual(status, before)) return;
    await this.#api.writeStatus(network, { status, signal });
    this.#written.set(uid, { status, over });
  }
}

/** What one look at a Network goes by. */
interface Round {
  readonly uses: readonly AddressUse[];
  readonly claims: ClaimsOnce;
  readonly signal: AbortSignal;
}

/** Lists the claims only if a Network needs them, and once for all that do. */
class ClaimsOnce {
  readonly #list: () => Promise<ReadonlyMap<string, string[]> | undefined>;
  #listed: Promise<ReadonlyMap<string, string[]> | undefined> | undefined;

  constructor(list: () => Promise<ReadonlyMap<string, string[]> | undefined>) {
    this.#list = list;
  }

  get(): Promise<ReadonlyMap<string, string[]> | undefined> {
    return this.#listed ??= this.#list();
  }
}

function byNetwork(addresses: Iterable<AddressUse>): Map<string, AddressUse[]> {
  const found = new Map<string, AddressUse[]>();
  for (const address of addresses) {
    const list = found.get(address.network);
    if (list) list.push(address);
    else found.set(address.network, [address]);
  }
  return found;
}

function describeClaim(claim: unknown): string {
  const { namespace, name } = (claim as {
    readonly metadata: { readonly namespace: string; readonly name: string };
  }).metadata;
  return `claim ${namespace}/${name}`;
}
