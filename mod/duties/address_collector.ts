import type { Log } from "../agent/ports.ts";
import type { Clock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import type { AddressUse, LiveAddress } from "./address_use.ts";
import type { CollectorApi } from "./ports.ts";

/** An address is freed only if nobody had it at two looks that are at least this far apart, in milliseconds. */
export const BETWEEN_LOOKS_MS = 60_000;

/** Why an address is freed. */
type Cause = "its node, pod and claim are gone" | "it was kept for a pod that has not come back";

/**
 * Frees addresses that nobody else will.
 *
 * A node's own agent gives back what its attachments have had. This is about nodes that are gone, and
 * about addresses that were kept for pods that have not come back. As long as there is a Node of that
 * name, its agent decides: a pod that was deleted by force may still run there.
 *
 * An address that is deleted is still the one that was looked at, by its UID and resourceVersion: two
 * collectors at the same time, or an address that a pod has taken meanwhile, do no harm.
 */
export class AddressCollector {
  readonly #api: CollectorApi;
  readonly #clock: Clock;
  readonly #log: Log;
  /** When nobody had an address for the first time, by UID and by the clock that is never set back. */
  readonly #unused = new Map<string, number>();

  constructor(api: CollectorApi, { clock, log }: { readonly clock: Clock; readonly log: Log }) {
    this.#api = api;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Looks at all addresses once.
   *
   * @param addresses by the names of their objects
   * @throws Error if the API server does not answer
   */
  async round(addresses: ReadonlyMap<string, AddressUse>, signal: AbortSignal): Promise<void> {
    if (addresses.size === 0) return this.#unused.clear();
    const nodes = await this.#api.nodes(signal);
    const now = this.#clock.now().getTime();
    const seen = new Set<string>();
    const asked = new Answers(this.#api, signal);
    for (const [name, { keptUntil, node }] of [...addresses]) {
      signal.throwIfAborted();
      if (keptUntil === undefined ? nodes.has(node) : keptUntil > now) continue;
      try {
        const address = await this.#api.address(name, signal);
        if (address) await this.#judge(address, { asked, now, seen });
      } catch (error) {
        signal.throwIfAborted();
        // What was seen before does not count: the two looks are to have nothing between them.
        this.#log.debug("cannot tell whether an address is still used", {
          address: name,
          error: errorMessage(error),
        });
      }
    }
    for (const uid of this.#unused.keys()) if (!seen.has(uid)) this.#unused.delete(uid);
  }

  async #judge(
    address: LiveAddress,
    { asked, now, seen }: {
      readonly asked: Answers;
      readonly now: number;
      readonly seen: Set<string>;
    },
  ): Promise<void> {
    if (address.keptUntil !== undefined) {
      if (address.keptUntil > now) return;
      return await this.#free(address, asked, "it was kept for a pod that has not come back");
    }
    if (await asked.isUsed(address)) return;
    const { uid } = address;
    const since = this.#unused.get(uid) ?? this.#clock.elapsed();
    this.#unused.set(uid, since);
    seen.add(uid);
    if (this.#clock.elapsed() - since < BETWEEN_LOOKS_MS) return;
    await this.#free(address, asked, "its node, pod and claim are gone");
  }

  async #free(address: LiveAddress, { api, signal }: Answers, cause: Cause): Promise<void> {
    if (!await api.remove(address, signal)) return;
    const { name, node, pod, claim } = address;
    this.#log.info("freed an address", {
      address: name,
      cause,
      node,
      pod: `${pod.namespace}/${pod.name}`,
      claim: `${claim.namespace}/${claim.name}`,
    });
  }
}

/** What the API server says in one round: pods have several addresses, and nodes many. */
class Answers {
  readonly api: CollectorApi;
  readonly signal: AbortSignal;
  readonly #known = new Map<string, Promise<boolean>>();

  constructor(api: CollectorApi, signal: AbortSignal) {
    this.api = api;
    this.signal = signal;
  }

  async isUsed({ node, pod, claim }: LiveAddress): Promise<boolean> {
    const { api, signal } = this;
    return await this.#ask(`node ${node}`, () => api.hasNode(node, signal)) ||
      await this.#ask(`pod ${pod.uid}`, () => api.hasPod(pod, signal)) ||
      await this.#ask(
        `claim ${claim.uid} ${pod.uid}`,
        () => api.isReserved(claim, { pod, signal }),
      );
  }

  #ask(what: string, ask: () => Promise<boolean>): Promise<boolean> {
    const answer = this.#known.get(what) ?? ask();
    this.#known.set(what, answer);
    return answer;
  }
}
