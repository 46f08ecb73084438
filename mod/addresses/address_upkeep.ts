import type { Events, Log } from "../agent/ports.ts";
import { errorMessage } from "../async/error_message.ts";
import type { TimeLimit } from "../async/time_limit.ts";
import { WarnOnce } from "../async/warn_once.ts";
import { type AddressRequests, describeHolder } from "./address_requests.ts";
import type { KeptAttachment } from "./kept_attachments.ts";
import { isSameOwner, isStored, type OwnAddresses, type OwnerKey } from "./own_addresses.ts";
import { addressesIn } from "./result_addresses.ts";

/** What tells a leftover from an address in use. */
export interface AddressUsers {
  /** All attachments of this node that are on record, or about to be. */
  readonly attachments: readonly KeptAttachment[];
  /** Whether the sandbox with this id lives. */
  readonly lives: (containerID: string) => boolean;
}

/** Who uses addresses at this moment; undefined while that is not known. */
export type LookAtUsers = () => AddressUsers | undefined;

export interface AddressUpkeepOptions {
  readonly own: OwnAddresses;
  readonly requests: AddressRequests;
  readonly node: string;
  readonly log: Log;
  readonly events: Events;
  /** Bounds what is asked about one address. */
  readonly limit: (signal: AbortSignal) => TimeLimit;
}

/** Keeps the addresses of this node those of its attachments: no more, and no fewer. */
export class AddressUpkeep {
  readonly #options: AddressUpkeepOptions;
  readonly #problem: WarnOnce;

  constructor(options: AddressUpkeepOptions) {
    this.#options = options;
    this.#problem = new WarnOnce(options.log);
  }

  /**
   * Looks at all addresses of this node once. Does not reject.
   *
   * @param users what `look` has just said
   */
  async round(users: AddressUsers, look: LookAtUsers, signal: AbortSignal): Promise<void> {
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

  /**
   * Gives back what no attachment on record has: an agent died before it knew what it had taken, or
   * gave up a network that it could not detach. The sandbox has ended, so that no pod lives by it.
   *
   * @returns why some are left
   */
  async #collect({ attachments, lives }: AddressUsers, signal: AbortSignal): Promise<unknown[]> {
    const { own, requests, log, limit } = this.#options;
    const kept = new Set(attachments.map(({ owner }) => keyOf(owner)));
    const left = own.all.filter(({ owner, keptUntil }) =>
      keptUntil === undefined && !kept.has(keyOf(owner)) && !lives(owner.containerID)
    );
    return await eachOf(left, signal, async (address) => {
      using limited = limit(signal);
      await requests.giveBack(address, { keepMs: 0, signal: limited.signal });
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
    const { own, requests, node, log, events, limit } = this.#options;
    return eachOf(
      attachments,
      signal,
      async ({ network: { name: network, addresses: pools }, owner, result }) => {
        if (!pools || !result) return;
        for (const address of addressesIn(result, pools)) {
          const wanted = { network, address, owner: { ...owner, node } };
          const known = own.at(wanted);
          // One without a UID was asked for and had no answer: it is asked for again.
          if (known && isStored(known) && isSameOwner(known.owner, wanted.owner)) continue;
          using limited = limit(signal);
          const asked = await requests.take(wanted, { signal: limited.signal });
          const { pod } = owner;
          if (asked.is === "ours") {
            log.warn(`created the NetworkAddress of ${address} of network ${network} again`, {
              pod: `${pod.namespace}/${pod.name}`,
            });
            continue;
          }
          const message = `address ${address} of network ${network} is also taken by ` +
            `${describeHolder(asked.holder)}: someone deleted the pod's NetworkAddress while the ` +
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

function keyOf({ containerID, ifName }: Omit<OwnerKey, "network">): string {
  return `${containerID}/${ifName}`;
}
